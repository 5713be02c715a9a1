"""Mirrors in the kit: words for the shell functions of kit/mirrors.sh and kit/daemon.sh, from the table of stores."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace

from trusted_registry.errors import RegistryError
from trusted_registry.trust.model import File, ManagedBlock, Store, TrustAnchor
from trusted_registry.trust.remote import kit_words

DAEMONS = {"docker": "/etc/docker/daemon.json", "docker-rootless": "{config}/docker/daemon.json"}
"""Configurations of Docker Engines, by the keys of their stores (dockerd(8))."""

_DOCKER_HUB = "docker.io"
"""The upstream that `registry-mirrors` is about, and no other (docs.docker.com/docker-hub/image-library/mirror)."""

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")
_EVERY = '"*":'
"""Entry of registries.yaml for upstreams without one of their own (docs.k3s.io/installation/private-registry)."""


def bare(anchor: TrustAnchor) -> TrustAnchor:
    """Return a trust anchor without mirrors."""
    return replace(anchor, mirrors=(), retired=())


def upstreams(anchor: TrustAnchor) -> str:
    """Return the upstreams of a trust anchor's mirrors in words; empty for none."""
    return ", ".join(it.upstream for it in anchor.mirrors)


def check(anchor: TrustAnchor) -> None:
    """Refuse mirrors whose names are none.

    Raises:
        RegistryError: An upstream or a mirror's registry host is invalid.
    """
    for mirror in anchor.mirrors:
        for name in (mirror.upstream, mirror.registry_host):
            if not _HOST.fullmatch(name) or not name.strip("."):
                raise RegistryError(f"{name!r} is not a registry's name.", cure="./inv mirror.list")


def are_told(store: Store, anchor: TrustAnchor) -> bool:
    """Whether a store's clients can be told of mirrors: not those that get nothing but a certificate."""
    return any(_is_word(it) for it in _files(store, anchor).values()) or bool(_blocks(store, anchor))


def _is_word(pieces: dict[str, File]) -> bool:
    return any(not it.path.endswith(".crt") for it in pieces.values())


def _one_by_one(anchor: TrustAnchor) -> Iterator[tuple[str, TrustAnchor]]:
    for mirror in anchor.mirrors:
        yield mirror.upstream, replace(anchor, mirrors=(mirror,))


def _files(store: Store, anchor: TrustAnchor) -> dict[str, dict[str, File]]:
    """Return the files of mirrors in a store, by path and upstream; one about several holds a part for each."""
    without = set(store.files(bare(anchor)))
    found: dict[str, dict[str, File]] = {}
    for upstream, alone in _one_by_one(anchor):
        for file in store.files(alone):
            if file not in without:
                found.setdefault(file.path, {})[upstream] = file
    return found


def _blocks(store: Store, anchor: TrustAnchor) -> list[tuple[str, ManagedBlock]]:
    """Return the blocks of mirrors in a store, each with its upstream, in the order of the table."""
    without = store.blocks(bare(anchor))
    upstreams = {it: name for name, alone in _one_by_one(anchor) for it in store.blocks(alone) if it not in without}
    return [(upstreams[it], it) for it in store.blocks(anchor) if it in upstreams]


def paths(store: Store, anchor: TrustAnchor) -> list[str]:
    """Return the files by which a store's clients are told of mirrors, certificates left out."""
    found = [
        path for path, pieces in _files(store, anchor).items() if path.split("/")[-2] in pieces or _is_shared(path)
    ]
    return [*found, *(DAEMONS[store.key] for _ in _daemon("", store, anchor))]


def _is_shared(path: str) -> bool:
    """Whether a file is about several upstreams: a drop-in of podman's."""
    return path.endswith(".conf")


def heeds(store: Store, anchor: TrustAnchor) -> Iterator[str]:
    """Return the commands that look for words of others about upstreams, before anything else of a store."""
    for path, pieces in _files(store, anchor).items():
        for upstream, file in pieces.items():
            if path.endswith("/hosts.toml") and path.split("/")[-2] == upstream:
                yield _command("heed_hosts", shlex.quote(upstream), kit_words.path(path), _content(file, anchor))
        if _is_shared(path):
            content = "\n".join(it.content.decode() for it in pieces.values())
            yield _command("heed_registries", kit_words.path(path), kit_words.text(content), *map(shlex.quote, pieces))
    yield from _daemon("heed_daemon", store, anchor)
    blocks = _blocks(store, anchor)
    for path in dict.fromkeys(block.path for _, block in blocks):
        specs = [kit_words.block_spec(_claimed(it, name), name) for name, it in blocks if it.path == path]
        yield _command("among", kit_words.path(path), kit_words.text("\n".join(specs)))


def _claimed(block: ManagedBlock, upstream: str) -> ManagedBlock:
    """Return a block whose claims have the entry for every upstream too."""
    is_about_it = block.under and block.registry_host == upstream
    return replace(block, claims=(*block.claims, _EVERY)) if is_about_it else block


def items(store: Store, anchor: TrustAnchor) -> Iterator[str]:
    """Return the commands for what is told of mirrors in files of a store, after its trust."""
    for path, pieces in _files(store, anchor).items():
        words = (it for name, file in pieces.items() for it in (shlex.quote(name), _content(file, anchor)))
        yield _command("mirror", kit_words.path(path), *words)
        folder, _, name = path.rpartition("/")
        for template in store.shadowed_by if name.endswith(".crt") else ():
            hidden_path = kit_words.path(f"{template}/{folder.rpartition('/')[2]}")
            for upstream, file in pieces.items():
                yield _command("mirror_hidden", shlex.quote(upstream), hidden_path, name, _content(file, anchor))
    yield from _daemon("daemon", store, anchor)
    others = [it for it in anchor.mirrors if it.upstream != _DOCKER_HUB]
    if store.key in DAEMONS and others:
        yield _command(
            "hub_alone", *(shlex.quote(it) for other in others for it in (other.upstream, other.registry_host))
        )


def _daemon(function: str, store: Store, anchor: TrustAnchor) -> Iterator[str]:
    for mirror in anchor.mirrors:
        if store.key in DAEMONS and mirror.upstream == _DOCKER_HUB:
            url = shlex.quote(f"https://{mirror.registry_host}")
            yield _command(function, shlex.quote(mirror.upstream), kit_words.path(DAEMONS[store.key]), url)


def _content(file: File, anchor: TrustAnchor) -> str:
    return '"$cert"' if file.content == anchor.content else kit_words.text(file.content.decode())


def _command(*words: str) -> str:
    return " ".join(words)
