"""Public suffixes: names such as com, dev and co.uk, below which anybody registers names of their own.

An authority that may vouch for a name may vouch for every name below it (RFC 5280, 4.2.1.10), so none of ours gets one.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.certificate import profile
from trusted_registry.errors import SettingError
from trusted_registry.settings import Settings

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@functools.cache
def _suffixes(top: str) -> PublicSuffixList:
    """Return the public suffixes that end in a top label.

    To read them all takes a twentieth of a second, of every first `up`; that is for labels in other scripts alone.
    """
    from publicsuffixlist import PSLFILE, PublicSuffixList

    with Path(PSLFILE).open(encoding="utf-8") as rules:
        chosen = [it for it in rules if top.startswith("xn--") or it.strip().rpartition(".")[2] == top]
    # Otherwise the last label of every name counts as public: `lan`, and each host of one word.
    return PublicSuffixList(chosen, accept_unknown=False)


def is_public(name: str) -> bool:
    """Return whether a checked DNS name is a public suffix, of the list that is installed; nobody is asked."""
    local = address.is_ip(name) or profile.permits_name(profile.LOCAL_NAMES, name)
    return not local and _suffixes(name.lower().rpartition(".")[2]).is_public(name)


def check(settings: Settings, hosts: Iterable[str]) -> None:
    """Refuse hosts that an authority would have to share with strangers.

    Raises:
        SettingError: The first host that is a public suffix.
    """
    for host in filter(is_public, hosts):
        setting = "registry.address" if host == settings.address else "registry.names"
        below = f"an authority that may vouch for it may vouch for everybody's names below, as www.{host}"
        cure = "Use an address, a name under .local, or a whole name that is yours."
        raise SettingError(f"{setting} is {host!r}, a public suffix: {below}.", cure=cure)


def own_name() -> str | None:
    """Return this machine's own name, or None without one that a certificate here may carry."""
    name = address.own_name()
    return None if name and is_public(name) else name


def told(hosts: Collection[str]) -> str:
    """Return the line that tells of this machine's own name in a new authority; "" where that adds nothing.

    Args:
        hosts: Hosts that a person asked for.
    """
    name = address.own_name()
    if not name or profile.permits_name((*profile.LOCAL_NAMES, *hosts), name):
        return ""
    if is_public(name):
        return f"own name: {name} is a public suffix, so no certificate here names it"
    return f"own name: the authority may vouch for {name} and every name below it"
