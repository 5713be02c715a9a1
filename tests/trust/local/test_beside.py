"""Files of others beside ours in certs.d: those on which every pull fails are named with their cure, others are not.

The words of the clients, seen with Docker 20.10 and 28.5 and in the sources of podman's containers/image 5.36:
"open …/node-client-ca.crt: no such file or directory", "read …/old.crt: is a directory", "missing client certificate …
for key …", "tls: failed to find any PEM data in certificate input", "tls: private key does not match public key".
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from cryptography.hazmat.primitives import serialization

from tests import forge
from tests.trust.boxes import SPELLINGS, Box, store_of
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local import beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.forge import Key

FOLDER = f"/etc/docker/certs.d/{SPELLINGS[0]}"
DER = serialization.Encoding.DER
PEM = serialization.Encoding.PEM


def pair(folder: Path, stem: str = "client", key: Key | None = None) -> None:
    """Put a client's certificate with its key, or with another one."""
    made = forge.server(None)
    (folder / f"{stem}.cert").write_bytes(made.certificate.public_bytes(PEM))
    (folder / f"{stem}.key").write_bytes(forge.pem(key or made.key))


def encrypted(folder: Path) -> None:
    """Put a client's certificate whose key has a passphrase."""
    made = forge.server(None)
    (folder / "client.cert").write_bytes(made.certificate.public_bytes(PEM))
    locked = serialization.BestAvailableEncryption(b"secret")
    kept = made.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, locked)
    (folder / "client.key").write_bytes(kept)


def in_der(folder: Path) -> None:
    """Put a client's certificate as DER, under the right names."""
    pair(folder)
    (folder / "client.cert").write_bytes(forge.server(None).certificate.public_bytes(DER))


def empty(folder: Path) -> None:
    """Put a pair that `touch` made."""
    for suffix in (".cert", ".key"):
        (folder / f"client{suffix}").touch()


FATAL: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a link to nothing": (
        lambda it: (it / "node-client-ca.crt").symlink_to("/nonexistent"),
        "is a link to /nonexistent, which is not there",
        "rm {0}/node-client-ca.crt",
    ),
    "a link to itself": (lambda it: (it / "a.crt").symlink_to("a.crt"), "cannot be read", "rm {0}/a.crt"),
    "a hidden link": (lambda it: (it / ".crt").symlink_to("gone.pem"), "is a link to gone.pem", "rm {0}/.crt"),
    "a folder": (lambda it: (it / "old.crt").mkdir(), "is a folder", "mv {0}/old.crt {0}/old.crt.unused"),
    "a queue": (lambda it: os.mkfifo(it / "q.crt"), "is no file", "mv {0}/q.crt {0}/q.crt.unused"),
    "a lone key": (lambda it: (it / "a b.key").touch(), "has no .cert beside it", "rm '{0}/a b.key'"),
    "an empty pair": (empty, "holds none in PEM", ""),
    "a pair in DER": (in_der, "holds none in PEM", ""),
    "another's key": (lambda it: pair(it, key=forge.server(None).key), "has another certificate's key", ""),
    "a passphrase": (encrypted, "has a key with a passphrase", ""),
}
PAIR = "mv {0}/client.cert {0}/client.cert.unused && mv {0}/client.key {0}/client.key.unused"


@pytest.mark.parametrize("case", FATAL)
def test_what_keeps_docker_from_every_pull_is_named_and_goes_by_its_cure(case: str, box: Box) -> None:
    put, says, cure = FATAL[case]
    folder = box.folder(FOLDER)
    put(folder)
    with pytest.raises(RegistryError, match=says) as caught:
        beside.check(folder, store_of("docker"))
    assert f"every pull from {SPELLINGS[0]} fails" in caught.value.message
    command = caught.value.cure.partition(": ")[2]
    assert command == (cure or PAIR).format(folder)
    for line in command.split(" && "):
        program, path, *_ = shlex.split(line)
        os.remove(path) if program == "rm" else os.rename(path, f"{path}.unused")  # noqa: PTH104, PTH107 - as typed
    beside.check(folder, store_of("docker"))


HARMLESS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "a whole pair": pair,
    "another authority": lambda it: forge.save(forge.authority(), it, "other").with_suffix(".key").unlink(),
    "a link that leads": lambda it: (it / "x.crt").symlink_to(forge.save(forge.authority(), it.parent, "x")),
    "no certificate": lambda it: (it / "notes.crt").write_text("none"),
    "another suffix": lambda it: (it / "old.crt.unused").symlink_to("/nonexistent"),
    "pem": lambda it: (it / "old.pem").symlink_to("/nonexistent"),
    "a folder": lambda it: (it / "old").mkdir(),
}


@pytest.mark.parametrize("case", HARMLESS)
@pytest.mark.parametrize("key", ["docker", "docker-rootless", "containers", "containerd"])
def test_what_clients_read_over_is_left_in_peace(case: str, key: str, box: Box) -> None:
    folder = box.folder(FOLDER)
    HARMLESS[case](folder)
    beside.check(folder, store_of(key))


def test_podman_reads_over_a_link_to_nothing_and_containerd_reads_what_hosts_toml_names(box: Box) -> None:
    folder = box.folder(FOLDER)
    (folder / "a.crt").symlink_to("/nonexistent")
    beside.check(folder, store_of("containers"))
    beside.check(folder, store_of("containerd"))
    (folder / "b.crt").mkdir()
    beside.check(folder, store_of("containerd"))
    with pytest.raises(RegistryError, match=r"b\.crt is a folder"):
        beside.check(folder, store_of("containers"))


def test_an_authority_that_its_reader_may_not_read_is_told_to_who_is_not_root(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = box.folder(FOLDER)
    (folder / "theirs.crt").touch()
    monkeypatch.setattr(Path, "open", _denied)  # root, as whom tests may run, reads everything
    beside.check(folder, store_of("docker"))
    with pytest.raises(RegistryError, match="may not be read by this user"):
        beside.check(folder, store_of("docker-rootless"))


def _denied(path: Path, *_: object) -> NoReturn:
    raise PermissionError(13, "Permission denied", str(path))


def test_a_file_in_the_folder_s_place_is_named_with_its_cure(box: Box) -> None:
    path = box.file(FOLDER)
    with pytest.raises(RegistryError, match="is not a folder") as caught:
        beside.check(path, store_of("docker"))
    assert caught.value.cure == f"Take it away: mv {path} {path}.unused"
