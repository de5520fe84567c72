"""Settings: one line that names file and key for whatever is wrong; the timing as DESIGN R1 and R3 have it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.config import AgentConfig, ConfigError, SdsConfig, Timing, parse

AGENT = """
cluster = "demo"
name = "http"
address = "127.0.1.11"
state_dir = "/var/lib/locum"
key_file = "key"
{more}
[sds]
public_key_file = "sds.pub"
{sds}
[[service]]
name = "www"
fqdn = "www.demo.locum.test"
port = 8081
start = ["/usr/sbin/nginx", "-g", "daemon off;"]
{service}
"""
DNS = """
[dns]
server = "192.0.2.53"
zone = "test"
key_name = "locum."
key_secret_file = "secret"
also = [{also}]
"""
SDS = """
cluster = "demo"
state_dir = "/var/lib/locum"
key_file = "key"
trust_file = "trust.toml"
"""


NAMES = """
[dns]
server = "192.0.2.53"
zone = "demo.locum.test"
key_name = "locum."
key_secret_file = "tsig.secret"
ttl_s = 60
"""


def agent(more: str = "", sds: str = "", service: str = "") -> str:
    return AGENT.format(more=more, sds=sds, service=service)


OCF = agent(service='driver = "ocf"').replace('start = ["/usr/sbin/nginx", "-g", "daemon off;"]', "")


def test_a_service_of_a_resource_agent() -> None:
    config = parse(OCF + 'agent = "ocf:heartbeat:nginx"\nparameters = { configfile = "/srv/www/nginx.conf" }', AgentConfig, "agent.toml")
    [www] = config.definitions
    assert (www.driver, www.agent, www.parameters) == ("ocf", "ocf:heartbeat:nginx", {"configfile": "/srv/www/nginx.conf"})


def test_a_good_agent_file() -> None:
    config = parse(agent('backs_up = ["ftp"]'), AgentConfig, "agent.toml")
    [www] = config.definitions
    assert (config.sds.port, config.backs_up, www.home, www.port) == (5750, ("ftp",), "http", 8081)


def test_a_good_sds_file() -> None:
    assert parse(SDS, SdsConfig, "sds.toml").store == "embedded"


@pytest.mark.parametrize("address", ["2001:db8::11", "interface:eth0", "interface:wlp2s0/ipv6", "auto"])
def test_an_address_may_be_one_or_say_where_it_is_found(address: str) -> None:
    config = parse(agent().replace("127.0.1.11", address), AgentConfig, "agent.toml")
    assert config.own_address.follows == (address[0] != "2")


def test_further_authorities_have_the_port_of_the_first_unless_they_name_one() -> None:
    text = agent() + DNS.format(also='"192.0.2.54", "2001:db8::54", "[2001:db8::55]:5353", "192.0.2.53:54"')
    dns = parse(text.replace("[dns]", "[dns]\nport = 10053"), AgentConfig, "agent.toml").dns
    assert dns is not None
    assert dns.authorities == (
        ("192.0.2.53", 10053),
        ("192.0.2.54", 10053),
        ("2001:db8::54", 10053),
        ("2001:db8::55", 5353),
        ("192.0.2.53", 54),
    )


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (agent("nmae = 1"), "nmae", 'did you mean "name"'),
        (agent("zzz = 1"), "zzz", "unknown key"),
        (agent("margin = 5"), "margin", ">= 10"),
        (agent("dwell_s = 0"), "dwell_s", ">= 1"),
        (agent("load = 'none'"), "load", "no load_command is given"),
        (agent("load = 'cpu'"), "load", "invalid enum value"),
        (agent("load_command = 'uptime'"), "load_command", "expected `array`"),
        (agent("load_command_every_s = 0"), "load_command_every_s", ">= 0.1"),
        (agent("load_smoothing_s = nan"), "load_smoothing_s", "expected"),
        (agent("backs_up = ['WWW']"), "backs_up[0]", "regex"),
        (agent('peer_port = "x"'), "peer_port", "expected `int`, got `str`"),
        (agent("peer_port = 0"), "peer_port", ">= 1"),
        (agent(sds="adress = '::1'"), "sds.adress", 'did you mean "address"'),
        (agent(sds="address = '::1'\ndomain = 'shop.example'"), "sds.domain", "address is given"),
        (agent(sds="domain = 'a..b'"), "sds.domain", "is no domain"),
        (agent(service="colour = 'red'"), "service[0].colour", "unknown key"),
        (agent(service="failback_delay_s = nan"), "failback_delay_s", "expected"),
        (agent().replace('name = "http"', 'name = "HTTP"'), "name", "regex"),
        (agent().replace('name = "http"', 'name = "sds"'), "name", "choose another"),
        (agent().replace('key_file = "key"\n', "", 1), "key_file", "is missing"),
        (agent().replace('public_key_file = "sds.pub"', ""), "sds.public_key_file", "is missing"),
        (agent().replace("port = 8081", "port = 808100"), "service[0].port", "<= 65535"),
        (agent(service="[[service]]\nname='www'\nfqdn='x'\nport=1\nstart=['a']"), 'service "www": name', "stands twice"),
        (agent().replace('start = ["/usr/sbin/nginx", "-g", "daemon off;"]', ""), 'service "www": start', "is missing"),
        (agent(service='driver = "ocf"'), 'service "www": start', 'is for driver = "command", and this one has driver = "ocf"'),
        (agent(service='agent = "ocf:heartbeat:nginx"'), 'service "www": agent', 'is for driver = "ocf"'),
        (agent(service="parameters = { a = 'b' }"), 'service "www": parameters', 'is for driver = "ocf"'),
        (agent(service='unit = "nginx.service"'), 'service "www": unit', 'is for driver = "systemd"'),
        (OCF.replace("ocf", "systemd"), 'service "www": unit', 'as in unit = "nginx.service"'),
        (OCF.replace("ocf", "systemd") + 'unit = "nginx"', "service[0].unit", "regex"),
        (OCF.replace("ocf", "systemd") + 'unit = "../x.service"', "service[0].unit", "regex"),
        (OCF, 'service "www": agent', 'as in agent = "ocf:heartbeat:nginx"'),
        (OCF + 'agent = "heartbeat:nginx"', "service[0].agent", "regex"),
        (OCF + 'agent = "ocf:heartbeat:../x"', "service[0].agent", "regex"),
        (OCF + 'agent = "ocf:a:b"\nparameters = { a = 1 }', "service[0].parameters", "expected `str`"),
        (OCF + 'agent = "ocf:a:b"\nparameters = { "a b" = "1" }', 'service "www": parameters', "letters, digits and _ only"),
        (OCF + 'agent = "ocf:a:b"\nparameters = { a = "1\\u0000" }', 'service "www": parameters', "'a' has a NUL in its value"),
        (agent(service='check = ["a", "b\\u0000"]'), 'service "www": check', "has a NUL in one of its words: no program"),
        (agent(service='environment = { A = "\\u0000" }'), 'service "www": environment', "'A' has a NUL in its value"),
        (agent(service='environment = { "A=B" = "1" }'), 'service "www": environment', "'A=B' cannot be the name of a variable"),
        (agent(service='environment = { "A\\u0000" = "1" }'), 'service "www": environment', "cannot be the name of a variable"),
        (agent(service='environment = { "" = "1" }'), 'service "www": environment', "'' cannot be the name of a variable"),
        (OCF.replace("ocf", "systemd") + 'unit = "x.service"\nstandby = "hot"', 'service "www": standby', 'write standby = "warm"'),
        (agent('kernel_gate = "on"'), "kernel_gate", "invalid enum value"),
        (agent(service='standby = "boiling"'), "service[0].standby", "invalid enum value"),
        (agent(service='activate = "open"'), "service[0].activate", "expected `array`"),
        (agent(service="finish_s = -1"), "service[0].finish_s", ">= 0"),
        (agent(service="exclusive = false\nfinish_s = 60" + NAMES), 'service "www": finish_s', "dns.ttl_s = 60"),
        (agent(service='home = "ftp"'), 'service "www": home', "leave the key out"),
        (agent(service='files = ["/srv/www"]'), 'service "www": files', "there is no [files]"),
        *(
            (agent("files.url = 'redis://h/0'", service=f"files = {paths}"), 'service "www": files', words)
            for paths, words in (
                ('["srv"]', "is not absolute"),
                ('["/srv/../etc"]', "no plain path"),
                ('["/"]', "no plain path"),
                ('["/srv/"]', "no plain path"),
                ('["/srv", "/srv"]', "stands twice"),
                ('["/srv", "/srv/www"]', "lies below another"),
                ('["/a\\nb"]', "no text"),
            )
        ),
        *(
            (agent(f"files.url = '{url}'"), "files.url", "write redis://files@")
            for url in ("http://h", "redis://", "redis://h:port/0", "redis://h/zero", "redis://a@b@c", "unix://relative", "unix://", "")
        ),
        (agent("files.url = 'redis://h'\nfiles.root = 'srv'"), "files.root", "is not absolute"),
        (agent('timing = "quick"'), "timing", "invalid enum value"),
        (agent("peer_port = 5750", "address = '127.0.1.11'"), "peer_port", "choose another"),
        (agent('"a\\nb" = 1'), "a\\nb", "unknown key"),
        *(
            (agent().replace("127.0.1.11", wrong), "address", "write an address")
            for wrong in ("host.test", "1.2.3", "[::1]", "1.2.3.4:5", "")
        ),
        *((agent().replace("127.0.1.11", wrong), "address", "at which others reach") for wrong in ("0.0.0.0", "::", "fe80::1", "ff02::1")),
        *(
            (agent().replace("127.0.1.11", wrong), "address", "interface:eth0")
            for wrong in ("interface:", "interface:eth0/ipv5", "auto/ipv4")
        ),
        (agent(sds='address = "sds.test"').replace("127.0.1.11", "auto"), "sds.address", "must be an address"),
        (agent() + DNS.format(also='"192.0.2.54:0"'), "dns.also", "write 192.0.2.54"),
        (agent() + DNS.format(also='"ns2.test"'), "dns.also", "[2001:db8::54]:53"),
        (agent() + DNS.format(also='"192.0.2.53"'), "dns.also", "names a server twice"),
        (agent() + DNS.format(also='"192.0.2.54", "192.0.2.54:53"'), "dns.also", "names a server twice"),
        (agent(service='on_move = "stay"'), "service[0].on_move", "invalid enum value"),
        ("cluster = ?", "not TOML", "line 1"),
        ("a = " + "[" * 5000 + "]" * 5000, "too deeply", ""),
    ],
)
def test_a_bad_agent_file_is_one_line_with_file_and_key(text: str, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, AgentConfig, "agent.toml")
    line = str(error.value)
    assert line.startswith("agent.toml: ") and key in line and words in line and "\n" not in line


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("port = 5751", "updates_port"),
        ('store = "http://x"', "store"),
        ("history_limit = 5", "history_limit"),
        ("trust = 1", "trust"),
        ("updates_port = true", "updates_port"),
        ('address = "localhost"', "address"),
        ('address = "192.0.2.10:5750"', "address"),
    ],
)
def test_a_bad_sds_file_is_one_line_with_file_and_key(more: str, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(SDS + more, SdsConfig, "sds.toml")
    line = str(error.value)
    assert line.startswith("sds.toml: ") and key in line and "\n" not in line


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.sampled_from([AgentConfig, SdsConfig]))
def test_any_text_is_settings_or_one_line(text: str, kind: type) -> None:
    with pytest.raises(ConfigError) as error:  # nothing so short can be complete
        parse(text, kind, "f.toml")
    assert len(str(error.value).splitlines()) == 1


# -- R1, R3 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timing", "needs", "beat_s", "lease_s", "stop_s", "promise_s"),
    [
        (Timing.fast(), "SCHED_FIFO", 0.02, 0.06, 0.02, 0.086),
        (Timing.lan(), "SCHED_FIFO or nice -20", 0.1, 0.25, 0.05, 0.31),
        (Timing.calm(), "nothing", 0.2, 0.6, 0.4, 1.02),
        (Timing.wan(), "nothing", 0.5, 2.0, 1.0, 3.05),
    ],
    ids=["fast", "lan", "calm", "wan"],
)
def test_the_presets_are_those_of_r3(timing: Timing, needs: str, beat_s: float, lease_s: float, stop_s: float, promise_s: float) -> None:
    assert (timing.needs, timing.beat_s, timing.lease_s, timing.stop_s) == (needs, beat_s, lease_s, stop_s)
    digits = len(str(promise_s).partition(".")[2])
    assert round(timing.promise_s, digits) == promise_s
    assert 2 * timing.beat_s < timing.lease_s, "one lost beat is no lapse"


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0, 0.1), st.floats(0, 0.1))
def test_the_promise_outlasts_lease_and_stop_whatever_the_clocks(lease_s: float, stop_s: float, rho: float, tick_s: float) -> None:
    """R1: G >= (H + S)(1 + rho)/(1 - rho) + tick."""
    timing = Timing(name="x", needs="nothing", beat_s=1, lease_s=lease_s, stop_s=stop_s, tick_s=tick_s, clock_error=rho)
    assert timing.promise_s == pytest.approx((lease_s + stop_s) * (1 + rho) / (1 - rho) + tick_s)
    true_s = (lease_s + stop_s) / (1 - rho)  # the holder's clock is slow
    assert timing.promise_s / (1 + rho) + 1e-9 >= true_s + tick_s / (1 + rho)  # the voter's is fast


def test_a_holders_own_h_and_s_make_the_voters_g() -> None:
    assert Timing.fast().promise_for(2.0, 1.0) == pytest.approx(3 * 1.005 / 0.995 + 0.005)


@pytest.mark.parametrize(("scheduling", "name"), [("fifo", "lan"), ("nice", "lan"), ("other", "calm")])
def test_auto_goes_by_the_scheduling_class(scheduling: str, name: str) -> None:
    assert Timing.preset("auto", scheduling).name == name


@pytest.mark.parametrize(("name", "scheduling"), [("fast", "nice"), ("fast", "other"), ("lan", "other")])
def test_a_preset_that_cannot_be_kept_is_refused(name: str, scheduling: str) -> None:
    with pytest.raises(ConfigError, match=f'timing = "{name}" needs SCHED_FIFO'):
        Timing.preset(name, scheduling)
