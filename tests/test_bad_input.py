"""Bad settings, typed for real: one line what is wrong, one line what to do, exit status 2, nothing written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot

if TYPE_CHECKING:
    import subprocess

    from tests.conftest import Invoke

pytestmark = pytest.mark.process


def _refused(run: subprocess.CompletedProcess[str], what: str, cure: str = "") -> None:
    """Insist on two lines on stderr, of which one names what is wrong, and on the exit status of a wrong setting."""
    assert "Traceback" not in run.stderr
    wrong, do = run.stderr.strip().splitlines()
    assert re.match(f"error: .*{what}", wrong)
    assert re.match(rf" +do: .*{cure}", do)
    assert run.returncode == 2


@pytest.mark.parametrize(
    ("variable", "text", "cure"),
    [
        ("INVOKE_REGISTRY_PORT", "0", "from 1 to 65535"),
        ("INVOKE_REGISTRY_PORT", "70000", "from 1 to 65535"),
        ("INVOKE_REGISTRY_PORT", "abc", "from 1 to 65535"),
        ("INVOKE_REGISTRY_ADDRESS", "999.1.1.1", "192.168.0.12"),
        ("INVOKE_REGISTRY_ADDRESS", "1.2.3.4\nDNS.9 = evil", "192.168.0.12"),
        ("INVOKE_REGISTRY_ADDRESS", "../../etc", "192.168.0.12"),
        ("INVOKE_REGISTRY_ADDRESS", "$(touch evil)", "192.168.0.12"),
        ("INVOKE_REGISTRY_ADDRESS", "[alt_names]", "192.168.0.12"),
        ("INVOKE_REGISTRY_NAMES", "a" * 300, "registry.local"),
        ("INVOKE_CERTIFICATE_KEY", "rsa:512", "ec:P-256"),
        ("INVOKE_CERTIFICATE_DAYS", "5000", "from 1 to 397"),
        ("INVOKE_CERTIFICATE_DAYS", "-1", "from 1 to 397"),
    ],
)
def test_a_variable_with_nonsense_ends_with_2_and_writes_nothing(
    variable: str, text: str, cure: str, invoke: Invoke
) -> None:
    before = snapshot(invoke.root)
    _refused(invoke("cert", **{variable: text}), variable.removeprefix("INVOKE_").replace("_", ".").lower(), cure)
    assert snapshot(invoke.root) == before


def test_a_flag_with_nonsense_ends_with_2(invoke: Invoke) -> None:
    _refused(invoke("registry.tls", "--port", "70000"), "70000", "from 1 to 65535")


def test_a_misspelt_variable_ends_with_2_and_names_the_nearest(invoke: Invoke) -> None:
    _refused(invoke("status", INVOKE_REGISTRY_PROT="443"), "INVOKE_REGISTRY_PROT", "INVOKE_REGISTRY_PORT")


def test_a_misspelt_key_in_invoke_yaml_ends_with_2_and_names_the_nearest(invoke: Invoke) -> None:
    config = invoke.root / "invoke.yaml"
    config.write_text(config.read_text().replace("  port:", "  prot:"))
    _refused(invoke("status"), "registry.prot", "registry.port")


def test_nonsense_over_an_unquoted_number_in_invoke_yaml_ends_with_2(invoke: Invoke) -> None:
    config = invoke.root / "invoke.yaml"
    config.write_text(config.read_text().replace('port: "443"', "port: 443"))
    _refused(invoke("status", INVOKE_REGISTRY_PORT="abc"), "INVOKE_REGISTRY_PORT is 'abc'", "whole number")


def test_an_invoke_yaml_that_is_no_yaml_is_named_without_a_traceback(invoke: Invoke) -> None:
    (invoke.root / "invoke.yaml").write_text("registry: [\n")
    run = invoke("status")
    assert (run.returncode != 0, "Traceback" in run.stderr, "invoke.yaml" in run.stderr) == (True, False, True)


def test_a_person_s_own_invoke_yaml_may_hold_sections_of_other_projects(invoke: Invoke) -> None:
    from pathlib import Path

    (Path.home() / ".invoke.yaml").write_text("another_project: {key: value}\n")
    assert invoke("--dry", "cert", INVOKE_REGISTRY_ADDRESS="192.168.0.12").returncode == 0


def test_good_settings_end_with_0(invoke: Invoke) -> None:
    assert invoke("cert.config", INVOKE_REGISTRY_ADDRESS="192.168.0.12").returncode == 0
