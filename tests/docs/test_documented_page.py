"""docs/monitor-page.md has a line for each source of the page."""

from __future__ import annotations

from documents import CHECKOUT, DOCS, plain, rows, sections

SOURCES = CHECKOUT / "monitor" / "web" / "src"


def test_every_source_of_the_page_has_its_line_and_every_line_its_source() -> None:
    files = rows(sections((DOCS / "monitor-page.md").read_text(), 2)["Its files"])
    there = {str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*") if path.is_file()}
    named = [plain(name) for name, _ in files]
    assert sorted(named) == sorted(there), f"only here: {sorted(set(named) - there)}; only there: {sorted(there - set(named))}"
    assert all(len(text) > 7 for _, text in files)
