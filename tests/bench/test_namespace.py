"""The copy of /etc: the bench writes to /etc only where that is a copy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import namespace
from tests.marks import by_root, on_linux

ROOT = Path(__file__).parent.parent.parent


def test_the_machine_s_own_etc_is_told_from_a_copy_whatever_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own, another = os.open("/etc", os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    try:
        for value in ("", "none", "99999", str(own)):
            monkeypatch.setenv(namespace.ENTERED, value)
            assert namespace.current() == namespace.Etc(Path("/etc"), "this is no mount namespace")
        monkeypatch.setenv(namespace.ENTERED, str(another))
        assert namespace.current() == namespace.Etc(Path(f"/proc/{os.getpid()}/fd/{another}"))
    finally:
        os.close(own)
        os.close(another)


def test_where_etc_is_no_copy_nothing_of_it_is_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[str] = []
    monkeypatch.setattr(namespace, "as_root", lambda *argv: ran.append(argv[0]))
    refused = namespace.Etc(Path("/etc"), "this is no mount namespace")
    refused.restore_stores()
    refused.share_certs_d()
    assert ran == []
    namespace.Etc(tmp_path).share_certs_d()
    assert ran == ["mkdir", "mount"]


def test_a_path_of_etc_is_the_machine_s_own() -> None:
    etc = namespace.Etc(Path("/proc/1/fd/9"))
    assert etc.machine("/etc/docker/certs.d") == Path("/proc/1/fd/9/docker/certs.d")
    assert etc.machine("/run/sshd") == Path("/run/sshd")


@pytest.mark.process
@by_root
@on_linux
def test_what_is_written_to_the_copy_is_not_in_the_machine_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    script = (
        "from pathlib import Path; from bench import namespace; etc = namespace.current();"
        "assert not etc.refused, etc.refused; Path('/etc/trusted-registry-bench').touch();"
        "assert not (etc.folder / 'trusted-registry-bench').exists();"
        "assert Path('/etc/passwd').read_bytes() == (etc.folder / 'passwd').read_bytes(); print('apart')"
    )
    enter = ["unshare", "--mount", "sh", str(namespace.SCRIPT)]
    done = subprocess.run([*enter, sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("apart\n", 0), done.stderr
    assert not Path("/etc/trusted-registry-bench").exists()
