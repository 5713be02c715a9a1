"""What doctor says of an authority that is being changed, and of trust left in one before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.doctor.conftest import found, only
from tests.recorder import Recorder
from tests.trust.boxes import entry
from trusted_registry.certificate import changeover
from trusted_registry.certificate.changeover import Stage
from trusted_registry.doctor import checks, gather, store_states
from trusted_registry.doctor.finding import TrustFix
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.status import _certificate
from trusted_registry.trust.local import outdated

if TYPE_CHECKING:
    from pathlib import Path

    from tests.doctor.conftest import DoctorBox
    from trusted_registry.settings import Settings


def test_an_authority_that_stays_is_nothing_to_tell(box: DoctorBox) -> None:
    assert found(box.facts) == []


@pytest.mark.parametrize(("stage", "then"), [(Stage.HANDED_OUT, "--switch"), (Stage.SWITCHED, "--finish")])
def test_a_changeover_is_told_with_its_step_and_the_next_one(box: DoctorBox, stage: Stage, then: str) -> None:
    finding = only(replace(box.facts, stage=stage), "changeover")
    assert (stage.value in finding.evidence, finding.cure[-1]) == (True, f"./inv cert.renew-authority {then}")
    assert finding.cure[0].startswith("./inv trust.serve")


def test_an_earlier_authority_is_told_store_by_store_with_what_takes_it_back(box: DoctorBox, tmp_path: Path) -> None:
    path = tmp_path / "trusted-registry-0123456789abcdef.crt"
    left = (entry(path, b"old", "system-debian"), replace(entry(tmp_path, b"", "nss"), value="trusted-registry-00"))
    findings = [it for it in checks.judge(replace(box.facts, outdated=left)) if it.check == "earlier"]
    assert [(it.client, it.fix) for it in findings] == [("system", TrustFix("system")), ("nss", TrustFix("nss"))]
    assert str(path) in findings[0].evidence
    assert findings[0].cure[0].startswith("./inv trust.linux --only system")
    assert f"trusted-registry-00 of {tmp_path}" in findings[1].evidence


def test_beside_another_registry_s_authority_this_installation_s_own_is_no_earlier_one(
    box: DoctorBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = entry(tmp_path / "ca.crt", b"own", "docker")
    monkeypatch.setattr(outdated, "find", lambda *_: [own])
    engine = engines.unavailable(Recorder(), RegistryError("none", cure="none"))
    assert box.facts.anchor
    kept = replace(box.facts, remote=True)
    (tmp_path / "ca.crt").write_bytes(box.facts.anchor.path.read_bytes())
    held = replace(kept, anchor=replace(box.facts.anchor, path=tmp_path / "ca.crt"))
    assert [store_states.gather(it, engine, "docker").outdated for it in (kept, held)] == [(own,), ()]


@pytest.mark.process
def test_the_step_is_gathered_and_is_part_of_the_status(settings: Settings) -> None:
    engine = engines.unavailable(Recorder(), RegistryError("none", cure="none"))
    seen = []
    for step in (None, changeover.begin, changeover.switch):
        if step:
            step(Run(settings, Recorder()))
        seen.append(gather.local(settings, engine, None).stage)
        assert _certificate(settings, dry=False).changeover == (seen[-1].value or None)
    assert seen == [Stage.NONE, Stage.HANDED_OUT, Stage.SWITCHED]
