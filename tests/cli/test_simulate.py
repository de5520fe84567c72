"""`locum simulate`: its files, the same bytes again, and wrong usage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli.commands import run
from cli.outcome import Misconfigured
from cli.simulate import loads

QUICK = ("--hours", "0.5", "--seeds", "2", "--load", "0.1:0.9:0.4")


def test_the_same_options_give_the_same_bytes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        assert run(["simulate", *QUICK, "--out", str(tmp_path / name)]) == 0
        page, progress = capfd.readouterr()
        assert "static" in page and "p99" in page and "paper: 3 of 3" in progress
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["paper.csv", "paper.png", "paper.svg", "paper.txt"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert (tmp_path / "one" / "paper.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "one" / "paper.svg").read_text()
    heads, *rows = (tmp_path / "one" / "paper.csv").read_text().splitlines()
    assert heads.startswith("sweep,model,load,mean_ms,ci95_ms,p50_ms") and len(rows) == 6


def test_one_model_of_one_study_with_one_seed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--study", "correlated", "--model", "dynamic", "--seeds", "1", "--load", "0.5", "--hours", "0.5", "--out", str(tmp_path)]
    assert run(["simulate", *options]) == 0
    page = capfd.readouterr().out
    assert "one seed, so no confidence intervals" in page and "static" not in page
    assert len((tmp_path / "correlated.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "meant"),
    [("0.5", (0.5,)), ("0.1:0.3:0.1", (0.1, 0.2, 0.3)), ("0.05:0.95:0.3", (0.05, 0.35, 0.65, 0.95)), ("0.2:0.2:1", (0.2,))],
)
def test_a_range_of_loads(text: str, meant: tuple[float, ...]) -> None:
    assert loads(text) == meant


@pytest.mark.parametrize(
    "text", ["", "high", "0.1:0.9", "0.9:0.1:0.1", "0:1:0.1", "-0.1:0.5:0.1", "0.1:0.9:0", "0:0.9:0.0001", "nan", "0.1:nan:0.1", "inf:1:1"]
)
def test_a_range_that_cannot_be_is_one_clear_line(text: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        loads(text)
    assert run(["simulate", f"--load={text}", "--out", str(tmp_path / "f")]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("locum: --load: ") and len(err.splitlines()) == 1
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(("option", "value"), [("--study", "none"), ("--hours", "nan"), ("--out", "/dev/null/f")])
def test_what_else_cannot_be_is_one_clear_line(option: str, value: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    others = [] if option == "--out" else ["--out", str(tmp_path)]
    assert run(["simulate", option, value, *others]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.startswith(f"locum: {option}: ") and len(err.splitlines()) == 1


@pytest.mark.parametrize(("option", "value"), [("--seeds", "0"), ("--hours", "0"), ("--model", "best"), ("--seeds", "many")])
def test_wrong_usage_is_2(option: str, value: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", option, value]) == 2
    assert option in capfd.readouterr().err


def test_drawing_is_not_loaded_before_it_is_needed() -> None:
    """matplotlib takes a while: asking for help, or for anything else, must not wait for it."""
    program = "import sys, cli.commands, cli.simulate, simulation.figure3.results; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False).returncode == 0
