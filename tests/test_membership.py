"""A user with sudo who is not in the group docker: asked, added, and gone on with; one without is told whom to ask.

The database of groups and sudo are stand-ins here; on hosts of the lab the real ones are used.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests import conftest, programs
from tests.recorder import Recorder
from trusted_registry import program, run_log, status
from trusted_registry.engine import connection, install, membership
from trusted_registry.errors import AccessDeniedError, NeedsRootError, RegistryError
from trusted_registry.tasks import checkout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import MakeSettings

ADA = pwd.struct_passwd(("ada", "x", 1000, 1000, "", "/home/ada", "/bin/sh"))
NO_RIGHT = "echo 'Sorry, user ada may not run sudo on host.' >&2; exit 1"
NO_RULE = "echo 'ada is not in the sudoers file.' >&2; exit 1"
PASSWORD = "echo 'sudo: a password is required' >&2; exit 1"  # noqa: S105 - what sudo says
OWN_CURE = "./inv engine  # adds ada, after asking, or says whom to ask"
DOES = '[ "$2" = -v ] || printf "%s\\n" "$*" >> "$(dirname "$0")/did"'

pytestmark = pytest.mark.process


class Replaced(Exception):  # noqa: N818 - stands for the end of this process
    """Another program runs in place of this one."""

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv


@pytest.fixture
def members(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The members of the group docker in the database; this user is ada, and the engine's socket is closed to ada."""
    found: list[str] = []

    def replace(argv: list[str], env: dict[str, str]) -> NoReturn:
        assert env == {membership.ENTERED: "yes", run_log.CARRIED: run_log.current().text}
        raise Replaced(argv)

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: ADA)
    monkeypatch.setattr(grp, "getgrnam", lambda name: grp.struct_group((name, "x", 105, found)))
    monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group(("ada", "x", 1000, [])))
    monkeypatch.setattr(program, "replace", replace)
    monkeypatch.setattr(sys, "argv", ["invoke", "--search-root", "/co", "engine", "--yes", "up"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-I", "invoke", "engine", "--yes", "up"])
    monkeypatch.delenv("DOCKER_HOST")
    return found


@pytest.fixture
def sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A maker of a sudo that does as a script says, and of an sg; returns the file of what sudo did."""

    def make(script: str, *, sg: bool = True) -> Path:
        folder = programs.put("sudo", script, tmp_path, monkeypatch)
        programs.put("dirname", 'echo "${1%/*}"', tmp_path, monkeypatch)
        if sg:
            programs.put("sg", "", tmp_path, monkeypatch)
        return folder / "did"

    return make


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine's own socket be closed to this user."""
    monkeypatch.setattr(
        connection, "connect_error", lambda: connection._unreachable(PermissionError(13, "Permission denied"))
    )


@pytest.mark.usefixtures("denied")
def test_whoever_says_yes_is_added_and_the_same_words_go_on_as_a_member(
    members: list[str], sudo: Callable[..., Path], console: Recorder
) -> None:
    assert members == []
    did = sudo(DOES)
    with pytest.raises(Replaced) as caught:
        install.ensure(console)
    assert did.read_text() == "-n usermod --append --groups docker ada\n"
    assert "as good as root" in console.asked[0]
    assert console.said == ["docker: ada is in the group docker now, whose members are as good as root"]
    assert console.typed[-1] == "sg docker -c './inv engine --yes up'"
    group, first = caught.value.argv[:3], shlex.split(caught.value.argv[3])
    assert (group, first[:4]) == (["sg", "docker", "-c"], ["exec", "sg", "ada", "-c"])
    assert shlex.split(first[4]) == ["exec", sys.executable, "-I", "invoke", "engine", "--yes", "up"]


@pytest.mark.usefixtures("denied")
def test_whoever_says_no_is_not_added(members: list[str], sudo: Callable[..., Path]) -> None:
    did = sudo(DOES)
    with pytest.raises(AccessDeniedError, match="ada is not in the group docker") as caught:
        install.ensure(Recorder(answer=False))
    assert (members, did.exists(), caught.value.cure) == ([], False, OWN_CURE)


@pytest.mark.usefixtures("denied")
def test_a_member_whose_shell_is_older_than_that_is_asked_nothing(
    members: list[str], sudo: Callable[..., Path], console: Recorder
) -> None:
    did = sudo(NO_RIGHT)
    members.append("ada")
    with pytest.raises(Replaced):
        install.ensure(console)
    assert (did.exists(), console.asked) == (False, [])


@pytest.mark.usefixtures("denied", "members")
def test_a_dry_run_shows_both_commands_and_runs_neither(sudo: Callable[..., Path]) -> None:
    did, console = sudo(DOES), Recorder(dry=True)
    install.ensure(console)
    assert [it.partition(" ")[0] for it in console.typed] == ["sudo", "sg"]
    assert not did.exists()


@pytest.mark.usefixtures("denied", "members")
def test_where_there_is_no_sg_sudo_leads_there(sudo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    did = sudo(DOES, sg=False)
    monkeypatch.setenv("PATH", str(did.parent))
    with pytest.raises(Replaced) as caught:
        install.ensure(Recorder())
    assert caught.value.argv[:6] == ["sudo", "-n", "--preserve-env", "--user", "ada", "--"]


@pytest.mark.usefixtures("denied", "members")
def test_a_run_that_is_there_already_and_still_refused_ends(
    sudo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sudo(DOES)
    monkeypatch.setenv(membership.ENTERED, "yes")
    with pytest.raises(AccessDeniedError):
        install.ensure(Recorder())


@pytest.mark.usefixtures("denied", "members")
@pytest.mark.parametrize("refusal", [NO_RIGHT, NO_RULE])
def test_a_user_whom_sudo_knows_not_is_asked_nothing_and_told_what_to_ask_an_administrator(
    refusal: str, sudo: Callable[..., Path], console: Recorder
) -> None:
    sudo(refusal)
    with pytest.raises(AccessDeniedError) as caught:
        install.ensure(console)
    assert caught.value.message == "You may not use Docker yet: ada is not in the group docker."
    assert caught.value.cure == "Ask an administrator to run: usermod --append --groups docker ada"
    assert (console.asked, console.commands) == ([], [])


@pytest.mark.usefixtures("members")
@pytest.mark.parametrize(
    ("installed", "words", "command"),
    [
        (False, "There is no Docker Engine here, and ada may not use sudo to install one.", "apt-get install --yes"),
        (True, "The Docker Engine does not run, and ada may not use sudo to start it.", "docker"),
    ],
)
def test_without_sudo_and_an_engine_nothing_is_begun_and_all_is_named_that_an_administrator_does(  # noqa: PLR0913, PLR0917
    installed: bool,  # noqa: FBT001 - a parameter of pytest
    words: str,
    command: str,
    sudo: Callable[..., Path],
    console: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    did = sudo(NO_RIGHT)
    monkeypatch.setenv("PATH", f"{did.parent}:{os.environ['PATH']}")
    if installed:
        programs.put("dockerd", "", tmp_path, monkeypatch)
    monkeypatch.setattr(connection, "connect_error", lambda: RegistryError("No Docker Engine answers.", cure=""))
    with pytest.raises(NeedsRootError) as caught:
        install.ensure(console)
    assert caught.value.message == words
    assert command in caught.value.cure
    assert caught.value.cure.endswith("&& usermod --append --groups docker ada")
    assert (console.asked, console.commands, did.exists()) == ([], [], False)


@pytest.mark.usefixtures("members")
def test_a_user_whose_sudo_wants_a_password_may_use_it(sudo: Callable[..., Path]) -> None:
    sudo(PASSWORD)
    assert program.may_use_sudo()
    sudo(NO_RIGHT)
    assert not program.may_use_sudo()


@pytest.mark.usefixtures("members")
@pytest.mark.parametrize("refusal", [PASSWORD, NO_RIGHT])
def test_no_cure_is_to_run_all_of_it_as_root(refusal: str, sudo: Callable[..., Path], console: Recorder) -> None:
    sudo(refusal)
    with pytest.raises(NeedsRootError) as caught:
        program.run(["true"], console, as_root=True)
    assert "as root" not in caught.value.cure
    assert ("administrator" in caught.value.cure, "sudo -v" in caught.value.cure) == (
        refusal == NO_RIGHT,
        refusal == PASSWORD,
    )


def test_a_task_of_a_member_in_an_older_shell_goes_on_as_a_member_at_once(
    members: list[str], sudo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sudo(NO_RIGHT)
    monkeypatch.setattr(membership, "SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(os, "access", lambda path, _: path != membership.SOCKET)
    (tmp_path / "docker.sock").touch()
    membership.enter_if_listed()  # not yet in the group
    members.append("ada")
    with pytest.raises(Replaced):
        membership.enter_if_listed()
    for variable in ("DOCKER_HOST", membership.ENTERED):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "unix:///elsewhere")
            membership.enter_if_listed()


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), NotADirectoryError(20, "No folder"), OSError(40, "Loop")]
)
def test_a_socket_that_this_user_cannot_reach_is_nobody_s(
    error: OSError, members: list[str], sudo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def closed(_self: Path, **_follow: bool) -> NoReturn:
        raise error

    sudo(NO_RIGHT)
    members.append("ada")
    monkeypatch.setattr(membership, "SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(type(tmp_path), "stat", closed)
    membership.enter_if_listed()


@pytest.mark.parametrize("right", [True, False], ids=["with sudo", "without"])
@pytest.mark.parametrize(
    "group", [None, ("lab", 1001, []), ("lab", 1001, ["eve"])], ids=["unnamed", "empty", "others'"]
)
def test_a_first_group_that_sg_would_ask_a_password_for_is_none_to_go_back_to(
    right: bool,  # noqa: FBT001 - a parameter of pytest
    group: tuple[str, int, list[str]] | None,
    members: list[str],
    sudo: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find(number: int) -> grp.struct_group:
        if group is None:
            raise KeyError(number)
        return grp.struct_group((group[0], "x", *group[1:]))

    sudo("" if right else NO_RIGHT)
    members.append("ada")
    monkeypatch.setattr(grp, "getgrgid", find)
    membership.enter_if_listed()
    with pytest.raises(Replaced if right else AccessDeniedError) as caught:
        membership.enter(Recorder())
    assert (caught.value.argv[0] if isinstance(caught.value, Replaced) else "") == ("sudo" if right else "")
    monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group(("lab", "x", 1001, ["ada"])))
    assert (membership._way() or [])[:3] == ["sg", "docker", "-c"]


@pytest.mark.parametrize(("script", "twice"), [("", True), ('case "$3" in *"exec sg "*) exit 1 ;; esac', False)])
def test_an_sg_that_forgets_the_group_at_the_next_one_is_used_once(
    script: str, *, twice: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is util-linux's."""
    programs.put("sg", script, tmp_path, monkeypatch)
    monkeypatch.setattr(membership, "_own_group", lambda: "ada")
    way = membership._way() or []
    assert (way[:3], way[3].startswith("exec sg ada -c ")) == (["sg", "docker", "-c"], twice)


@pytest.mark.usefixtures("members", "denied")
@pytest.mark.parametrize(
    "host", ["unix:///var/run/docker.sock", "unix:///run/docker.sock", "http+unix:///run/docker.sock"]
)
def test_the_default_socket_by_a_variable_is_no_other_engine(
    host: str, sudo: Callable[..., Path], console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    did = sudo(DOES)
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(Replaced):
        install.ensure(console)
    assert did.exists()


@pytest.mark.usefixtures("members")
@pytest.mark.parametrize(
    ("host", "cure"),
    [
        ("ssh://u@h", "See why: ssh ssh://u@h docker version"),
        ("ssh://u@h:22/run/x.sock", "See why: ssh ssh://u@h:22 docker version"),
        ("tcp://127.0.0.1:9", "See why: docker version"),
        ("unix:///run/user/7/docker.sock", "See who may use it: ls -l /run/user/7/docker.sock; id"),
        ("unix:///tmp/a b.sock", "See who may use it: ls -l '/tmp/a b.sock'; id"),
    ],
)
def test_another_engine_that_refuses_is_looked_at_by_a_command_that_fits(
    host: str, cure: str, console: Recorder, sudo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    did = sudo(DOES)
    monkeypatch.setenv("DOCKER_HOST", host)
    refused = connection._unreachable(PermissionError(13, "Permission denied"), host)
    assert (refused.message, refused.cure) == (f"You may not use the Docker Engine at {host}.", cure)
    monkeypatch.setattr(connection, "connect_error", lambda: refused)
    with pytest.raises(AccessDeniedError):
        install.ensure(console)
    assert not did.exists()


@pytest.mark.usefixtures("members")
def test_a_context_s_socket_that_is_closed_is_named_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "away")
    refused = connection._unreachable(PermissionError(13, "Permission denied"), "unix:///run/user/7/docker.sock")
    assert refused.message == "You may not use the Docker Engine at the context away."
    assert refused.cure == "See who may use it: ls -l /run/user/7/docker.sock; id"


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("sg", [False, True])
@pytest.mark.parametrize("refusal", [NO_RIGHT, NO_RULE, PASSWORD])
def test_a_task_that_adds_nobody_does_not_ask_sudo_which_would_tell_an_administrator(  # noqa: PLR0913, PLR0917
    refusal: str,
    sg: bool,  # noqa: FBT001 - a parameter of pytest
    listed: bool,  # noqa: FBT001 - a parameter of pytest
    members: list[str],
    sudo: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    did = sudo(f'echo "$*" >> "${{0%/*}}/did"; {refusal}', sg=sg)
    monkeypatch.setenv("PATH", str(did.parent))
    members += ["ada"] if listed else []
    (tmp_path / "docker.sock").touch()
    monkeypatch.setattr(membership, "SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(os, "access", lambda path, _: path != membership.SOCKET)
    cure = connection._unreachable(PermissionError(13, "Permission denied")).cure
    assert cure == ("Log out and in again." if listed else OWN_CURE)
    with contextlib.ExitStack() as stack:
        if listed and sg:
            stack.enter_context(pytest.raises(Replaced))
        membership.enter_if_listed()
    assert not did.exists()
    did.with_name("sudo").unlink()
    assert listed or "administrator" in membership.denied().cure


def test_next_steps_name_the_group_only_in_a_shell_that_lacks_it(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "newgrp" not in status.next_steps(make_settings())
    monkeypatch.setenv(membership.ENTERED, "yes")
    assert "Use it (here after `newgrp docker`):\n" in status.next_steps(make_settings())


@pytest.mark.parametrize("sessions", [(), ("unit",)])
def test_the_test_command_of_a_run_that_entered_the_group_starts_as_any_other(
    sessions: tuple[str, ...], console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(name.startswith(conftest._OURS) for name in (membership.ENTERED, run_log.CARRIED))
    folder = programs.put("python", 'env > "${0%/*}/env"', tmp_path, monkeypatch)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv(membership.ENTERED, "yes")
    checkout.test(console, sessions=sessions)
    said = (folder / "env").read_text()
    assert ("\nPATH=" in f"\n{said}", membership.ENTERED in said) == (True, False)


def test_a_process_is_replaced_with_its_environment_and_what_it_said_is_said(tmp_path: Path) -> None:
    code = (
        "from trusted_registry import program; print('before');"
        "program.replace(['sh', '-c', 'echo $A $B; exit 7'], {'B': 'two'})"
    )
    environ = {**os.environ, "A": "one", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (7, "before\none two\n")
