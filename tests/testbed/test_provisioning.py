"""How the scripts of the two hosts of the centre begin: a wrong call is told so, and nothing was done."""

from __future__ import annotations

import subprocess

import pytest
from standing_bed import CHECKOUT

PROVISION = CHECKOUT / "vagrant" / "provision"


@pytest.mark.parametrize("script", ["db.sh", "sds.sh"])
@pytest.mark.parametrize("words", [(), ("db=10.77.0.53",), ("http=10.77.0.11", "db=10.77.0.53"), ("sds=10.77.0.10", "db=")])
def test_a_call_without_both_addresses_is_refused(script: str, words: tuple[str, ...]) -> None:
    done = subprocess.run([PROVISION / script, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and not done.stdout
    said = done.stderr.splitlines()
    if len(words) < 2:
        assert said[0].startswith(f"usage: {script} NAME=ADDRESS") and "As root" in said[-1]
    else:
        assert said == [f"{script}: give both db=ADDRESS and sds=ADDRESS"]
