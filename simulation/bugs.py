"""planted later"""

from contextlib import contextmanager

BUGS = {}


@contextmanager
def planted(n):
    yield
