"""The wheel has the monitor's page in it: it is built before the packages are gathered.

Where it cannot be built the wheel is made all the same, and its monitor serves
a plain page; one line says so.
"""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class WithPage(build_py):
    """The packages, and the page's bundle among them."""

    def run(self) -> None:
        runpy.run_path(str(ROOT / "cli" / "page.py"))["main"]([str(ROOT), "build"])
        super().run()


setup(cmdclass={"build_py": WithPage})
