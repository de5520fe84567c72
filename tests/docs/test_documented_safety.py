"""docs/safety.md: every rule, the presets as they are, every planted bug, and nothing that the simulator does not look at."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from documents import CHECKOUT, DOCS, sections
from generated import renewed

from simulation.life import kind_of

PAGE = (DOCS / "safety.md").read_text()
RULES = sections(sections(PAGE, 2)["The rules"], 3)


def test_what_is_generated_is_as_the_code_has_it() -> None:
    assert renewed(PAGE) == PAGE, "run: PYTHONPATH=. .venv/bin/python tests/docs/generated.py, and look at the difference"


def test_every_rule_is_there_in_order() -> None:
    assert [title.split()[0] for title in RULES] == [f"R{number}" for number in range(1, 23)]


@pytest.mark.parametrize("title", RULES)
def test_a_rule_says_where_it_lives_and_what_holds_it(title: str) -> None:
    said, _, rest = RULES[title].partition("\n- Code: ")
    code, _, held = rest.partition("\n- Held by: ")
    assert said.strip()
    assert code.strip().rstrip(".") == "none" or "`" in code, "no file is named"
    assert held.strip(), "nothing holds it"
    assert "\n- Rule tests: " in held
    assert "\n- Planted bugs: " in held


def test_the_judge_looks_at_what_it_is_said_to_look_at() -> None:
    """And everything that it looks at is named."""
    source = "".join((CHECKOUT / "simulation" / name).read_text() for name in ("judge.py", "questions.py", "overlaps.py"))
    accused = set(re.findall(r'_accuse\(\s*"([^"]+)"', source))
    named: set[str] = set()
    for section in RULES.values():
        for words in re.findall(r"judge: ([^.;]+)[.;]", section):
            named |= {" ".join(word.split()) for word in words.split(",")}
    assert named == accused


def test_the_kinds_of_lives_are_drawn_as_it_says() -> None:
    drawn = Counter(kind_of(seed) for seed in range(20))
    said = dict(re.findall(r"^\| (storm|single|quiet) \| (\d+) \|", PAGE, re.MULTILINE))
    assert said == {kind: str(count) for kind, count in drawn.items()}
