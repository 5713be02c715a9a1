"""What a shared file ends with is others' too: taken back, it is the same to the byte."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.trust.boxes import REGISTRIES, Box
from tests.trust.local.uninstalls import SHARED, remove, trust

if TYPE_CHECKING:
    from trusted_registry.settings import Settings

TOML = "/etc/buildkit/buildkitd.toml"
FILES = {
    "no line end": (SHARED.removesuffix("\n"), "debug = true"),
    "no line end, of Windows": (SHARED.replace("\n", "\r\n").removesuffix("\r\n"), '[registry."a"]\r\n  http = true'),
    "a comment without a line end": (f"{SHARED}# the end", "debug = true # why"),
    "a blank without a line end": (f"{SHARED}  ", "debug = true\n\t"),
    "a key without a line end": ("configs:\n  a.example: {}\nmirrors:", "[registry]"),
    "a line end": (SHARED, "debug = true\n"),
    "many line ends": (f"{SHARED}\n\n", "debug = true\n\n\n"),
}
files = pytest.mark.parametrize("texts", FILES.values(), ids=FILES)

pytestmark = pytest.mark.usefixtures("this_machine")


def _put(box: Box, texts: tuple[str, str]) -> None:
    for path, text in zip((REGISTRIES, TOML), texts, strict=True):
        box.file(path, text)


@files
def test_a_shared_file_comes_back_to_the_byte(texts: tuple[str, str], box: Box, settings: Settings) -> None:
    _put(box, texts)
    before = snapshot(box.root)
    trust(settings)
    assert box.machine.path(TOML).read_bytes() != texts[1].encode()
    remove(settings)
    assert snapshot(box.root) == before


@files
@pytest.mark.parametrize("first", [True, False])
def test_it_does_so_too_where_two_checkouts_wrote_into_it(
    texts: tuple[str, str], box: Box, settings: Settings, *, first: bool
) -> None:
    _put(box, texts)
    before = snapshot(box.root)
    root = settings.root / "other"
    (root / "certs").mkdir(parents=True)
    (root / "certs" / "ca.crt").write_bytes((settings.folder / "ca.crt").read_bytes())
    other = dataclasses.replace(settings, root=root, folder=root / "certs", names=("other.local",))
    trust(settings)
    mine = snapshot(box.root)
    trust(other)
    one, two = (settings, other) if first else (other, settings)
    remove(one)
    assert first or snapshot(box.root) == mine
    remove(two)
    assert snapshot(box.root) == before


@files
def test_what_others_wrote_below_meanwhile_keeps_its_line_end(
    texts: tuple[str, str], box: Box, settings: Settings
) -> None:
    _put(box, texts)
    trust(settings)
    path = box.machine.path(TOML)
    with path.open("a") as file:
        file.write("[grpc]\n")
    remove(settings)
    between = "" if texts[1].endswith("\n") else "\n"
    assert path.read_bytes() == f"{texts[1]}{between}[grpc]\n".encode()
