"""How the tests are shared out when several run at a time (pytest -n, as `locum test` does).

A file goes to one worker.  But all tests that start a demo are for the same
worker, since its addresses are there once, so are those that share one test-bed, and
each test of the simulation, which takes long, is for any.  The long ones come
first.
"""

from __future__ import annotations

from typing import Any

import pytest

DEMO = ("tests/demo/", "tests/processes/test_single_deaths.py", "tests/monitor_web/test_page_on_demo.py")
SIMULATION = "tests/simulation/"
TESTBED = "tests/testbed/"


def unit(nodeid: str) -> str:
    """The tests of one unit are run by one worker, in their order."""
    if nodeid.startswith(DEMO):
        return "demo"
    if nodeid.startswith(TESTBED):
        return "testbed"
    return nodeid if nodeid.startswith(SIMULATION) else nodeid.partition("::")[0]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first."""
    items.sort(key=lambda item: (not item.nodeid.startswith((*DEMO, TESTBED)), not item.nodeid.startswith(SIMULATION)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """xdist's own groups (its version 3.8) are lost on pytest 9.2, hence this."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Units(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    config.option.loadscopereorder = False
    return Units(config, log)
