"""The commands of the README and of docs/: each exists, and a dry run of it shows something and changes nothing."""

from __future__ import annotations

import configparser
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tasks import CONTENTS
from tests import programs
from tests.docs.pages import PAGES, README, ROOT, TEXTS, blocks, commands, split, tasks
from tests.e2e.fresh import PACKAGES
from tests.recorder import Recorder
from trusted_registry import installation, status
from trusted_registry.installation import NotedMirror

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Invoke, MakeSettings

NOBODY_S = "192.0.2.77"
"""For documentation alone (RFC 5737): of this machine's own addresses another checkout's registry may have one."""
BEGIN = ["sudo apt-get update && sudo apt-get install --yes git python3-venv", "git clone URL trusted-registry"]
OTHERS = {
    README.name: [
        *BEGIN,
        "cd trusted-registry",
        """(crontab -l 2>/dev/null; echo "17 4 * * * '$PWD/inv' cert.renew --if-expiring 30") | crontab -""",
        'PATH="$PWD/.venv/bin:$PATH"',
        "source <(invoke --print-completion-script bash)",
    ],
    "carry.md": [line for block in blocks(ROOT / "docs/carry.md") for line in block if not line.startswith("./inv ")],
    "kubernetes.md": ["kubectl --context CLUSTER apply --kustomize certs/kubernetes"],
    "certificates.md": next(block for block in blocks(ROOT / "docs/certificates.md") if "mkdir" in block[0]),
}
"""Lines that are no task, by page; the tests below run what of them can be run."""


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_every_command_of_a_page_is_a_task_or_is_known(page: Path) -> None:
    lines = [line for block in blocks(page) for line in block]
    assert [line for line in lines if not re.match(r"([A-Z_]+=\S+ )?\./inv ", line)] == OTHERS.get(page.name, [])


@pytest.mark.process
@pytest.mark.parametrize("line", dict.fromkeys(line for page in PAGES for line in commands(page)))
def test_a_dry_run_of_a_command_succeeds_and_changes_nothing(
    line: str, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOKE_REGISTRY_ADDRESS", NOBODY_S)
    for program in ("keytool", "certutil"):  # this machine may have the stores; their programs are hidden from tests
        programs.put(program, "exit 1", tmp_path, monkeypatch)
    variables, words = split(line)
    need_one = ("cert.renew", "swarm.renew", "cert.renew-authority", "trust.list", "trust.hosts", "trust.nodes")
    if any(it in words for it in need_one):
        invoke("cert")
    if "--mirrors" in words:
        installation.ensure(invoke.root / "certs", Recorder())
        installation.note_mirror(invoke.root / "certs", "docker.io", NotedMirror(5500))
    (invoke.root / "hosts.ini").write_text("web1\n")
    before = sorted(invoke.root.rglob("*"))
    done = invoke("--dry", *[word for word in words if word != "--dry"], **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert sorted(invoke.root.rglob("*")) == before


def test_every_task_of_the_pages_is_there_and_every_task_is_on_a_page() -> None:
    names = {task.typed_name for task in CONTENTS} | {"images.list"}
    assert {name for page in PAGES for line in commands(page) for name in tasks(split(line)[1])} <= names
    text = "\n".join(TEXTS.values())
    assert not {name for name in names if not re.search(rf"(`|\./inv |yes ){re.escape(name)}(?![\w.-])", text)}


def test_the_readme_s_first_command_and_ci_s_are_those_that_are_promised() -> None:
    assert commands(README)[0] == "./inv engine --yes up"
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert ci[-1] == "./inv engine --yes test"
    assert ci[-1] in commands(ROOT / "docs/proofs.md")


def test_what_the_readme_installs_first_is_what_a_fresh_machine_is_given() -> None:
    assert set(BEGIN[0].partition("install --yes ")[2].split()) <= set(PACKAGES.split())


@pytest.mark.process
def test_the_readme_s_clone_leads_to_the_command_that_follows(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "inv").write_text("#!/bin/sh\necho here\n")
    (shared / "inv").chmod(0o755)
    git = ("git", "-C", str(shared), "-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "--quiet"), ("add", "inv"), ("commit", "--quiet", "--message", "one")):
        subprocess.run([*git, *words], check=True)
    lines = blocks(README)[0]
    assert (lines[:2], lines[-1]) == (BEGIN, commands(README)[0])
    typed = "\n".join(["set -e", *lines[1:]]).replace("URL", str(shared))
    done = subprocess.run(["sh", "-c", typed], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "here\n"), done.stderr


@pytest.mark.process
def test_the_line_for_cron_adds_one_that_renews_and_keeps_those_that_are_there(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, here = tmp_path / "table", tmp_path / "my checkout"
    here.mkdir()
    programs.put("crontab", f'[ "$1" = - ] && cat >"{table}.new" || cat "{table}" 2>&-', tmp_path, monkeypatch)
    line = next(line for line in OTHERS[README.name] if "crontab" in line)
    for before in ("", "@daily date\n"):
        if before:
            table.write_text(before)
        subprocess.run(["sh", "-c", line], cwd=here, check=True)
        kept, _, added = (tmp_path / "table.new").read_text().rpartition("17 4 * * * ")
        assert kept == before
        assert added.startswith(f"'{here}/inv' cert.renew ")
        invoke("cert", INVOKE_REGISTRY_ADDRESS=NOBODY_S)
        done = invoke("--dry", *added.split("' ", 1)[1].split(), INVOKE_REGISTRY_ADDRESS=NOBODY_S)
        assert done.returncode == 0, done.stderr


@pytest.mark.process
def test_the_units_for_systemd_renew_daily(tmp_path: Path) -> None:
    lines = [line for line in OTHERS["certificates.md"] if line.startswith(("mkdir", "printf"))]
    here = tmp_path / "my checkout"
    here.mkdir()
    subprocess.run(["sh", "-c", "\n".join(lines)], cwd=here, check=True, env={"HOME": str(tmp_path), "PATH": "/bin"})
    service, timer = configparser.ConfigParser(), configparser.ConfigParser()
    assert service.read(tmp_path / ".config/systemd/user/registry-renew.service")
    assert timer.read(tmp_path / ".config/systemd/user/registry-renew.timer")
    assert service["Service"]["ExecStart"] == f'"{here}/inv" cert.renew --if-expiring 30'
    assert (timer["Timer"]["OnCalendar"], timer["Install"]["WantedBy"]) == ("daily", "timers.target")
    assert "registry-renew.timer" in OTHERS["certificates.md"][3]


def test_the_readme_shows_the_last_words_of_up_as_they_are(make_settings: MakeSettings) -> None:
    settings = replace(make_settings(), address="192.168.0.12")
    assert f"{status.next_steps(settings)}\n```\n" in TEXTS[README]


def test_up_s_last_words_fetch_the_image_that_they_tag(make_settings: MakeSettings) -> None:
    lines = [line.split() for line in status.next_steps(make_settings()).splitlines()]
    fetches = next(words for words in lines if "tag" in words)
    assert fetches[:7] == ["docker", "pull", fetches[6], "&&", "docker", "tag", fetches[6]]
    assert ["docker", "push", fetches[7]] in lines
