"""An issuer that a server does not send is told from an anchor that is another authority's."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import forge
from tests.certificate.makers import both_tools
from tests.recorder import Recorder
from trusted_registry.certificate import inspect, issue, unsent
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from tests.forge import Forged
    from trusted_registry.certificate.inspect import Certificate
    from trusted_registry.settings import Settings

ROOT = forge.authority(subject="root", pathlen=2)
MIDDLE = forge.issuer(ROOT, subject="middle", pathlen=1)
ISSUER = forge.issuer(MIDDLE)
SERVER = forge.server(ISSUER)


def _missing(root: Forged, shown: Forged, *sent: Forged) -> str:
    server, anchor, *behind = (inspect.of(Path("a certificate"), it.certificate) for it in (shown, root, *sent))
    return unsent.issuer(server, behind, anchor)


@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        ([], "issuer"),
        ([ISSUER], "middle"),
        ([MIDDLE], "issuer"),
        ([forge.authority(subject="another"), ISSUER], "middle"),
        ([ISSUER, MIDDLE], ""),
        ([MIDDLE, ISSUER], ""),
        ([ISSUER, MIDDLE, ROOT], ""),
    ],
    ids=["alone", "half", "the upper half", "beside another", "whole", "in another order", "with the root"],
)
def test_the_nearest_issuer_that_is_not_sent_is_named(sent: list[Forged], missing: str) -> None:
    assert _missing(ROOT, SERVER, *sent) == missing


@pytest.mark.parametrize(
    ("root", "shown"),
    [
        (forge.authority(subject="root"), SERVER),
        (forge.authority(subject="issuer", pathlen=1), SERVER),
        (forge.authority(ca=None), SERVER),
        (ROOT, forge.server(None)),
        (ROOT, forge.server(ROOT)),
    ],
    ids=["no issuer may be below it", "by the issuer's name", "no authority", "self-signed", "the root's own"],
)
def test_where_no_issuer_can_be_missing_none_is_named(root: Forged, shown: Forged) -> None:
    assert _missing(root, shown) == ""


def _made(make_settings: MakeSettings, folder: Path, tool: str = "cryptography") -> issue.Issued:
    settings = dataclasses.replace(make_settings(tool=tool), folder=folder)
    issue.ensure(Run(settings, Recorder()))
    issued = issue.find(folder)
    assert issued
    return issued


@pytest.mark.process
@both_tools
def test_of_what_was_made_here_the_issuer_is_known_by_its_root_s_name(
    tool: str, make_settings: MakeSettings, tmp_path: Path
) -> None:
    ours, another = _made(make_settings, tmp_path / "ours", tool), _made(make_settings, tmp_path / "another")
    assert unsent.issuer(ours.server, [], ours.anchor) == ours.issuers[0].subject
    assert unsent.issuer(ours.server, ours.issuers, ours.anchor) == ""
    assert unsent.issuer(ours.server, [], another.anchor) == ""
    assert unsent.issuer(ours.server, ours.issuers, another.anchor) == ""


def test_what_was_made_here_is_below_no_company_s_root_nor_the_other_way_round(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    ours = _made(make_settings, tmp_path / "ours")
    assert unsent.issuer(ours.server, [], _of(ROOT)) == ""
    assert unsent.issuer(_of(SERVER), [], ours.anchor) == ""


def _of(forged: Forged) -> Certificate:
    return inspect.of(Path("a certificate"), forged.certificate)


@pytest.mark.process
def test_a_file_that_lacks_its_issuer_whose_key_is_elsewhere_is_made_whole_by_the_line_that_is_told(
    make_settings: MakeSettings,
) -> None:
    settings = _cut(make_settings())
    for end in (b"", b"\n"):
        (settings.folder / "domain.crt").write_bytes((settings.folder / "domain.crt").read_bytes().rstrip() + end)
        with pytest.raises(RegistryError, match="lacks its issuer") as caught:
            issue.find(settings.folder)
        line = caught.value.cure.partition(": ")[2].removesuffix(" && ./inv up")
        subprocess.run(["/bin/sh", "-c", line], check=True)
        issued = issue.find(settings.folder)
        assert issued
        assert [it.path.name for it in issued.issuers] == ["issuer.crt"]
        _cut(settings)


def _cut(settings: Settings) -> Settings:
    """Fill a folder whose name a shell would take for two, without the issuer's key, and cut the server's file."""
    settings = dataclasses.replace(settings, folder=settings.root / "two words")
    settings.folder.mkdir(exist_ok=True)
    forge.save(forge.server(forge.fill(settings.folder)), settings.folder, "domain")
    forge.save(forge.server(forge.load(settings.folder, "issuer")), settings.folder, "domain")
    (settings.folder / "issuer.key").unlink()
    return settings
