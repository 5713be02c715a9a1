"""Kits for tests: of a certificate that stays the same, run by every shell that is here, on disks of a test's own."""

from __future__ import annotations

import hashlib
import os
import ssl
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.conftest import NOBODY
from tests.packages import is_fresh
from tests.programs import on_host
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.managed_blocks import editing
from trusted_registry.trust.model import LINUX, MACHINE, TrustAnchor
from trusted_registry.trust.remote import kit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SPELLINGS = ("192.168.0.12", "192.168.0.12:443", "registry.local", "registry.local:443", "[fd00::12]", "[fd00::12]:443")
SHELLS = {"dash": ("dash",), "bash": ("bash", "--posix"), "ash": ("busybox", "ash")}
AWKS = {"mawk": ("mawk",), "gawk": ("gawk",), "busybox": ("busybox", "awk"), "original": ("original-awk",)}
REGISTRIES = """\
# whoever wrote this, indents by four
mirrors:
    docker.io:
        endpoint:
            - "https://mirror.example"
configs:
    docker.io:
        auth: {username: me}
"""


def parameters(known: Mapping[str, tuple[str, ...]], *marks: pytest.MarkDecorator) -> list[object]:
    """Return a parameter for each program, those of a host of the lab marked so; further marks but for the first."""
    first = next(iter(known))
    return [
        pytest.param(
            argv,
            id=name,
            marks=[*([] if is_fresh(argv[0]) else [on_host(argv[0])]), *(() if name == first else marks)],
        )
        for name, argv in known.items()
    ]


def anchor(mark: str = "", registry_hosts: tuple[str, ...] = SPELLINGS) -> TrustAnchor:
    """Return what is to be trusted; with another mark, of another authority."""
    der = f"what a certificate holds, for those who only carry it {mark}".encode() * 9
    return TrustAnchor(ssl.DER_cert_to_PEM_cert(der).encode(), hashlib.sha256(der).hexdigest(), registry_hosts)


@dataclass(frozen=True)
class Disk:
    """A disk, a home, and a kit for them.

    Args:
        folder: Holds all three.
        anchor: What the kit is of.
        shell: What runs it.
    """

    folder: Path
    anchor: TrustAnchor = field(default_factory=anchor)
    shell: tuple[str, ...] = ("sh",)

    def __post_init__(self) -> None:
        for made in (self.root, self.home, self.folder / "var lib"):
            made.mkdir(parents=True, exist_ok=True)
        self.script.write_bytes(kit.render(self.anchor, self.anchor.registry_hosts[0]))

    @property
    def root(self) -> Path:
        """What "/" is."""
        return self.folder / "a disk"

    @property
    def home(self) -> Path:
        """This user's home."""
        return self.folder / "at home"

    @property
    def script(self) -> Path:
        """The kit."""
        return self.folder / kit.file_name(self.anchor, self.anchor.registry_hosts[0])

    @property
    def record(self) -> Path:
        """What the kit keeps in mind, of a machine's disk."""
        return self.root / "var/lib/trusted-registry/kit"

    @property
    def machine(self) -> Machine:
        """Where the table's paths are here."""
        folders = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
        programs = tuple(self.root / it for it in folders)
        home = self.home
        return Machine(
            home, home / ".config", home / ".local/share", home / "run", home / ".docker", programs, self.root
        )

    def of(self, other: TrustAnchor) -> Disk:
        """Return the same disk with another kit."""
        return Disk(self.folder, other, self.shell)

    def run(self, *flags: str, user: int | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the kit with these flags, as it is run by hand; root's record is in a folder of the test's own."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.home), **variables}
        apart = self._own_var_lib() if user is None and os.geteuid() == 0 and "--user" in flags else ()
        return subprocess.run(
            [*apart, *self.shell, str(self.script), *flags],
            env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            timeout=120, user=user, cwd=self.folder,
        )  # fmt: skip

    def _own_var_lib(self) -> tuple[str, ...]:
        """Return what runs a command with another folder for this machine's /var/lib."""
        script = 'mount --bind "$1" /var/lib && shift && exec "$@"'
        return ("unshare", "--mount", "sh", "-c", script, "sh", str(self.folder / "var lib"))

    def here(self, *flags: str, user: int | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the kit on the disk."""
        return self.run("--root", str(self.root), *flags, user=user, **variables)

    def put(self, path: str, text: str = "", mode: int = 0o644) -> Path:
        """Put a file on the disk."""
        made = self.root / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(text.encode())
        made.chmod(mode)
        return made

    def program(self, name: str) -> Path:
        """Install a program on the disk."""
        return self.put(f"usr/bin/{name}", "#!/bin/sh\n", 0o755)

    def furnish(self) -> Disk:
        """Put on the disk by what every machine's client that is found unasked is known."""
        for folder in ("var/lib/docker", "var/lib/rancher/k3s", "etc/buildkit"):
            (self.root / folder).mkdir(parents=True)
        for name in ("podman", "nerdctl"):
            self.program(name)
        return self

    def expected(self, scope: str = MACHINE, *, system: bool = False) -> dict[Path, bytes]:
        """Return what the table says that should be on the disk."""
        return dict(self._expected(scope, system=system))

    def _expected(self, scope: str, *, system: bool) -> Iterator[tuple[Path, bytes]]:
        for store in client_stores.STORES:
            wanted = store.system == LINUX and store.scope == scope and (system or not store.on_request)
            if not wanted or not machines.has_signs(store.signs, self.machine):
                continue
            for file in store.files(self.anchor):
                yield self.machine.path(file.path), file.content
            texts: dict[Path, str] = {}
            for block in store.blocks(self.anchor):
                path = self.machine.path(block.path)
                before = texts.get(path, path.read_text() if path.exists() else "")
                texts[path] = editing.added(before, block)
            yield from ((path, text.encode()) for path, text in texts.items())


def last(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    """Return how a run ended: its exit status and the line that programs read."""
    line = done.stdout.splitlines()[-1]
    assert line.startswith("trusted-registry: "), done
    return done.returncode, line.removeprefix("trusted-registry: ")


def hand_over(folder: Path) -> int | None:
    """Make a folder an ordinary user's, and return who that is; None where this is one already."""
    if os.geteuid():
        return None
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return NOBODY
