"""One HTML file that says how each machine is told to trust the registry; every path and restart is the table's."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import templates
from trusted_registry.trust import rules, stores
from trusted_registry.trust.clients import macos, windows
from trusted_registry.trust.lines import blocks
from trusted_registry.trust.row import LINUX, MACHINE, MACOS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trusted_registry.trust.row import Restart, Store, Subject

_PAIRS = 8
"""Bytes of a fingerprint on one line: what fits a phone, and an eye."""

_SHOWN = {
    "home": "~",
    "config": "~/.config",
    "data": "~/.local/share",
    "docker": "~/.docker",
    "run": "$XDG_RUNTIME_DIR",
}
_HOME = Path("$HOME")
_FILE = Path(rules.AUTHORITY)


@dataclass(frozen=True)
class Row:
    """Stores of the same clients in words: each one's places and refresh, and what comes after a change."""

    clients: str
    places: tuple[tuple[tuple[str, ...], str], ...]
    restart: Restart | None
    on_request: bool


def render(subject: Subject, reference: str, *, kit: bytes, kit_name: str) -> bytes:
    """Return the page.

    Args:
        subject: What is to be trusted.
        reference: What the registry is called first of all.
        kit: The script for Linux, which the page carries.
        kit_name: What that is saved as.
    """
    from cryptography import x509

    authority = x509.load_der_x509_certificate(subject.der)
    text = templates.render(
        "trust.html",
        reference=reference,
        spellings=subject.spellings,
        authority=authority.subject.rfc4514_string(),
        begins=f"{authority.not_valid_before_utc:%Y-%m-%d}",
        ends=f"{authority.not_valid_after_utc:%Y-%m-%d}",
        fingerprint=lines(subject.fingerprint),
        certificate=_data("application/pem-certificate-chain", subject.content),
        kit={
            "name": kit_name,
            "data": _data("application/x-sh", kit),
            "check": f"echo {shlex.quote(f'{hashlib.sha256(kit).hexdigest()}  {kit_name}')} | sha256sum -c -",
            "word": shlex.quote(kit_name),
        },
        linux=_rows(subject, reference),
        mac=_mac(subject),
        windows=_windows(subject),
        containerd=_hosts_toml(subject, reference),
        k3s=_yaml("k3s", subject),
        by_hand=_by_hand(subject),
    )
    return text.encode()


def policy(page: bytes) -> str:
    """Return the Content-Security-Policy under which a browser takes this page as it is, and nothing besides."""

    def digests(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page.decode(), re.DOTALL)
        hashed = (base64.b64encode(hashlib.sha256(it.encode()).digest()).decode() for it in found)
        return " ".join(f"'sha256-{it}'" for it in hashed) or "'none'"

    return (
        f"default-src 'none'; style-src {digests('style')}; script-src {digests('script')}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def lines(fingerprint: str) -> list[str]:
    """Return a fingerprint as openssl writes it, in pieces that are compared one by one; joined, they are the whole."""
    whole = windows.colons(fingerprint)
    width = 3 * _PAIRS
    return [whole[at : at + width] for at in range(0, len(whole), width)]


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _rows(subject: Subject, reference: str) -> list[Row]:
    """Return the stores of Linux; those of one name and the same clients are one row, such as each family's own."""
    found: dict[tuple[str, str], list[Store]] = {}
    for store in stores.STORES:
        if store.system == LINUX:
            found.setdefault((store.name, store.clients), []).append(store)
    return [
        Row(
            clients=alike[0].clients,
            places=tuple(
                (_places(it, subject, reference), shlex.join(it.refresh.command) if it.refresh else "") for it in alike
            ),
            restart=alike[0].restart,
            on_request=alike[0].on_request,
        )
        for alike in found.values()
    ]


def _places(store: Store, subject: Subject, reference: str) -> tuple[str, ...]:
    named = [file.path for file in store.files(subject) if file.spelling in ("", reference)]
    named += [block.path for block in store.blocks(subject)]
    named += store.database.places if store.database else ()
    return tuple(dict.fromkeys(path.format_map(_SHOWN) for path in named))


def _mac(subject: Subject) -> dict[str, object]:
    engines = [store for store in stores.STORES if store.system == MACOS and not store.database]
    paths = [file.path.replace("{home}", str(_HOME)) for file in engines[0].files(subject)]
    return {
        "system": _line(macos.add(_FILE, "system", _HOME)),
        "login": _line(macos.add(_FILE, "login", _HOME)),
        "copy": [_line(argv) for path in paths for argv in (("mkdir", "-p", _folder(path)), ("cp", str(_FILE), path))],
        "engines": engines,
        "remove": {
            which: [_line(argv) for argv in macos.remove(_FILE, subject.sha1, which, _HOME)]
            for which in macos.KEYCHAINS
        },
        "uncopy": [_line(argv) for path in paths for argv in (("rm", path), ("rmdir", _folder(path)))],
        "colima": [shlex.join(macos.left_in_colima(it)) for it in subject.spellings],
    }


def _windows(subject: Subject) -> dict[str, object]:
    return {
        "add": {whose: windows.add(subject, whose) for whose in windows.WHOSE},
        "remove": {whose: windows.remove(subject, whose) for whose in windows.WHOSE},
        "restart": windows.row("machine").restart,
    }


def _hosts_toml(subject: Subject, reference: str) -> tuple[str, str]:
    """Return path and text of what tells containerd of the registry by its first name."""
    store = next(row for row in stores.STORES if row.key == "containerd")
    configured = [file for file in store.files(subject) if file.content != subject.content]
    file = next((it for it in configured if it.spelling == reference), configured[0])
    return file.path, file.content.decode()


def _yaml(key: str, subject: Subject) -> dict[str, object]:
    """Return a file of shared lines as it would be with nothing else in it, and the certificate that it names."""
    store = next(row for row in stores.STORES if row.key == key)
    text = ""
    # Each is put in above those before it.
    for block in store.blocks(dataclasses.replace(subject, spellings=subject.spellings[::-1])):
        text = blocks.added(text, block)
    ours = [line for line in text.splitlines() if not line.strip().startswith(blocks.MARK)]
    return {
        "path": store.blocks(subject)[0].path,
        "text": "\n".join(line.partition(f" {blocks.MARK[:-1]}")[0] for line in ours),
        "copy": [_line(("sudo", "install", "-D", "-m", "0644", str(_FILE), it.path)) for it in store.files(subject)],
        "restart": store.restart,
    }


def _by_hand(subject: Subject) -> list[dict[str, object]]:
    """Return, for each client that reads nothing but certificates, the commands that put them there and take them."""
    found: list[dict[str, object]] = []
    for store in stores.STORES:
        paths = [file.path for file in store.files(subject) if file.content == subject.content]
        if store.key in ("docker", "docker-rootless", "containers"):
            root = ["sudo"] if store.scope == MACHINE else []
            typed = [path.replace("{config}", f"{_HOME}/.config") for path in paths]
            found.append(
                {
                    "clients": store.clients,
                    "add": [_line((*root, "install", "-D", "-m", "0644", str(_FILE), path)) for path in typed],
                    "remove": [
                        _line((*root, *argv)) for path in typed for argv in (("rm", path), ("rmdir", _folder(path)))
                    ],
                }
            )
    return found


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _line(argv: Iterable[str]) -> str:
    """Return a command for a shell, in which the home folder is whoever's types it."""
    home = f"{_HOME}/"
    return " ".join(
        f'"{_HOME}"{shlex.quote(word[len(home) - 1 :])}' if word.startswith(home) else shlex.quote(word)
        for word in argv
    )
