"""The line to type on another machine: it runs what was offered, byte for byte, and nothing else."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode, snapshot
from tests.programs import on_host, put
from tests.trust.remote.kits import SHELLS, parameters
from tests.trust.remote.offered import HOST, OFFERED
from trusted_registry.trust.remote import kit_server, page
from trusted_registry.trust.remote.kit_server import Offer

if TYPE_CHECKING:
    from collections.abc import Callable

LINUX = ("Linux, with curl", "Linux, with wget")

pytestmark = [on_host("curl", "wget"), pytest.mark.usefixtures("loopback_is_ours")]


@dataclasses.dataclass(frozen=True)
class OtherMachine:
    """A machine on which the line is typed: what sudo and the kit did leave is in `result`."""

    folder: Path
    present: Path
    result: Path
    shell: tuple[str, ...]

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        """Type a line, with variables that a person's shell may have, and tell which folder that ends in."""
        environ = {**os.environ, "TMPDIR": str(self.folder), "DONE": str(self.result), "CDPATH": str(self.folder)}
        line = f"{line}; ended=$?; pwd; exit $ended"
        return subprocess.run(
            [*self.shell, "-c", line], cwd=self.present, env=environ, capture_output=True, text=True, check=False
        )


@pytest.fixture(params=parameters({**SHELLS, "zsh": ("zsh", "-f")}))
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> OtherMachine:
    """A machine whose present folder holds all that could be in the way of the line, or be run instead."""
    present = tmp_path / "present"
    present.mkdir()
    for name in ("trust-r.sh", "ca.crt"):
        (present / name).symlink_to(tmp_path / "theirs")
    (present / "d").write_text("theirs")
    for name in ("mktemp", "curl", "wget", "sha256sum", "sudo"):
        (present / name).write_text("#!/bin/sh\nexit 1\n")
        (present / name).chmod(0o755)
    (tmp_path / "theirs").write_text("theirs")
    return OtherMachine(tmp_path, present, tmp_path / "outcome", request.param)


@pytest.fixture
def asked(elsewhere: OtherMachine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sudo that tells what it was asked, and does nothing else."""
    put("sudo", 'printf "%s " "$@" > "$DONE"', elsewhere.folder, monkeypatch)
    return elsewhere.result


@pytest.mark.process
@pytest.mark.parametrize("flag", ["", "--remove"])
@pytest.mark.parametrize("machine", LINUX)
def test_the_line_to_type_runs_what_was_offered_and_nothing_that_lies_in_the_present_folder(
    machine: str, flag: str, elsewhere: OtherMachine, start: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("sudo", 'exec "$@"', elsewhere.folder, monkeypatch)
    before = snapshot(elsewhere.present)
    done = elsewhere.type(f"{kit_server.download_commands(kit_server.base(HOST, start()), OFFERED)[machine]} {flag}")
    assert (done.returncode, elsewhere.result.read_text()) == (0, f"trusted {flag}"), done
    assert (snapshot(elsewhere.present), (elsewhere.folder / "theirs").read_text()) == (before, "theirs")
    made = Path(done.stdout.splitlines()[-1])
    assert (mode(made), [it.name for it in made.iterdir()]) == (0o700, ["trust-r.sh"])


@pytest.mark.process
@pytest.mark.parametrize("machine", LINUX)
def test_the_line_to_type_works_in_a_folder_that_may_not_be_written(
    machine: str, elsewhere: OtherMachine, start: Callable[..., int], asked: Path
) -> None:
    line = kit_server.download_commands(kit_server.base(HOST, start()), OFFERED)[machine]
    elsewhere = dataclasses.replace(elsewhere, present=Path("/proc"))
    assert (elsewhere.type(line).returncode, asked.read_text()) == (0, "sh trust-r.sh ")


@pytest.mark.process
def test_the_line_to_type_runs_nothing_where_no_folder_can_be_made(
    elsewhere: OtherMachine, start: Callable[..., int], asked: Path
) -> None:
    before = snapshot(elsewhere.present)
    elsewhere = dataclasses.replace(elsewhere, folder=elsewhere.folder / "nowhere")
    for line in kit_server.download_commands(kit_server.base(HOST, start()), OFFERED).values():
        assert elsewhere.type(line).returncode != 0
    assert (asked.exists(), snapshot(elsewhere.present)) == (False, before)


@pytest.mark.process
@pytest.mark.parametrize("machine", [*LINUX, "macOS"])
def test_the_line_to_type_runs_nothing_that_was_changed_by_one_byte_on_the_way(
    machine: str, elsewhere: OtherMachine, start: Callable[..., int], asked: Path
) -> None:
    changed = tuple(Offer(it.path, it.kind, it.content[:-1] + b" ", it.name) for it in OFFERED)
    done = elsewhere.type(kit_server.download_commands(kit_server.base(HOST, start(changed)), OFFERED)[machine])
    assert (done.returncode != 0, asked.exists()) == (True, False)
    assert "FAILED" in done.stdout


@pytest.mark.process
def test_the_line_to_type_runs_nothing_where_nothing_is_offered(
    elsewhere: OtherMachine, start: Callable[..., int], asked: Path
) -> None:
    for line in kit_server.download_commands(kit_server.base(HOST, start(OFFERED[:1])), OFFERED).values():
        assert elsewhere.type(line).returncode != 0
    assert not asked.exists()


@pytest.mark.process
def test_on_a_mac_the_line_trusts_the_certificate_that_was_checked(
    elsewhere: OtherMachine, start: Callable[..., int], asked: Path
) -> None:
    assert shutil.which("shasum"), "perl has it, as macOS does"
    assert (
        elsewhere.type(kit_server.download_commands(kit_server.base(HOST, start()), OFFERED)["macOS"]).returncode == 0
    )
    assert asked.read_text() == (
        "security add-trusted-cert -d -r trustRoot -p ssl -p basic -k /Library/Keychains/System.keychain ca.crt "
    )


@pytest.mark.process
@pytest.mark.parametrize("machine", ["Linux", "macOS"])
@pytest.mark.parametrize("changed", [b"", b"<p>another</p>"])
def test_what_the_page_s_line_prints_begins_with_the_code_of_what_was_offered_alone(
    changed: bytes, machine: str, elsewhere: OtherMachine, start: Callable[..., int]
) -> None:
    port = start((dataclasses.replace(OFFERED[0], content=OFFERED[0].content + changed),))
    done = elsewhere.type(kit_server.page_commands(kit_server.base(HOST, port))[machine])
    assert done.returncode == 0, done
    assert done.stdout.startswith(page.code(OFFERED[0].content).replace(" ", "")) == (not changed)


def test_an_ipv6_address_stands_in_brackets_and_no_shell_takes_them_for_a_pattern() -> None:
    lines = kit_server.download_commands(kit_server.base("fd00::12", 8000), OFFERED)
    assert lines["Linux, with curl"].startswith(
        "d=$(mktemp -d) && cd \"$d\" && curl -fsSO 'http://[fd00::12]:8000/trust-r.sh' && echo "
    )
