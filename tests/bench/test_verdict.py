"""What a scenario's probers saw, judged: outages, who served, and two at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.asking import Answer
from bench.verdict import Outage, Service, judge, outages, spells, two_at_once

CHECKOUT = Path(__file__).resolve().parents[2]


def good(at: float, server: str, takes_s: float = 0.002) -> Answer:
    return Answer(at, at + takes_s, 0.0, "", server)


def bad(at: float) -> Answer:
    return Answer(at, at + 0.001, 0.0, "", failure="ECONNREFUSED")


FAILOVER = [good(1.00, "http"), bad(1.01), bad(1.02), good(1.40, "email"), good(1.41, "email")]


def test_an_outage_lasts_from_the_first_failed_request_to_the_next_answer() -> None:
    assert outages(FAILOVER) == [Outage(1.01, 1.402, 2, "http", "email")]


def test_an_outage_may_last_to_the_end() -> None:
    assert outages([good(1.0, "http"), bad(1.1)])[-1].back_at is None


def test_spells_name_each_host_once_as_it_takes_over() -> None:
    assert [answer.server for answer in spells(FAILOVER)] == ["http", "email"]


def test_a_failover_is_not_two_at_once() -> None:
    assert two_at_once(FAILOVER) == []


def test_one_host_another_and_the_first_again_at_once_is_proof() -> None:
    proof = two_at_once([good(1.00, "http"), good(1.01, "email"), good(1.02, "http")])
    assert [(found.first.server, found.other.server, found.again.server) for found in proof] == [("http", "email", "http")]


def test_answers_whose_times_overlap_prove_nothing() -> None:
    assert two_at_once([good(1.000, "http", 0.02), good(1.010, "email"), good(1.015, "http", 0.02)]) == []


def test_a_service_may_return_after_a_while() -> None:
    assert two_at_once([good(1.0, "http"), good(1.4, "email"), good(1.8, "http")]) == []


def test_a_service_that_stayed_away_is_wrong() -> None:
    told, wrongs = judge([Service("www", [good(1.0, "http"), bad(1.1)], [])], 1.05, ())
    assert wrongs == ["www: it did not come back"]
    assert told[0] == "www: lost at +0.050 s (http), never back"


def test_a_service_that_was_to_be_unharmed_is_wrong_after_one_failed_request() -> None:
    service = Service("www", FAILOVER, [])
    assert judge([service], 1.0, ())[1] == []
    assert judge([service], 1.0, ("www",))[1] == ["www: 2 of 5 requests failed, and none was to"]


def test_two_epochs_at_once_are_wrong() -> None:
    answers = [good(1.0, "email")._replace(epoch=3), good(1.1, "http")._replace(epoch=2)]
    assert judge([Service("www", answers, [])], 1.0, ())[1][0].startswith("www: email and http served at the same instant")


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench.verdict", *words], cwd=CHECKOUT, capture_output=True, text=True, timeout=60)


def test_the_command_names_hosts_by_their_address(tmp_path: Path) -> None:
    lines = "".join(json.dumps(answer._replace(server=answer.server and "10.77.0.13")) + "\n" for answer in FAILOVER)
    (tmp_path / "www.client").write_text(lines + '[1.5, "cut sho')
    done = command(str(tmp_path), "--host", "http=10.77.0.13", "--since", "1.0")
    assert done.returncode == 0, done.stderr
    assert "www: lost at +0.010 s (http), back at +0.402 s by http" in done.stdout


@pytest.mark.parametrize("words, said", [(("--host", "http"), "NAME=ADDRESS is wanted"), ((), "no SERVICE.client here")])
def test_bad_input_is_one_clear_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = command(str(tmp_path), *words)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
