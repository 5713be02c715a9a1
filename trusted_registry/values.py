"""Values that a person can type: each kind checked, and returned in its canonical form."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from trusted_registry import lists
from trusted_registry.errors import SettingError

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DNS = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\Z", re.IGNORECASE | re.ASCII)
"""ASCII alone: IGNORECASE would otherwise accept U+0130 and U+017F as i and s (Python's re, IGNORECASE)."""
_ENDPOINT = rf"https?://({_LABEL}(\.{_LABEL}){{0,9}}|\[[0-9a-fA-F:]{{2,39}}\])(:[0-9]{{1,5}})?"
_REGION = rf"(?![0-9]+\Z){_LABEL}"
_PATH = re.compile(r"[^\x00-\x1f\x7f]*\Z")

_BUCKET = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/(?!\.)[A-Za-z0-9._-]{1,100}){0,8}"
"""Bucket (S3 user guide, bucket naming rules), and prefix: of letters alone that no form of a URL spells otherwise."""
STORAGES = {
    "storage": (re.compile(rf"({_BUCKET})?\Z"), "s3://BUCKET/PREFIX, of letters, digits, . _ -"),
    "storage_endpoint": (
        re.compile(rf"({_ENDPOINT})?\Z", re.ASCII | re.IGNORECASE),
        "a URL such as https://192.168.0.9:8333",
    ),
    "storage_region": (
        re.compile(rf"{_REGION}\Z", re.ASCII | re.IGNORECASE),
        "a region such as eu-central-1",
    ),
    "storage_insecure": (re.compile(r"(on|off)\Z"), "on or off"),
}
"""Settings of a bucket by name: what each may be, and how that is said."""


def storage(name: str, text: str) -> str:
    """Return the value of a setting of the storage in canonical form."""
    shorter = text.rstrip("/") if name in {"storage", "storage_endpoint"} else text
    found = matching(f"registry.{name}", shorter, *STORAGES[name])
    if name == "storage_endpoint" and not _is_possible(found):
        raise SettingError(f"registry.{name} is {found!r}.", cure=f"Use {STORAGES[name][1]}.")
    return found


def _is_possible(url: str) -> bool:
    """Whether address and port of a URL can be; any host name can."""
    try:
        host, port = urlsplit(url).hostname or "", urlsplit(url).port
        if ":" in host:
            ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return port != 0


def storages(text: Callable[[str], str]) -> dict[str, str]:
    """Return all settings of a bucket by name."""
    found = {name: storage(name, text(f"registry.{name}")) for name in STORAGES}
    check_endpoint(found["storage_endpoint"], found["storage_insecure"])
    return found


def check_endpoint(endpoint: str, insecure: str) -> None:
    """Refuse an endpoint without TLS unless somebody agreed to that: all images go there, for anyone to read."""
    if endpoint.startswith("http://") and insecure != "on":
        cure = "Give one that begins with https://; or, if everybody on the way may read along: --insecure-storage"
        raise SettingError(f"registry.storage_endpoint is {endpoint!r}, without TLS.", cure=cure)


def whole_number(key: str, text: str, low: int, high: int) -> int:
    """Return a whole number between two bounds, both included."""
    # str.isdigit would let other scripts' digits through; int() underscores and spaces.
    if not re.fullmatch(r"-?[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise SettingError(f"{key} is {text!r}.", cure=f"Use a whole number from {low} to {high}.")
    return int(text)


def one_of(key: str, text: str, choices: tuple[str, ...]) -> str:
    """Return a text that is one of the choices."""
    if text not in choices:
        raise SettingError(f"{key} is {text!r}.", cure=f"Use one of: {', '.join(choices)}.")
    return text


def matching(key: str, text: str, pattern: re.Pattern[str], words: str) -> str:
    """Return a text that matches a pattern, which `words` describe."""
    if not pattern.match(text):
        raise SettingError(f"{key} is {text!r}.", cure=f"Use {words}.")
    return text


def path(key: str, text: str) -> Path:
    """Return a path without control characters; ~ expands to the home folder."""
    if not _PATH.match(text):
        raise SettingError(f"{key} is {text!r}.", cure="Use a path without control characters.")
    try:
        os.fsencode(text)
        return Path(text).expanduser()
    except UnicodeEncodeError:
        raise SettingError(f"{key} is {text!r}.", cure="Use letters that a file's name can have.") from None
    except RuntimeError:
        raise SettingError(f"{key} is {text!r}: there is no such home folder.", cure="Write the path out.") from None


def address(key: str, text: str) -> str:
    """Return an IP address in canonical form (RFC 5952 for IPv6)."""
    usable = "Use one such as 192.168.0.12."
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise SettingError(f"{key} is {text!r}, which is no IP address.", cure=usable) from None
    # A zone ("fe80::1%eth0") is local to one machine and may hold any text: it has no place in a certificate or a path.
    if "%" in text or found.is_multicast:
        raise SettingError(f"{key} is {text!r}, which no client can use.", cure=usable)
    return str(found)


def reachable(key: str, text: str) -> str:
    """Return a host that other machines can reach: neither loopback nor the unspecified address.

    Docker and containerd skip verification for 127.0.0.0/8, so trust in a loopback address proves nothing.
    """
    found = host(key, text)
    if found.rpartition(".")[2] == "localhost":
        raise SettingError(f"{key} is {text!r}.", cure="Use an address or name that other machines know.")
    try:
        parsed = ipaddress.ip_address(found)
    except ValueError:
        return found
    if parsed.is_loopback or parsed.is_unspecified:
        raise SettingError(f"{key} is {text!r}.", cure="Use an address that other machines can reach.")
    return found


def host(key: str, text: str) -> str:
    """Return an IP address in canonical form or a DNS name (RFC 1123) in lower case.

    A name of digits and dots alone is read as an address, as clients do (RFC 3986, 3.2.2): 999.1.1.1 is refused.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if re.fullmatch(r"[0-9.]+", bare) or ":" in bare:
        return address(key, bare)
    if not _DNS.match(text):
        cure = "Use one such as 192.168.0.12, fd00::12 or registry.local."
        raise SettingError(f"{key} is {text!r}, which is neither an IP address nor a DNS name.", cure=cure)
    return text.lower()


def hosts(key: str, text: str) -> tuple[str, ...]:
    """Return the hosts of a comma-separated list, each once; none for an empty list."""
    return tuple(dict.fromkeys(host(key, part) for part in lists.split(text)))
