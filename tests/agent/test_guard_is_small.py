"""R4: nothing is in the guard's process that it does not need; locked in memory, each megabyte counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys, importlib
importlib.import_module(sys.argv[1])
print(*sys.modules, *{line.split("/")[-1].strip() for line in open("/proc/self/maps") if "/" in line})
"""

HEAVY = {"_ssl", "ssl", "_hashlib", "hashlib", "asyncio", "psutil", "redis", "dns", "sqlite3", "click"}


def test_guard_and_tether_import_neither_openssl_nor_asyncio() -> None:
    for module in ("agent.guard", "agent.tether"):
        loaded = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM, module], env={"PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True, check=True
        ).stdout.split()
        assert not HEAVY & set(loaded), module
        assert not [name for name in loaded if name.startswith(("libcrypto", "libssl"))], module
