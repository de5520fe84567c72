"""How the tests of the page look at it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

Look = Callable[..., Page]
"""Open an address in a new page: its size, colours and the like as options (conftest.py)."""
