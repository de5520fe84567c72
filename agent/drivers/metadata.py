"""What a resource agent says of itself: its meta-data (OCF 1.1), and parameters held against it."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Mapping
from xml.etree import ElementTree

import msgspec

LARGEST = 512 * 1024
"""Bytes of meta-data that are looked at; the longest of Debian's resource-agents has a tenth."""

_PROGRAMS = ("bin", "binary", "binpath", "binfile", "httpd", "exec", "executable", "daemon", "command", "program")
"""Parameters of these names hold the agent's program."""

_UNITS = {"ms": 0.001, "msec": 0.001, "us": 0.000001, "usec": 0.000001, "": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hr": 3600}


class MetadataError(Exception):
    """The agent's meta-data cannot be understood; nothing of it is used."""


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of an agent."""

    name: str
    kind: str = "string"
    required: bool = False
    unique: bool = False
    default: str = ""


class Metadata(msgspec.Struct, frozen=True):
    """An agent's parameters, and the timeouts that it advises for its actions, in seconds."""

    parameters: Mapping[str, Parameter]
    timeouts: Mapping[str, float]

    def limit_s(self, action: str, at_most_s: float) -> float:
        """How long an action may take: what the agent advises, but no longer than that."""
        return min(self.timeouts.get(action, at_most_s), at_most_s)

    def wrong(self, given: Mapping[str, str]) -> str | None:
        """The first thing that is wrong with these parameters, and its remedy."""
        for name, value in given.items():
            parameter = self.parameters.get(name)
            if parameter is None:
                close = difflib.get_close_matches(name, self.parameters, n=1)
                known = f'did you mean "{close[0]}"?' if close else f"it has {', '.join(sorted(self.parameters)) or 'none'}"
                return f'parameters: the agent has no "{name}": {known}'
            complaint = _mistyped(parameter, value)
            if complaint:
                return f'parameters: {name} = "{value}" {complaint}'
        for name, parameter in self.parameters.items():
            if parameter.required and not parameter.default and not given.get(name):
                return f'parameters: "{name}" is missing, and the agent requires it: add it'
        return None

    def unique(self, given: Mapping[str, str]) -> dict[str, str]:
        """Those of these parameters, defaults included, which no two services may have alike."""
        found = {name: given.get(name) or parameter.default for name, parameter in self.parameters.items() if parameter.unique}
        return {name: value for name, value in found.items() if value}

    def programs(self, kind: str, given: Mapping[str, str], path: str) -> tuple[str, ...]:
        """Executables by which the agent's daemons are known: what its parameters name, and what is called as the agent is."""
        names = [kind]
        for name, parameter in self.parameters.items():
            value = given.get(name) or parameter.default
            if name.lower() in _PROGRAMS or (value.startswith("/") and "/sbin/" in value):
                names.append(value)
        found = (shutil.which(name, path=path) for name in names if name and ":" not in name)
        return tuple(dict.fromkeys(os.path.realpath(program) for program in found if program))

    def absent(self, given: Mapping[str, str]) -> str | None:
        """A program that a parameter names and that is not here.  Some defaults are of other systems: ask only if there is no other."""
        values = (given.get(name) or parameter.default for name, parameter in self.parameters.items())
        return next((value for value in values if value.startswith("/") and "bin/" in value and not shutil.which(value)), None)


def read(text: bytes) -> Metadata:
    """Meta-data from its XML.  Entities of its own are refused: nothing in it may grow.  Raises `MetadataError`."""
    if len(text) > LARGEST:
        raise MetadataError(f"its meta-data are longer than {LARGEST} bytes")
    if b"<!ENTITY" in text:
        raise MetadataError("its meta-data define entities, which is not done")
    try:
        root = ElementTree.fromstring(text.decode("utf-8", errors="replace"))
    except (ElementTree.ParseError, ValueError) as error:
        raise MetadataError(f"its meta-data are no XML: {error}") from None
    if root.tag != "resource-agent":
        raise MetadataError(f"its meta-data begin with <{root.tag}>, not with <resource-agent>")
    parameters = {}
    for element in root.iter("parameter"):
        name, content = element.get("name", ""), element.find("content")
        if name:
            parameters[name] = Parameter(
                name,
                content.get("type", "string") if content is not None else "string",
                _yes(element.get("required")),
                _yes(element.get("unique")) or bool(element.get("unique-group")),
                content.get("default", "") if content is not None else "",
            )
    return Metadata(parameters, _timeouts(root))


def _timeouts(root: ElementTree.Element) -> dict[str, float]:
    """The shortest that is advised for each action: the plain monitor before those that look deeper."""
    found: dict[str, float] = {}
    for element in root.iter("action"):
        limit_s = seconds(element.get("timeout", ""))
        name = element.get("name", "")
        if limit_s:
            found[name] = min(limit_s, found.get(name, limit_s))
    return found


def seconds(text: str) -> float | None:
    """`20`, `20s`, `1min`, `500ms`; None: no duration."""
    digits = text.strip().rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text.strip()[len(digits) :].strip().lower()
    if not digits.isdecimal() or unit not in _UNITS:
        return None
    return int(digits) * _UNITS[unit]


def _yes(text: str | None) -> bool:
    return (text or "").lower() in ("1", "true", "yes", "on")


def _mistyped(parameter: Parameter, value: str) -> str | None:
    if parameter.kind == "integer" and not value.strip().lstrip("+-").isdecimal():
        return "is no whole number, which the agent wants there"
    if parameter.kind == "boolean" and value.lower() not in ("1", "0", "true", "false", "yes", "no", "on", "off", "y", "n", "ja", "nein"):
        return "is neither yes nor no, which the agent wants there"
    if parameter.kind in ("time", "timeout") and seconds(value) is None:
        return "is no duration, which the agent wants there: write 20s"
    return None
