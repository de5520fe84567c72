"""The page for people at `/` of the demo's `www`: self-contained, light or dark."""

from __future__ import annotations

from html import escape
from string import Template

from demo.services.program import Setting

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --soft: #5a6478; --paper: #f4f6fa; --card: #fff; --line: #dde3ee; --mark: #1f6f5c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7ebf3; --soft: #9aa6bd; --paper: #11151d; --card: #1a202c; --line: #2c3547; --mark: #6fd3b8; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { width: 100%; max-width: 40rem; background: var(--card); border: 1px solid var(--line); border-radius: 1rem;
  padding: clamp(1.5rem, 5vw, 3rem); }
h1 { margin: 0 0 1.5rem; font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.25; letter-spacing: -.02em; overflow-wrap: anywhere; }
h1 strong { color: var(--mark); }
h2 { margin: 2rem 0 .5rem; font-size: 1.05rem; }
p { margin: 0 0 .75rem; }
dl { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0 0 1.5rem; }
dl div { flex: 1 1 8rem; border: 1px solid var(--line); border-radius: .6rem; padding: .6rem .9rem; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-size: 1.15rem; font-weight: 600; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
pre { margin: 0 0 .75rem; padding: .8rem 1rem; border-radius: .6rem; background: var(--paper); border: 1px solid var(--line);
  overflow-x: auto; }
code { font: .92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
a { color: var(--mark); }
.soft { color: var(--soft); font-size: .9rem; }
"""


TEMPLATE = (
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$service on $server, epoch $epoch</title>
<style>"""
    + _STYLE
    + """</style>
</head>
<body>
<main>
<h1>The server <strong>$server</strong> is serving you <strong>$service</strong>.</h1>
<dl>
<div><dt>Service</dt><dd>$service</dd></div>
<div><dt>Server</dt><dd>$server</dd></div>
<div><dt>Epoch</dt><dd>$epoch</dd></div>
<div><dt>Address</dt><dd>$where</dd></div>
</dl>
<p><em>A locum stands in for a colleague who falls ill.</em> Locum is a high-availability cluster that configures itself:
servers say what they can run, choose their own stand-ins by live load, watch each other, take over, and hand back. Nobody
writes a failover plan.</p>
<p>The epoch counts the changes of server: each one adds 1, and no two servers ever hold the service at once.</p>
<h2>Try it</h2>
<p>Pull the plug of the server at which <code>www</code> is at home:</p>
<pre><code>./locum demo kill http</code></pre>
<p>Its secondary takes over at an address of its own, and the name follows. Ask who serves now, and see what happened:</p>
<pre><code>./locum status
./locum history</code></pre>
<p>Then bring the server back, and watch it get its service back:</p>
<pre><code>./locum demo start http</code></pre>
<p class="soft">For programs: <a href="/whoami"><code>GET /whoami</code></a> tells service, server and epoch as JSON.</p>
</main>
</body>
</html>
"""
)
"""What the demo stores as the service's file; $service, $server, $epoch and $where are filled in."""


def page(setting: Setting, template: str = TEMPLATE) -> str:
    """The whole page.  Everything that was given from outside is escaped."""
    told = {"service": escape(setting.service), "server": escape(setting.server), "epoch": setting.epoch, "where": escape(setting.where)}
    return Template(template).safe_substitute(told)
