"""The tasks as a person meets them: their flags, their help, what they show, and what a dry run leaves alone."""

from __future__ import annotations

import contextlib
import copy
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest
from invoke.config import Config
from invoke.exceptions import Exit

import tasks
from tests.conftest import ADDRESS, ROOT
from tests.disk import snapshot
from tests.marks import on_linux
from trusted_registry import invoking, run_log, terminal
from trusted_registry.certificate import issue
from trusted_registry.declarations import task
from trusted_registry.engine import connection
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.run import Run
from trusted_registry.trust import machine as machines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.conftest import Invoke, MakeSettings
    from tests.recorder import Recorder

NAMES = sorted(tasks.ns.task_names)
ARGUMENTS = {name: tasks.ns[name].get_arguments() for name in NAMES}
every_task = pytest.mark.parametrize("name", NAMES)

# What each task shows of what it would do, in an order in which a person may type it.
SHOWN = {
    "engine": "docker",
    "registry.basic": "docker run",
    "registry.test": "docker push",
    "registry.tls": "docker run",
    "registry.stop": "docker rm",
    "registry.logs": "docker logs",
    "registry.upgrade": "docker pull",
    "registry.storage": "aws s3 ls",
    "registry.move": "aws s3 sync",
    "registry.user.add": "htpasswd",
    "registry.user.remove": "htpasswd -D",
    "trust.insecure": "daemon.json",
    "trust.linux": "install -D",
    "trust.nodes": "docker exec",
    "trust.check": "openssl",
    "trust.hosts": "ansible-playbook",
    "trust.kit": "scp",
    "trust.macos": "security add-trusted-cert",
    "cert.config": "openssl.cnf",
    "cert.make": "openssl req",
    "cert.show": "openssl x509",
    "cert.check": "openssl verify",
    "cert.renew": "openssl x509 -req",
    "cert.renew-authority": "openssl x509 -req",
    "cert.import": "install -m 0600",
    "images.list": "docker exec",
    "images.show": "docker exec",
    "images.usage": "docker exec",
    "images.check": "docker exec",
    "images.remove": "docker exec",
    "images.clean": "docker exec",
    "images.undo": "docker exec",
    "images.save": "tar --create",
    "images.load": "skopeo copy",
    "registry.backup": "tar --create",
    "registry.restore": "skopeo copy",
    "site.pack": "tar --create",
    "swarm.up": "docker stack deploy",
    "swarm.renew": "docker stack deploy",
    "swarm.down": "docker stack rm",
    "mirror.up": "docker run",
    "mirror.down": "docker rm",
    "mirror.fill": "skopeo copy",
    "mirror.clean": "garbage-collect",
    "kubernetes.manifests": "kubectl --context CLUSTER apply",
    "kubernetes.check": "kubectl --context kind-dev",
    "up": "docker run",
    "doctor": "openssl s_client",
    "down": "docker rm",
    "test": "tests.sessions",
}
GIVEN = {name: {"name": "ada"} for name in ("registry.user.add", "registry.user.remove")}
GIVEN["registry.storage"] = GIVEN["registry.move"] = {"to": "s3://images/lan"}
GIVEN["cert.import"] = {"certificate": "server.crt", "key": "server.key"}
GIVEN["images.show"] = {"reference": "app:1"}
GIVEN["images.remove"] = {"references": "app:1"}
GIVEN["images.clean"] = {"keep": "10"}
for file_ in ("images.save", "images.load", "registry.backup", "registry.restore", "site.pack"):
    GIVEN[file_] = {"file": "x.tar"}
GIVEN["mirror.up"] = GIVEN["mirror.down"] = {"upstreams": "ghcr.io"}
GIVEN["mirror.fill"] = {"references": "ghcr.io/org/app:1"}
GIVEN["mirror.clean"] = {"older": "30"}
GIVEN["kubernetes.check"] = {"context_": "kind-dev", "namespace": "check"}
GIVEN["trust.hosts"] = {"inventory": "web1,web2"}
GIVEN["swarm.up"] = {"hosts": "192.168.0.12,192.168.0.13"}
QUIET = {
    "swarm.status": "it only looks",
    "trust.serve": "no command of a person's does the same: it serves three files and nothing beside them",
    "status": "it only looks",
    "explain": "it only reads",
    "registry.user.list": "so does this",
    "trust.list": "so does this",
    "mirror.list": "and this",
    "trust.windows": "it prints for another machine",
    "trust.remove": "there is nothing to take back here",
}


@pytest.fixture
def checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_settings: MakeSettings, console: Recorder
) -> Iterator[Path]:
    """A checkout with a certificate, in which the tasks of this process work."""
    monkeypatch.setattr(task, "ROOT", tmp_path)
    monkeypatch.setenv("INVOKE_REGISTRY_ADDRESS", ADDRESS)
    (machines.current().root / "var/lib/docker").mkdir(parents=True)
    issue.ensure(Run(make_settings(tool="cryptography"), console))
    yield tmp_path
    gc.collect()  # the Docker SDK closes a socket that was refused only when it is collected


def _run(name: str, *, dry: bool = True) -> None:
    config = Config(overrides={"run": {"dry": dry}})
    invoking.TaskExecutor(tasks.ns, config).execute((name, GIVEN.get(name, {})))


# Flags and help


@every_task
def test_no_task_has_a_short_flag_so_that_h_is_help(name: str) -> None:
    flags = [flag for argument in ARGUMENTS[name] for flag in argument.names if len(flag) == 1]
    assert flags == []


@every_task
def test_every_flag_has_a_line_of_help(name: str) -> None:
    missing = [argument.name for argument in ARGUMENTS[name] if not argument.help]
    assert missing == []


@every_task
def test_the_first_line_of_help_is_one_short_sentence_that_says_what_to_do(name: str) -> None:
    line = (tasks.ns[name].__doc__ or "").strip().splitlines()[0]
    assert re.fullmatch(r"[A-Z].{1,70}\.", line)
    assert not line.split()[0].endswith("s")


@every_task
def test_no_flag_s_default_is_none_so_that_its_type_is_what_it_seems(name: str) -> None:
    assert [argument.name for argument in ARGUMENTS[name] if argument.default is None and not argument.positional] == []


def test_cert_alone_makes_the_certificate() -> None:
    assert tasks.ns["cert"] is tasks.ns["cert.make"]


@pytest.mark.process
@pytest.mark.parametrize("heavy", ["docker", "cryptography", "jinja2", "rich", "requests", "psutil"])
def test_importing_the_tasks_loads_nothing_that_takes_its_time(heavy: str) -> None:
    code = f"import sys, tasks; print({heavy!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_is_typed_of_one_task_is_no_other_s_though_invoke_copies_only_the_one_that_it_fills() -> None:
    program = invoking.TaskProgram(namespace=tasks.ns)
    program.create_config()
    program.parse_core(["inv", "cert", "--force", "cert"])
    program.parse_collection()
    for _ in range(2):
        program.parse_tasks()
        assert [it.args.force.value for it in program.tasks] == [True, False]
    assert copy.deepcopy(program.parser.contexts) is program.parser.contexts


@pytest.mark.process
def test_importing_the_tasks_loads_of_this_project_only_what_declares_them() -> None:
    code = "import sys, tasks; print(*sorted(name for name in sys.modules if name.startswith('trusted_registry.')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.removeprefix("trusted_registry.") for name in done.stdout.split()}
    declaring = {name for name in loaded if name.startswith("declarations")}
    assert (loaded - declaring, len(declaring) > 1) == ({"defaults", "errors", "invoking"}, True)


# A dry run


@every_task
@on_linux
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_dry_run_starts_nothing_changes_nothing_and_needs_no_engine(
    name: str, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "engine":
        _no_engine_on_this_machine(monkeypatch)
    if name == "cert.make":
        shutil.rmtree(checkout / "certs")
    before = (snapshot(checkout), set(checkout.parent.iterdir()))
    _run(name)  # the guard of conftest.py fails it when it starts a program
    shown = capsys.readouterr().out
    assert (snapshot(checkout), set(checkout.parent.iterdir())) == before
    assert name in QUIET or re.search(rf"(?m)^\$ .*{re.escape(SHOWN[name])}", shown)


@every_task
@on_linux
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize(
    "moved",
    [
        ("ca.crt", "issuer.crt", "issuer.key", "domain.crt", "domain.key"),
        pytest.param(("domain.crt", "domain.key"), marks=pytest.mark.long),
    ],
)
def test_a_dry_run_leaves_what_an_interrupted_run_had_decided(
    moved: tuple[str, ...], name: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "engine":
        _no_engine_on_this_machine(monkeypatch)
    if name == "trust.remove":
        monkeypatch.setitem(GIVEN, name, {"all": True})
    (checkout / "certs/.ready").mkdir()
    for file in moved:
        (checkout / "certs" / file).rename(checkout / "certs/.ready" / file)
    before = _names(checkout)
    with contextlib.suppress(Exit):
        _run(name)
    assert _names(checkout) == before


def _names(folder: Path) -> list[Path]:
    """Return all that is under a folder, locks too."""
    return sorted(folder.rglob("*"))


def _no_engine_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(connection, "connect_error", lambda: RegistryError("No Docker Engine answers.", cure="x"))
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@on_linux
@pytest.mark.parametrize("name", ["trust.linux", "trust.insecure", "trust.remove"])
def test_a_dry_run_needs_no_sudo(name: str, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda _program: None)
    before = snapshot(checkout)
    _run(name)
    assert snapshot(checkout) == before


def test_every_task_is_listed_above() -> None:
    assert sorted([*SHOWN, *QUIET]) == NAMES


@pytest.mark.process
@on_linux
def test_a_dry_run_before_anything_was_made_shows_the_whole_way_and_makes_nothing(invoke: Invoke) -> None:
    before = snapshot(invoke.root)
    run = invoke("--dry", "up", INVOKE_REGISTRY_ADDRESS="198.51.100.77")
    assert (run.returncode, run.stderr, snapshot(invoke.root)) == (0, "", before)
    wanted = ("openssl req", "openssl x509 -req", "docker run", "install -D", "docker push", "docker pull")
    assert [command for command in wanted if command not in run.stdout] == []


@pytest.mark.process
def test_a_dry_certificate_shows_commands_and_makes_nothing(invoke: Invoke) -> None:
    run = invoke("--dry", "cert", INVOKE_REGISTRY_ADDRESS=ADDRESS)
    assert (run.stdout.count("$ openssl"), (invoke.root / "certs").exists()) == (4, False)


# Errors


def test_an_error_that_can_be_mended_ends_with_1_and_a_cure(checkout: Path) -> None:
    (checkout / "certs" / "domain.key").unlink()
    with pytest.raises(Exit, match=r"error: .*\n   do: .*cert\.renew") as caught:
        _run("cert.check", dry=False)
    assert caught.value.code == 1


def test_a_wrong_setting_ends_with_2_and_a_cure(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOKE_REGISTRY_PORT", "0")
    with pytest.raises(Exit, match=r"error: .*\n   do: ") as caught:
        _run("cert.check")
    assert (caught.value.code, checkout.exists()) == (2, True)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Put Ctrl-C back, which a task that was stopped ignores until it has ended."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def _stopped(*_arguments: object, **_options: object) -> NoReturn:
    raise KeyboardInterrupt


def _failed(*_arguments: object, **_options: object) -> NoReturn:
    raise RegistryError("openssl failed: exit status -2", cure="Try again.")


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("ends", [(_stopped,), (_failed, _stopped)], ids=["in a task", "while its error is told"])
def test_ctrl_c_ends_with_130(
    ends: Sequence[Callable[..., NoReturn]], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issue, "ensure", ends[0])
    monkeypatch.setattr(terminal, "explain", ends[-1])
    with pytest.raises(Exit, match="Stopped") as caught:
        _run("cert.make", dry=False)
    assert (caught.value.code, checkout.exists()) == (130, True)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_twice_is_ctrl_c(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def saved(_log: run_log.RunLog) -> None:
        signal.raise_signal(signal.SIGINT)
        done.append(checkout)

    done: list[Path] = []
    monkeypatch.setattr(issue, "ensure", _stopped)
    monkeypatch.setattr(run_log.RunLog, "save", saved)
    with pytest.raises(Exit) as caught:
        _run("cert.make", dry=False)
    assert (caught.value.code, done) == (130, [checkout])


@pytest.mark.process
def test_ctrl_c_while_a_dataclass_is_made_ends_with_130(invoke: Invoke) -> None:
    module = invoke.root / "trusted_registry" / "certificate" / "issue.py"
    module.write_text(f'{module.read_text()}\n\ndef ensure(*_, **__):\n    exec("raise KeyboardInterrupt")\n')
    done = invoke("cert.make", INVOKE_REGISTRY_ADDRESS=ADDRESS)
    assert (done.returncode, done.stderr) == (130, "Stopped.\n")


@pytest.mark.process
def test_ctrl_c_that_python_ignores_in_a_callback_ends_with_130(invoke: Invoke) -> None:
    done = _in_a_callback(invoke, "KeyboardInterrupt")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped.\n")


@pytest.mark.process
def test_what_else_python_ignores_in_a_callback_is_shown_and_ends_nothing(invoke: Invoke) -> None:
    done = _in_a_callback(invoke, "ValueError")
    assert (done.returncode, done.stdout, "ValueError" in done.stderr) == (0, "went on\n", True)


def _in_a_callback(invoke: Invoke, error: str) -> subprocess.CompletedProcess[str]:
    """Run a task in whose middle a callback raises an error, where nothing can catch it."""
    module = invoke.root / "trusted_registry" / "certificate" / "issue.py"
    module.write_text(f"""{module.read_text()}

def ensure(*_, **__):
    import time, weakref

    def raising(_):
        raise {error}

    kept = {{1}}
    watched = weakref.ref(kept, raising)
    del kept
    time.sleep(1)
    print("went on", flush=True)
    raise SystemExit(0)
""")
    return invoke("cert.make", INVOKE_REGISTRY_ADDRESS=ADDRESS)


def test_a_mistake_of_ours_is_not_dressed_up_as_a_person_s(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(issue, "ensure", broken)
    with pytest.raises(ValueError, match="a bug"):
        _run("cert.make", dry=False)
    assert checkout.exists()


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize(
    "name",
    ["registry.basic", "registry.tls", "registry.stop", "registry.logs", "trust.insecure", "up"],
)
def test_without_an_engine_a_task_that_needs_one_says_so_and_loses_nothing(name: str, checkout: Path) -> None:
    before = snapshot(checkout)
    with pytest.raises(Exit, match="No Docker Engine answers at") as caught:
        _run(name, dry=False)
    assert (caught.value.code, snapshot(checkout)) == (1, before)


def test_errors_carry_a_cure_and_settings_end_differently() -> None:
    assert (RegistryError("a", cure="b").code, SettingError("a", cure="b").code) == (1, 2)


# Certificates, by their tasks


def test_check_is_content_with_what_cert_makes(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run("cert.check", dry=False)
    assert ("breaks no known rule" in capsys.readouterr().out, checkout.exists()) == (True, True)


def test_check_names_what_the_certificate_lacks_and_ends_with_1(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INVOKE_REGISTRY_NAMES", "new.local")
    with pytest.raises(Exit, match="broken") as caught:
        _run("cert.check", dry=False)
    assert ("does not name new.local" in capsys.readouterr().out, caught.value.code, checkout.exists()) == (
        True,
        1,
        True,
    )


# Completion


@pytest.mark.process
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed_for_each_shell(shell: str, invoke: Invoke) -> None:
    run = invoke("--print-completion-script", shell)
    assert (run.returncode, run.stderr, "invoke" in run.stdout) == (0, "", True)


@pytest.mark.process
def test_the_bash_script_is_one_that_bash_reads(invoke: Invoke) -> None:
    script = invoke("--print-completion-script", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.process
def test_completion_offers_every_task_and_its_flags(invoke: Invoke) -> None:
    offered = invoke("--complete", "--", "inv ").stdout.split()
    assert (
        set(NAMES) - {"cert.make"} <= set(offered),
        "--self-signed" in invoke("--complete", "--", "inv cert -").stdout,
    ) == (True, True)
