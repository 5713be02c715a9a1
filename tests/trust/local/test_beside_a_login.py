"""A client's file that has a login for the registry gains trust beside that, and loses nothing at a removal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.recorder import Recorder
from tests.trust.boxes import REGISTRIES, SPELLINGS, Box, states, store_of
from tests.trust.local.uninstalls import remove, trust
from trusted_registry.certificate import issue
from trusted_registry.run import Run
from trusted_registry.trust.local import leftovers, trust_anchor
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.local.state import State
from trusted_registry.trust.managed_blocks import editing, toml

if TYPE_CHECKING:
    from trusted_registry.settings import Settings
    from trusted_registry.trust.model import TrustAnchor

LOGIN = f'configs:\n  "{SPELLINGS[0]}":\n    auth:\n      username: ada\n      password: secret'
TOML = "/etc/buildkit/buildkitd.toml"
TABLE = f'[registry."{SPELLINGS[0]}"]\r\n  mirrors = ["mirror.example"]\r\n'
BOTH = StoreSelection(only=("k3s", "rke2", "buildkit"))

pytestmark = pytest.mark.usefixtures("this_machine")


def _anchor(settings: Settings) -> TrustAnchor:
    return trust_anchor.load(settings, required=True)


def _configs(box: Box, path: str = REGISTRIES) -> dict[str, dict[str, object]]:
    found = YAML(typ="safe").load(box.machine.path(path))["configs"]
    assert isinstance(found, dict)
    return found


def test_a_login_gains_trust_and_comes_back_to_the_byte(box: Box, settings: Settings) -> None:
    for path in (REGISTRIES, REGISTRIES.replace("k3s", "rke2")):
        box.file(path, LOGIN, 0o600)
    box.file(TOML, TABLE)
    before = snapshot(box.root)
    trust(settings, BOTH)
    assert set(states(settings, nobody(), BOTH).values()) == {State.TRUSTED}
    for name in ("k3s", "rke2"):
        config = _configs(box, f"/etc/rancher/{name}/registries.yaml")[SPELLINGS[0]]
        (file,) = box.machine.path(f"/etc/rancher/{name}").glob("*.crt")
        assert config == {
            "auth": {"username": "ada", "password": "secret"},
            "tls": {"ca_file": f"/etc/rancher/{name}/{file.name}"},
        }
    table = toml.read(TOML, box.machine.path(TOML).read_text())["registry"][SPELLINGS[0]]
    assert (table["mirrors"], len(table["ca"])) == (["mirror.example"], 1)
    remove(settings)
    assert snapshot(box.root) == before


def test_it_follows_a_new_authority(box: Box, settings: Settings) -> None:
    box.file(REGISTRIES, LOGIN)
    box.file(TOML, TABLE)
    before = snapshot(box.root)
    trust(settings, BOTH)
    issue.ensure(Run(settings, Recorder()), force=True)
    assert State.STALE in set(states(settings, nobody(), BOTH).values())
    trust(settings, BOTH)
    assert set(states(settings, nobody(), BOTH).values()) == {State.TRUSTED}
    remove(settings)
    assert snapshot(box.root) == before


@pytest.mark.parametrize("form", ["{}", "'{}'", '"{}" # ours'])
def test_lines_that_were_added_by_hand_trust_and_the_certificate_goes_only_with_them(
    form: str, box: Box, settings: Settings
) -> None:
    """What a refusal tells to type, typed: the certificate that they name comes, and stays while it is named."""
    name = next(it.path for it in store_of("k3s").files(_anchor(settings)))
    by_hand = f"{LOGIN}\n    tls:\n      ca_file: {form.format(name)}\n"
    path = box.file(REGISTRIES, by_hand)
    trust(settings, StoreSelection(only=("k3s",)))
    assert set(states(settings, nobody(), StoreSelection(only=("k3s",))).values()) == {State.TRUSTED}
    certificate = box.machine.path(name)
    assert certificate.exists()
    console = Recorder()
    remove(settings, console)
    assert path.read_text() == by_hand
    assert certificate.exists()
    assert [line for line in console.warned if line.startswith(f"{certificate} stays: an entry of {path} that")]
    (left,) = leftovers.find(Run(settings, Recorder()), nobody())[:1]
    assert f"editor {path} && " in left.command
    path.write_text(LOGIN)
    remove(settings)
    assert not certificate.exists()


def test_a_login_that_came_between_our_marks_stays_with_what_it_needs(box: Box, settings: Settings) -> None:
    path = box.file(REGISTRIES)
    trust(settings, StoreSelection(only=("k3s",)))
    login = "    auth:\n        username: ada\n"
    text = path.read_text()
    at = text.index("    tls:", text.index("configs:"))
    path.write_text(f"{text[:at]}{login}{text[at:]}")
    assert set(states(settings, nobody(), StoreSelection(only=("k3s",))).values()) == {State.TRUSTED}
    trust(settings, StoreSelection(only=("k3s",)))
    console = Recorder()
    remove(settings, console)
    assert login in path.read_text()
    (certificate,) = path.parent.glob("*.crt")
    assert certificate.name in path.read_text()
    assert any("lines between our marks were changed since; they stay" in line for line in console.warned)
    path.write_text(f"configs:\n  x.example:\n{login}")
    remove(settings)
    assert list(path.parent.glob("*.crt")) == []


def test_a_name_in_a_comment_keeps_no_certificate(box: Box, settings: Settings) -> None:
    name = next(it.path for it in store_of("k3s").files(_anchor(settings)))
    box.file(REGISTRIES, f"# once: {name}\nmirrors:\n")
    before = snapshot(box.root)
    trust(settings, StoreSelection(only=("k3s",)))
    remove(settings)
    assert snapshot(box.root) == before
    assert editing.MARK not in box.machine.path(REGISTRIES).read_text()
