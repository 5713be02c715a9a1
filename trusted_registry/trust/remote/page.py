"""HTML page of instructions for each kind of machine; every path and restart comes from the table of stores."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from trusted_registry import templates
from trusted_registry.trust import client_stores, contents
from trusted_registry.trust.managed_blocks import editing
from trusted_registry.trust.model import LINUX, MACHINE, MACOS, Store, TrustAnchor
from trusted_registry.trust.remote import kit_mirrors
from trusted_registry.trust.specifics import macos, windows

_PAIRS = 8
"""Bytes of a fingerprint on one line: short enough for a phone, and for a comparison by eye."""

SAVED = "trust.html"
"""Name under which a reader saves the page."""

_CODE_DIGITS = 20
"""Digits of a page's SHA-256 that people compare: 80 bits, since whoever is on the way may try pages without end."""

MOST_IMAGES = 500
"""Images that the page lists; more would make it slow on a phone."""

_SHOWN = {
    "home": "~",
    "config": "~/.config",
    "data": "~/.local/share",
    "docker": "~/.docker",
    "run": "$XDG_RUNTIME_DIR",
}
_HOME = Path("$HOME")
_FILE = Path(contents.AUTHORITY)


def render(  # noqa: PLR0913 - all that the page shows
    anchor: TrustAnchor,
    registry_host: str,
    *,
    kit: bytes,
    kit_name: str,
    lines: Mapping[str, str] | None = None,
    images: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return the page as HTML.

    Args:
        anchor: Trust anchor that readers are to install.
        registry_host: Registry host that the page names first and uses in examples.
        kit: Script for Linux, embedded in the page.
        kit_name: File name under which a browser saves the kit.
        lines: Line to paste for each kind of machine, on a page that is offered where such a line gets the kit.
        images: Images of the registry that the page lists, each with its size in words.
    """
    from cryptography import x509

    mirrored = dataclasses.replace(anchor, beside=None)  # its download is one file, which each command puts in place
    anchor = kit_mirrors.bare(mirrored)
    authority = x509.load_der_x509_certificate(anchor.der)
    text = templates.render(
        "trust.html",
        registry_host=registry_host,
        registry_hosts=anchor.registry_hosts,
        mirrors=kit_mirrors.upstreams(mirrored),
        typed_host=shlex.quote(registry_host),
        lines=lines or {},
        authority=authority.subject.rfc4514_string(),
        begins=f"{authority.not_valid_before_utc:%Y-%m-%d}",
        ends=f"{authority.not_valid_after_utc:%Y-%m-%d}",
        saved=SAVED,
        code_digits=_CODE_DIGITS,
        fingerprint=pieces(anchor.fingerprint),
        certificate=_data("application/pem-certificate-chain", anchor.content),
        kit={
            "name": kit_name,
            "data": _data("application/x-sh", kit),
            "check": check_command(kit, kit_name),
            "word": shlex.quote(kit_name),
        },
        linux=_rows(mirrored, registry_host),
        mac=_mac(anchor),
        windows=_windows(anchor),
        containerd=_hosts_toml(anchor, registry_host),
        k3s=_yaml("k3s", anchor),
        by_hand=_by_hand(anchor),
        images=[(name, size, _pulls(f"{registry_host}/{name}")) for name, size in images[:MOST_IMAGES]],
        more_images=max(len(images) - MOST_IMAGES, 0),
    )
    return text.encode()


def _pulls(reference: str) -> dict[str, str]:
    """Return the line to copy for each kind of client."""
    pulled = {client: shlex.join([client, "pull", reference]) for client in ("docker", "podman")}
    return {**pulled, "Kubernetes": f"image: {reference}"}


def code(page: bytes) -> str:
    """Return the code of a page, in groups to be read out: the first digits of its SHA-256.

    The kit, the certificate and every command are in the page, so the code is that of all of them. The page itself
    cannot show it: whoever changed the page on its way would leave that text as it was.
    """
    digits = hashlib.sha256(page).hexdigest()[:_CODE_DIGITS]
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def check_command(content: bytes, name: str, program: str = "sha256sum -c -") -> str:
    """Return the command that succeeds if a downloaded file has this content."""
    return f"echo {shlex.quote(f'{hashlib.sha256(content).hexdigest()}  {name}')} | {program}"


def policy(page: bytes) -> str:
    """Return the Content-Security-Policy that allows this page and no more."""

    def digests(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page.decode(), re.DOTALL)
        hashed = (base64.b64encode(hashlib.sha256(it.encode()).digest()).decode() for it in found)
        return " ".join(f"'sha256-{it}'" for it in hashed) or "'none'"

    return (
        f"default-src 'none'; style-src {digests('style')}; script-src {digests('script')}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def pieces(fingerprint: str) -> list[str]:
    """Split a fingerprint, in openssl's notation, into pieces of a line each, to compare.

    Joined, the pieces are the whole fingerprint.
    """
    pairs = windows.colons(fingerprint)
    width = 3 * _PAIRS
    return [pairs[at : at + width] for at in range(0, len(pairs), width)]


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _rows(anchor: TrustAnchor, registry_host: str) -> list[tuple[Store, list[tuple[tuple[str, ...], str]]]]:
    """Return the rows of Linux: a store, and the places and the refresh command of each store of its name and clients.

    The system stores of the distribution families are an example.
    """
    found: dict[tuple[str, str], list[Store]] = {}
    for store in client_stores.STORES:
        if store.system == LINUX:
            found.setdefault((store.name, store.clients), []).append(store)
    return [(alike[0], [_places(it, anchor, registry_host) for it in alike]) for alike in found.values()]


def _places(store: Store, anchor: TrustAnchor, registry_host: str) -> tuple[tuple[str, ...], str]:
    plain = kit_mirrors.bare(anchor)
    named = [file.path for file in store.files(plain) if file.registry_host in ("", registry_host)]
    named += [block.path for block in store.blocks(plain)]
    named += kit_mirrors.paths(store, anchor)
    named += store.database.places if store.database else ()
    refresh = shlex.join(store.refresh.command) if store.refresh else ""
    return tuple(dict.fromkeys(path.format_map(_SHOWN) for path in named)), refresh


def _mac(anchor: TrustAnchor) -> dict[str, object]:
    engines = [store for store in client_stores.STORES if store.system == MACOS and not store.database]
    paths = [file.path.replace("{home}", str(_HOME)) for file in engines[0].files(anchor)]
    return {
        "system": _line(macos.add(_FILE, "system", _HOME)),
        "login": _line(macos.add(_FILE, "login", _HOME)),
        "copy": [_line(argv) for path in paths for argv in (("mkdir", "-p", _folder(path)), ("cp", str(_FILE), path))],
        "engines": engines,
        "remove": {
            which: [_line(argv) for argv in macos.remove(_FILE, anchor.sha1, which, _HOME)] for which in macos.KEYCHAINS
        },
        "uncopy": _remove(paths),
        "colima": [shlex.join(macos.colima_leftovers(it)) for it in anchor.registry_hosts],
    }


def _windows(anchor: TrustAnchor) -> dict[str, object]:
    return {
        "add": {whose: windows.add(anchor, whose) for whose in windows.WHOSE},
        "remove": {whose: windows.remove(anchor, whose) for whose in windows.WHOSE},
        "restart": windows.store("machine").restart,
    }


def _hosts_toml(anchor: TrustAnchor, registry_host: str) -> tuple[str, str]:
    """Return path and text of containerd's hosts.toml for the registry host."""
    files = client_stores.store("containerd").files(anchor)
    configured = [file for file in files if file.content != anchor.content]
    file = next((it for it in configured if it.registry_host == registry_host), configured[0])
    return file.path, file.content.decode()


def _yaml(key: str, anchor: TrustAnchor) -> dict[str, object]:
    """Return a file of our managed blocks alone, and its certificates."""
    store = client_stores.store(key)
    text = ""
    # Each block is put in above those before it, hence the reversed order.
    for block in store.blocks(dataclasses.replace(anchor, registry_hosts=anchor.registry_hosts[::-1])):
        text = editing.added(text, block)
    ours = [line for line in text.splitlines() if not line.strip().startswith(editing.MARK)]
    return {
        "path": store.blocks(anchor)[0].path,
        "text": "\n".join(line.partition(f" {editing.MARK[:-1]}")[0] for line in ours),
        "copy": _install((it.path for it in store.files(anchor)), "sudo"),
        "restart": store.restart,
    }


def _by_hand(anchor: TrustAnchor) -> list[dict[str, object]]:
    """Return install and remove commands for clients that read only ca.crt."""
    found: list[dict[str, object]] = []
    for store in map(client_stores.store, ("docker", "docker-rootless", "containers")):
        root = ("sudo",) if store.scope == MACHINE else ()
        paths = [file.path.replace("{config}", f"{_HOME}/.config") for file in store.files(anchor)]
        found.append({"clients": store.clients, "add": _install(paths, *root), "remove": _remove(paths, *root)})
    return found


def _install(paths: Iterable[str], *root: str) -> list[str]:
    return [_line((*root, "install", "-D", "-m", "0644", str(_FILE), path)) for path in paths]


def _remove(paths: Iterable[str], *root: str) -> list[str]:
    return [_line((*root, *argv)) for path in paths for argv in (("rm", path), ("rmdir", _folder(path)))]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _line(argv: Iterable[str]) -> str:
    """Return a command for a shell, with $HOME left as a variable."""
    home = f"{_HOME}/"
    return " ".join(
        f'"{_HOME}"{shlex.quote(word[len(home) - 1 :])}' if word.startswith(home) else shlex.quote(word)
        for word in argv
    )
