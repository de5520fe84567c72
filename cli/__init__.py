"""The command line: `locum demo | sds | agent | status | ...`, thin over the other packages."""

VERSION = "0.1.0"
"""Of this release; pyproject.toml says the same."""
