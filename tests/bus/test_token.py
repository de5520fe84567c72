"""A join token is one line; a damaged one is one clear line too."""

from __future__ import annotations

import re
import shlex

import pytest

from bus.keys import Secret
from bus.token import JoinToken, TokenError, read, write

TOKEN = JoinToken(
    cluster="shop",
    number=7,
    address="2001:db8::10",
    port=5750,
    updates_port=5751,
    sds_key=Secret.new().public,
    secret=Secret.new().z85,
    role="server",
    name="http",
    expires_at=1_800_000_000.0,
)


@pytest.mark.parametrize(
    "token", [TOKEN, JoinToken(**{f: getattr(TOKEN, f) for f in TOKEN.__struct_fields__} | {"name": None, "role": "viewer"})]
)
def test_a_token_is_one_word_for_any_shell_and_is_read_back(token: JoinToken) -> None:
    line = write(token)
    assert re.fullmatch(r"locum1-[A-Za-z0-9_-]+", line) and shlex.quote(line) == line
    assert read(line) == token


def test_blanks_and_line_breaks_of_a_paste_do_not_matter() -> None:
    line = write(TOKEN)
    assert read(f"  {line[:50]}\n   {line[50:]}\r\n") == TOKEN


def test_a_token_that_was_cut_short_anywhere_is_one_line() -> None:
    line = write(TOKEN)
    for length in range(len("locum1-"), len(line)):
        with pytest.raises(TokenError, match="damaged or cut short") as error:
            read(line[:length])
        assert "\n" not in str(error.value) and str(length) in str(error.value)


def test_a_wrong_letter_anywhere_is_noticed() -> None:
    line = write(TOKEN)
    for at in range(len("locum1-"), len(line) - 1):
        wrong = line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :]
        with pytest.raises(TokenError, match="damaged"):
            read(wrong)


@pytest.mark.parametrize("text", ["", "hello", "locum-", "token-7", "locum1 ", "http://locum1-abc", "locum1-a.b", "locum1-é"])
def test_what_is_no_token_is_one_line(text: str) -> None:
    with pytest.raises(TokenError, match="no join token"):
        read(text)


def test_another_version_says_what_to_do() -> None:
    with pytest.raises(TokenError, match="version 2, this Locum reads version 1: upgrade"):
        read("locum2-" + write(TOKEN).partition("-")[2])
