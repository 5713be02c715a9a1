"""The kit as a text: what is in it, what is quoted, and what is refused before it is made."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode, snapshot
from tests.recorder import Recorder
from tests.rendered import rendered
from tests.trust.remote.kits import SHELLS, Disk, anchor, last, parameters
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_kit
from trusted_registry.trust import client_stores
from trusted_registry.trust.model import Mirror, RestartHint
from trusted_registry.trust.remote import kit, kit_mirrors

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings
    from trusted_registry.trust.model import TrustAnchor

GOLDEN = Path(__file__).parents[2] / "golden" / "trust.sh.rendered"
ODD = (
    "a'b", 'a"b', "$(touch it)", "`touch it`", "a;touch it", "a b", "*", "?", "~", "-n", "--", "$HOME", "a\\b", "a&b",
    "a|b", "#a", "!a", "{a", "%s%n", "ä", "a,b",
)  # fmt: skip


def test_what_is_rendered_of_the_kit_is_the_golden_file() -> None:
    lines = rendered(kit.render(anchor(), "192.168.0.12").decode(), "trust.sh")
    # The kit's sum is of its other lines too: whether it is right is what the kit itself looks at.
    assert re.sub(r"kit_sum='[0-9a-f]{64}'\n", "", lines, count=1) == GOLDEN.read_text()


def test_what_is_rendered_of_mirrors_is_their_golden_file() -> None:
    mirrors = (Mirror("docker.io", "192.168.0.12:5500"), Mirror("ghcr.io", "192.168.0.12:5501"))
    told = dataclasses.replace(anchor(registry_hosts=("192.168.0.12",)), mirrors=mirrors)
    plain = rendered(kit.render(kit_mirrors.bare(told), "192.168.0.12").decode(), "trust.sh").splitlines()
    lines = rendered(kit.render(told, "192.168.0.12").decode(), "trust.sh").splitlines(keepends=True)
    own = "".join(line for line in lines if line.rstrip("\n") not in plain)
    assert (
        re.sub(r"kit_sum='[0-9a-f]{64}'\n", "", own, count=1)
        == (GOLDEN.parent / "trust-mirrors.sh.rendered").read_text()
    )


def test_a_kit_without_mirrors_has_nothing_of_theirs() -> None:
    for told in (anchor(), dataclasses.replace(anchor(), mirrors=(Mirror("docker.io", "192.168.0.12:5500"),))):
        text = kit.render(told, "192.168.0.12").decode()
        assert [it in text for it in ("heed_hosts", "docker.io/hosts.toml", "5500")] == [bool(told.mirrors)] * 3


def test_its_name_its_head_and_its_output_carry_the_fingerprint() -> None:
    one = anchor()
    assert kit.file_name(one, "192.168.0.12") == f"trust-192.168.0.12-{one.fingerprint[:16]}.sh"
    assert f"# Authority, SHA-256: {one.fingerprint}\n" in kit.render(one, "192.168.0.12").decode().partition("{\n")[0]


@pytest.mark.parametrize(
    ("registry_host", "name"),
    [("[fd00::12]:8443", "fd00-12-8443"), ("registry.local:443", "registry.local-443"), ("../x y", "x-y")],
)
def test_its_name_is_safe_for_every_file_system(registry_host: str, name: str) -> None:
    assert kit.file_name(anchor(), registry_host) == f"trust-{name}-{anchor().fingerprint[:16]}.sh"


def test_a_kit_whose_fingerprint_is_not_its_certificate_s_is_never_made() -> None:
    one = anchor()
    for wrong in (
        dataclasses.replace(one, fingerprint=anchor("another").fingerprint),
        dataclasses.replace(one, content=one.content + anchor("another").content),
        dataclasses.replace(one, content=b"no certificate"),
        dataclasses.replace(one, content=b""),
    ):
        with pytest.raises(RegistryError, match="fingerprint"):
            kit.render(wrong, "192.168.0.12")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "a\tb", "a\x1fb", "{home}", "a\x00b"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="not a registry's name"):
        kit.render(anchor(registry_hosts=(name,)), "192.168.0.12")
    with pytest.raises(RegistryError, match="not a registry's name"):
        kit.render(anchor(), name)


@pytest.mark.process
@pytest.mark.parametrize("shell", parameters(SHELLS, pytest.mark.long))
def test_no_name_breaks_out_of_its_quotes(tmp_path: Path, shell: tuple[str, ...]) -> None:
    """Settings refuse all of these; that the kit would not, is proved here."""
    names = tuple(it for it in ODD if "{" not in it)
    disk = Disk(tmp_path, _odd(names), shell).furnish()
    before = snapshot(disk.folder)
    expected = disk.expected()
    done = disk.here()
    assert last(done) == (0, "changed"), done
    assert {path: path.read_bytes() for path in expected} == expected
    assert last(disk.here("--check"))[1] == "trusted"
    assert last(disk.here("--dry-run"))[1] == "already trusted"
    assert last(disk.here("--remove"))[1] == "changed"
    assert snapshot(disk.folder) == before


def _odd(names: tuple[str, ...]) -> TrustAnchor:
    return anchor(registry_hosts=("192.168.0.12", *names))


@pytest.mark.process
@pytest.mark.parametrize("name", [it for it in ODD if "{" not in it])
def test_no_name_of_the_registry_breaks_out_of_the_head(tmp_path: Path, name: str) -> None:
    disk = Disk(tmp_path, anchor(registry_hosts=("192.168.0.12",))).furnish()
    disk.script.write_bytes(kit.render(disk.anchor, name))
    assert name in disk.run("--help").stdout
    assert last(disk.here()) == (0, "changed")
    assert not (disk.folder / "it").exists()


@pytest.mark.process
def test_nothing_of_the_table_breaks_out_of_its_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = 'mine\'s $(touch it) "own"'
    table = tuple(
        dataclasses.replace(it, clients=odd, restart=it.restart and RestartHint(odd, f"sh -c '{odd}'"))
        for it in client_stores.STORES
    )
    monkeypatch.setattr(kit, "STORES", table)
    disk = Disk(tmp_path).furnish()
    assert f"docker ({odd}): " in disk.here("--dry-run").stdout
    done = disk.here()
    assert last(done) == (0, "changed")
    assert f"k3s: it {odd}, so: sh -c '{odd}'\n" in done.stdout
    assert not (disk.folder / "it").exists()


def test_a_name_with_a_brace_is_refused_since_the_table_would_fill_it_in() -> None:
    with pytest.raises(RegistryError):
        kit.render(_odd(("{a",)), "192.168.0.12")


def test_trust_kit_writes_the_script_and_the_page(settings: Settings, console: Recorder) -> None:
    script, page = trust_kit.write(Run(settings, console))
    wanted = trust_kit.load_anchor(settings)
    assert script == settings.folder / kit.file_name(wanted, "192.168.0.12")
    assert script.read_bytes() == kit.render(wanted, "192.168.0.12")
    assert mode(script) == 0o755
    assert wanted.fingerprint[:8] in re.sub(r"[^0-9a-f]", "", page.read_text().lower())
    assert f"authority: SHA-256 {wanted.fingerprint}" in console.said
    assert console.typed == [
        f"scp {script} HOST:",
        f"ssh HOST sh {script.name} --check",
        f"ssh -t HOST sudo sh {script.name}",
    ]


def test_what_it_holds_is_the_certificate_that_trust_linux_writes(settings: Settings) -> None:
    assert trust_kit.load_anchor(settings).content == (settings.folder / "ca.crt").read_bytes()


def test_nothing_but_the_certificate_travels(settings: Settings) -> None:
    alone = trust_kit.load_anchor(settings)
    ca = settings.folder / "ca.crt"
    ca.write_bytes(b"Whose: mine\r\n" + ca.read_bytes())
    assert trust_kit.load_anchor(settings) == alone


def test_it_goes_where_out_says(settings: Settings, console: Recorder, tmp_path: Path) -> None:
    script, _ = trust_kit.write(Run(settings, console), out=str(tmp_path / "a stick"))
    assert script.parent == tmp_path / "a stick"


def test_a_dry_run_writes_no_kit(make_settings: MakeSettings) -> None:
    settings, dry = make_settings(tool="cryptography"), Recorder(dry=True)
    assert trust_kit.write(Run(settings, dry)) == ()
    assert "holds no certificate to trust" in dry.said[0]
    issue.ensure(Run(settings, Recorder()))
    before = snapshot(settings.folder)
    assert trust_kit.write(Run(settings, dry)) == ()
    assert snapshot(settings.folder) == before
    assert dry.typed[0].startswith("scp ")


def test_without_a_certificate_there_is_no_kit(make_settings: MakeSettings, console: Recorder) -> None:
    with pytest.raises(RegistryError, match="holds no certificate to trust") as refused:
        trust_kit.write(Run(make_settings(), console))
    assert "./inv cert" in refused.value.cure
