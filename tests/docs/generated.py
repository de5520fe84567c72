"""What docs/safety.md takes from the code: `PYTHONPATH=. .venv/bin/python tests/docs/generated.py` writes it there."""

from __future__ import annotations

import re

from documents import CHECKOUT, DOCS

from bus.config import Timing
from simulation.bugs import BUGS
from simulation.bugs.seeds import SEEDS

SAFETY = DOCS / "safety.md"


def presets() -> str:
    """The table of R3."""
    head = "| preset | needs | beat | H | S | tick | G | loadlevel | one fault | in a planned move |"
    lines = [head, re.sub(r"[^|]+", " --- ", head)]
    for timing in (Timing.fast(), Timing.lan(), Timing.calm(), Timing.wan()):
        durations = (timing.beat_s, timing.lease_s, timing.stop_s, timing.tick_s)
        bounds = (timing.outage_bound_s(0.0), timing.move_bound_s(0.0))
        cells = [f"`{timing.name}`", timing.needs, *(f"{value:g}" for value in durations), f"{timing.promise_s:.3f}"]
        cells += [f"{timing.loadlevel_s:g}", *(f"{value:.2f}" for value in bounds)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rank(rule: str) -> tuple[int, str]:
    return (int(rule[1:]), "") if re.fullmatch(r"R\d+", rule) else (1_000, rule)


def planted_bugs() -> str:
    """The table of everything that is planted."""
    lines = ["| bug | rule | what is left out | life |", "| --- | --- | --- | --- |"]
    for bug in sorted(BUGS.values(), key=lambda bug: (_rank(bug.rule), bug.name)):
        text = bug.text.replace("|", "\\|") + (f"; planted along with `{bug.covered_by}`" if bug.covered_by else "")
        seed = bug.first_seed if bug.name in SEEDS else "none yet"
        lines.append(f"| `{bug.name}` | {bug.rule} | {text} | {seed} |")
    return "\n".join(lines)


def tests_of(rule: str) -> str:
    """The line about the files whose tests bear the rule's number."""
    named = re.compile(rf"^def test_{rule.lower()}_", re.MULTILINE)
    files = sorted(path for path in (CHECKOUT / "tests").rglob("test_*.py") if named.search(path.read_text()))
    return "- Rule tests: " + (", ".join(f"`{path.relative_to(CHECKOUT)}`" for path in files) or "none") + "."


def bugs_of(rule: str) -> str:
    """The line about a rule's planted bugs."""
    names = sorted(bug.name for bug in BUGS.values() if bug.rule == rule)
    return "- Planted bugs: " + (", ".join(f"`{name}`" for name in names) or "none") + "."


def renewed(page: str) -> str:
    """The page of safety with everything that is generated as the code has it now."""
    for name, text in (("presets", presets()), ("planted bugs", planted_bugs())):
        block = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, count = block.subn(lambda found, text=text: found[1] + text + "\n" + found[2], page)
        assert count == 1, f"docs/safety.md has no place for {name}"

    def line(found: re.Match[str]) -> str:
        return f"{found[1]}{tests_of(found[2])}\n{bugs_of(found[2])}"

    return re.sub(r"(^### (R\d+) (?:(?!^##)[\s\S])*?)^- Rule tests:.*\n- Planted bugs:.*$", line, page, flags=re.MULTILINE)


if __name__ == "__main__":
    SAFETY.write_text(renewed(SAFETY.read_text()))
