"""The `[[service]]` sections of an agent's file: what in them does not go together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bus.values import Name, ServiceDefinition

UNSET = "unset"
"""In the place of a home: the agent in whose file the section stands."""

_OF_DRIVER = {
    "command": ("start", "stop", "activate"),
    "ocf": ("agent", "parameters"),
    "systemd": ("unit",),
}
"""The keys that only one driver understands."""

_OF_WORDS = ("start", "stop", "check", "prepare", "activate")
"""The keys that are argument vectors."""

_MUST = {
    "command": ("start", 'give the program as a list, as in start = ["/usr/sbin/nginx", "-g", "daemon off;"]'),
    "ocf": ("agent", 'name the resource agent, as in agent = "ocf:heartbeat:nginx"'),
    "systemd": ("unit", 'name the unit, as in unit = "nginx.service"'),
}
"""The key without which a driver can do nothing."""


class ServiceSection(ServiceDefinition, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[service]]` of an agent's file; `home` is that agent and is not written down."""

    home: Name = UNSET


def complaints(services: Iterable[ServiceSection], server: str, ttl_s: int | None) -> Iterator[str]:
    """What is wrong, each in one line that names service, key and remedy; `ttl_s` is that of the names, None without DNS."""
    seen: set[str] = set()
    for service in services:
        where = f'service "{service.name}"'
        if service.name in seen:
            yield f"{where}: name: stands twice: rename one of the two"
        seen.add(service.name)
        yield from (f"{where}: {complaint}" for complaint in (*_about_driver(service), *_about_words(service)))
        if not service.exclusive and ttl_s is not None and service.finish_s <= ttl_s:
            yield (
                f"{where}: finish_s: is {service.finish_s:g}, but resolvers remember the former holder's address for dns.ttl_s = "
                f"{ttl_s}: give at least that and the time of a start"
            )
        if service.home not in (UNSET, server):
            yield f'{where}: home: is "{service.home}", but a service is described at its home: leave the key out'


def _about_driver(service: ServiceSection) -> Iterator[str]:
    driver = service.driver
    for other, keys in _OF_DRIVER.items():
        for key in keys:
            if other != driver and getattr(service, key):
                yield f'{key}: is for driver = "{other}", and this one has driver = "{driver}": change the driver, or leave the key out'
    key, remedy = _MUST[driver]
    if not getattr(service, key):
        yield f"{key}: is missing: {remedy}"
    for name in service.parameters:
        if not name.isascii() or not name.replace("_", "a").replace("-", "a").isalnum():
            yield f'parameters: "{name}" cannot be the name of one: write letters, digits and _ only, as the meta-data of the agent has it'
    if service.standby == "hot" and driver == "systemd":
        yield 'standby: systemd starts a unit for the whole host and not behind a door of ours: write standby = "warm"'


def _about_words(service: ServiceSection) -> Iterator[str]:
    """What the kernel can give no program: its words and its environment end at a NUL, and a variable's name at a =."""
    remedy = "no program can be given that character: take it out"
    for key in _OF_WORDS:
        if any("\0" in word for word in getattr(service, key)):
            yield f"{key}: has a NUL in one of its words: {remedy}"
    for key in ("parameters", "environment"):
        for name, value in getattr(service, key).items():
            if "\0" in value:
                yield f"{key}: {name!r} has a NUL in its value: {remedy}"
    for name in service.environment:
        if not name or "=" in name or "\0" in name:
            yield f"environment: {name!r} cannot be the name of a variable: write letters, digits and _ only"
