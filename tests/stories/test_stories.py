"""Whole-cluster stories, as text with recorded transcripts; `LOCUM_RECORD=1` records them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from player import Player, StoryError

STORIES = sorted(Path(__file__).parent.glob("*.txt"))


def test_the_stories_that_must_be_told_are_there() -> None:
    assert {"first_start", "power_cut_and_return", "secondary_dies", "sds_away_during_a_death", "planned_move"} <= {s.stem for s in STORIES}
    assert {"process_killed", "both_voters_cut_off"} <= {s.stem for s in STORIES}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
def test_story_goes_as_recorded(story: Path) -> None:
    text = story.read_text()
    assert text.startswith("# "), "a story begins with a sentence of purpose"
    played = Player().play(text)
    if os.environ.get("LOCUM_RECORD"):
        story.write_text(played)
        return
    assert played.splitlines() == text.splitlines(), f"{story.name} goes otherwise than recorded; LOCUM_RECORD=1 records it anew"


def test_a_story_that_goes_otherwise_is_noticed() -> None:
    text = STORIES[0].read_text()
    assert Player().play(text.replace("epoch 1", "epoch 7")) != text.replace("epoch 1", "epoch 7")


def test_a_line_that_is_no_order_is_named() -> None:
    with pytest.raises(StoryError, match="line 3: 'dance' is no order"):
        Player().play("# Nothing.\n\n> dance\n")


def test_a_story_goes_the_same_way_twice() -> None:
    text = STORIES[-1].read_text()
    assert Player().play(text) == Player().play(text)
