"""What a service may be told, and how it says that it cannot use it."""

from __future__ import annotations

import pytest

from demo.services.program import SettingError, read_setting

GOOD = {
    "LOCUM_SERVICE": "www",
    "LOCUM_SERVER": "http",
    "LOCUM_EPOCH": "12",
    "LOCUM_ADDRESS": "127.0.9.21",
    "LOCUM_PORT": "8081",
}


def test_environment():
    setting = read_setting([], GOOD, needs_root=False)
    assert (setting.service, setting.server, setting.epoch, setting.where, setting.root) == ("www", "http", 12, "127.0.9.21:8081", None)
    assert setting.greeting == "Locum www server=http epoch=12"


def test_flags_override():
    setting = read_setting(["--address=::1", "--port", "9", "--root=/a=b"], GOOD, needs_root=True)
    assert (setting.where, setting.root) == ("[::1]:9", "/a=b")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LOCUM_SERVER", "two words"),
        ("LOCUM_SERVER", "http\r\n220 welcome"),
        ("LOCUM_SERVER", "ünser"),
        ("LOCUM_SERVER", "x" * 64),
        ("LOCUM_SERVICE", "\x7f"),
        ("LOCUM_EPOCH", "-1"),
        ("LOCUM_EPOCH", "1.5"),
        ("LOCUM_EPOCH", "²"),
        ("LOCUM_EPOCH", "9" * 5_000),
        ("LOCUM_PORT", "0"),
        ("LOCUM_PORT", "65536"),
        ("LOCUM_PORT", "http"),
        ("LOCUM_ADDRESS", "localhost"),
        ("LOCUM_ADDRESS", "127.1"),
        ("LOCUM_ADDRESS", "::1%lo"),
        ("LOCUM_ADDRESS", "127.0.0.1\0"),
        ("LOCUM_ADDRESS", ""),
    ],
)
def test_a_wrong_value_is_named(variable, value):
    with pytest.raises(SettingError, match=variable):
        read_setting([], {**GOOD, variable: value}, needs_root=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--root"], "--root: has no value"),
        (["--root="], "--root: has no value"),
        (["--prot", "80"], "'--prot': is no flag of this program: it knows --address, --port, --root"),
        (["8081"], "'8081': is no flag"),
        (["--port", "many"], "--port: is 'many': give a whole number from 1 to 65535"),
        (["--address", "www"], "--address: is 'www': give an IPv4 or IPv6 address"),
    ],
)
def test_a_wrong_flag_is_named(arguments, words):
    with pytest.raises(SettingError) as raised:
        read_setting(arguments, GOOD, needs_root=False)
    assert words in str(raised.value)
