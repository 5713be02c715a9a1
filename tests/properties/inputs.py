"""What a person, or somebody who writes a person's configuration, may type; and settings made of it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
from hypothesis import strategies as st

from trusted_registry import settings as every
from trusted_registry.defaults import DEFAULTS
from trusted_registry.errors import RegistryError, SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trusted_registry.settings import Settings

ROOT = Path("/a/checkout")
ODD = "aZ09.-_:/\\[]@%+=,;#!$`'\"(){}<>|&*?~^ \t\n\r\0\x1b\x7f\x85\u2028\u017f\u212a\u0130\u00e9\udcff\ud800"
"""Letters with which shells, templates, INI, YAML, TOML, JSON, HTML, paths and terminals begin something new, and some
that are ASCII to a careless comparison."""
PIECES = (
    *("192.168.0.12", "registry.local", "fd00::12", "[fd00::12]", "10.0.0.5", "a", "x-1", "443", "8443", "registry:3"),
    *("..", "../", "/etc/passwd", "~", "~root", "\nDNS.9 = evil", "[ alt_names ]", "$(touch evil)", "`touch evil`"),
    *("${HOME}", "; touch evil", "' ; touch evil ; '", '"\nca = "/evil', "{{ 7 * 7 }}", "{% raw %}", "--privileged"),
    *("%s", "-", "#", "\\", ",", ", ", "@", "localhost", "127.0.0.1", "certs", "my certs", 'a,b"c', "EOF", "\nUSAGE\n"),
)


def share(part: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator for a test that gets only a part of the profile's examples, since each starts a program."""
    return hypothesis.settings(max_examples=max(12, hypothesis.settings().max_examples // part))


def typed() -> st.SearchStrategy[str]:
    """What a person, or somebody who writes a person's configuration, may type."""
    pieces = st.lists(st.sampled_from(PIECES) | st.sampled_from(ODD), max_size=5).map("".join)
    return pieces | st.text(ODD, max_size=20) | st.text(max_size=20)


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABEL, min_size=1, max_size=3).map(".".join).filter(lambda it: not re.fullmatch(r"[0-9.]+", it))
HOSTS = st.one_of(
    NAMES,
    st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address).filter(lambda it: not it.is_multicast).map(str),
    st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address).filter(lambda it: not it.is_multicast).map(str),
)
"""What is taken: so that not all examples end at the first check."""
GIVEN: dict[str, st.SearchStrategy[str]] = {
    "registry.address": HOSTS | typed(),
    "registry.names": st.lists(HOSTS | typed(), max_size=4).map(",".join),
    "registry.port": st.integers(-1, 70_000).map(str) | typed(),
    "registry.plain_port": st.integers(-1, 70_000).map(str) | typed(),
    "registry.listen": HOSTS | typed(),
    "registry.container": LABEL | typed(),
    "registry.volume": LABEL | typed(),
    "registry.image": st.sampled_from(["registry:3", "[fd00::12]:443/a/b:1"]) | typed(),
    "registry.archive": typed(),
    "registry.front": st.sampled_from(["on", "off"]) | typed(),
    "registry.front_image": st.sampled_from(["haproxy:lts", "[fd00::12]:443/a/b:1"]) | typed(),
    "registry.metrics": st.integers(-1, 70_000).map(str) | typed(),
    "registry.storage": st.sampled_from(["", "s3://images/a", "s3://images/a/b/"]) | typed(),
    "registry.storage_endpoint": st.sampled_from(["", "https://192.168.0.9:8333", "http://store"]) | typed(),
    "registry.storage_region": st.sampled_from(["us-east-1", "eu-central-1"]) | typed(),
    "registry.storage_insecure": st.sampled_from(["on", "off"]) | typed(),
    "registry.drain": st.integers(-1, 100_000).map(str) | typed(),
    "certificate.folder": typed(),
    "certificate.key": st.sampled_from(every.KEY_KINDS) | typed(),
    "certificate.days": st.integers(-1, 5000).map(str) | typed(),
    "certificate.authority_days": st.integers(-1, 5000).map(str) | typed(),
    "certificate.renew_before": st.integers(-1, 5000).map(str) | typed(),
    "certificate.tool": st.sampled_from(every.TOOLS) | typed(),
    "images.undo_days": st.integers(-1, 5000).map(str) | typed(),
    "images.keep": st.integers(-1, 5000).map(str) | typed(),
    "images.older": st.integers(-1, 5000).map(str) | typed(),
    "images.untagged": st.sampled_from(["on", "off"]) | typed(),
    "images.match": st.sampled_from(["", "app", "team/*", "app:1.*"]) | typed(),
}


def load(**flags: str) -> Settings:
    """Return checked settings, as `tasks.py` makes them."""
    return every.load(DEFAULTS, root=ROOT, find_address=lambda: "192.168.0.12", flags=flags)


@st.composite
def taken(draw: st.DrawFn, *keys: str) -> Settings:
    """Settings that were taken, whatever was typed for these keys; for each that was refused, its default."""
    flags: dict[str, str] = {}
    for key in keys or GIVEN:
        value = draw(GIVEN[key])
        with contextlib.suppress(SettingError):
            load(**{key: value})
            flags[key] = value
    return load(**flags)


def has_a_cure(refused: RegistryError) -> None:
    assert refused.cure
    assert refused.message
