"""The first process of the registry's container: it mends what a kill left empty, serves, and ends when all is sent."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.marks import by_root
from tests.programs import on_host
from trusted_registry import templates
from trusted_registry.instance import roles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.process

NOTHING = hashlib.sha256().hexdigest()
MANIFEST = "blobs/sha256/ab/abcd/data"
TAG = "repositories/app/_manifests/tags/1"
REPEATED = [
    "repositories/app/_layers/sha256/abcd/link",
    "repositories/app/_manifests/revisions/sha256/abcd/link",
    f"{TAG}/index/sha256/abcd/link",
]
HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
"""First line of /proc/net/tcp (proc(5))."""
CONNECTION = "   1: 0C00A8C0:1388 2A00A8C0:D2F0 {state} {unsent}:00000000 01:00000014 00000000     0        0 8 1\n"
PROOFS = "trusted-registry-proof"
BUSYBOX = [pytest.param("busybox", marks=on_host("busybox"))]


class Container:
    """A folder for the volume, and the script as it lies in the container, with the programs of one system."""

    def __init__(self, folder: Path, programs: str) -> None:
        self.volume = folder / "volume"
        self.script = folder / "start.sh"
        self.connections = folder / "tcp"
        self.may_end = folder / "may-end"
        self.programs = folder / "bin"
        self.begun: list[subprocess.Popen[str]] = []
        self.programs.mkdir()
        self.volume.mkdir()
        self.write()
        if programs == "busybox":
            for name in ("sh", "find", "grep", "head", "ls", "rm", "rmdir", "tail", "timeout", "sleep"):
                (self.programs / name).symlink_to(str(shutil.which("busybox")))
        self._shell = str(self.programs / "sh") if programs == "busybox" else "sh"

    def write(self, *, seconds: int = 20, linger: int = 4) -> None:
        """Write the script, with a table of connections of its own."""
        self.connections.write_text(HEADER)
        text = templates.render(
            "start.sh", images=self.volume, seconds=seconds, linger=linger, nothing=NOTHING, port="1388", proofs=PROOFS
        )
        text = text.replace("/proc/net/tcp6", "/dev/null").replace("/proc/net/tcp", str(self.connections))
        self.script.write_text(text.replace("/bin/sh", "sh"))

    def program(self, name: str, text: str) -> None:
        """Have another program of this name run: by its path, since busybox 1.38 prefers its own to any other."""
        script = self.script.read_text()
        self.script.write_text(re.sub(rf'(?m)(^ *|\d |\$\()({name}) (?="\$)', rf"\1{self.programs}/\2 ", script))
        (self.programs / name).unlink(missing_ok=True)
        (self.programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.programs / name).chmod(0o755)

    def put(self, path: str, content: str = "") -> Path:
        """Put a file into the store."""
        file = self.volume / "docker/registry/v2" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def begin(self, *then: str) -> subprocess.Popen[str]:
        """Start it."""
        waits = roles.AWAIT.replace("/bin/sh", self._shell)
        argv = [self._shell, "-c", waits, str(self.script), *(then or ("echo", "serves"))]
        environ = {**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"}
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            argv, env=environ, stdout=pipe, stderr=pipe, text=True, start_new_session=True, cwd=self.script.parent
        )
        self.begun.append(process)
        return process

    def end(self) -> None:
        """End whatever a test that failed left."""
        for process in self.begun:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def start(self, *then: str) -> tuple[int, str, str]:
        """Start it, and return how it ended and what it said."""
        process = self.begin(*then)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err


@pytest.fixture(params=["this system's", *BUSYBOX])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Container]:
    """A container of each kind, whose programs hear a HUP also where the tests run under nohup(1)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    made = Container(tmp_path, request.param)
    try:
        yield made
    finally:
        made.end()
        signal.signal(signal.SIGHUP, before)


def test_a_container_that_is_started_before_its_files_are_there_waits_for_them(container: Container) -> None:
    script = container.script.read_bytes()
    container.script.write_bytes(b"")
    process = container.begin()
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.3)
    container.script.write_bytes(script)
    assert process.communicate(timeout=30) == ("serves\n", "")
    assert process.returncode == 0


@pytest.mark.parametrize("missing", [1, 2, 1000, 5000])
def test_a_container_whose_script_is_not_written_to_its_end_waits_for_it(container: Container, missing: int) -> None:
    script = container.script.read_bytes().rstrip(b"\n")
    container.script.write_bytes(script[:-missing])
    process = container.begin()
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.3)
    with container.script.open("ab") as file:
        file.write(script[-missing:])
    assert process.communicate(timeout=30) == ("serves\n", "")
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["start.sh", "mirror.sh"])
def test_a_script_that_is_waited_for_has_its_last_line_once(name: str) -> None:
    lines = (templates.FOLDER / f"{name}.j2").read_text().splitlines()
    assert (lines[-1], lines.count(lines[-1])) == ("# The end.", 1)
    assert f'"{lines[-1]}"' in roles.AWAIT


def test_a_container_that_waits_for_its_files_ends_when_it_is_told_to(container: Container) -> None:
    container.script.unlink()
    process = container.begin()
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.3)
    process.terminate()
    assert process.communicate(timeout=5) == ("", "")
    assert process.returncode == 143


def test_an_empty_manifest_is_removed_and_named(container: Container) -> None:
    file = container.put(MANIFEST)
    code, out, _ = container.start()
    assert (code, out.splitlines(), file.exists()) == (
        0,
        [f"removed, since it was left empty: {file}", "serves"],
        False,
    )


@pytest.mark.parametrize("path", REPEATED)
def test_an_empty_link_says_again_what_its_path_says(path: str, container: Container) -> None:
    file = container.put(path)
    _, out, _ = container.start()
    assert (file.read_text(), out.splitlines()) == (
        "sha256:abcd",
        [f"repaired, because it was left empty: {file}", "serves"],
    )


def test_an_empty_tag_points_at_what_was_put_into_its_index_last(container: Container) -> None:
    current = container.put(f"{TAG}/current/link")
    for age, digest in enumerate(("newest", "older", "oldest")):
        link = container.put(f"{TAG}/index/sha256/{digest}/link", f"sha256:{digest}")
        os.utime(link, (1000 - age, 1000 - age))
    container.start()
    assert current.read_text() == "sha256:newest"


def test_an_empty_tag_without_an_index_is_no_tag(container: Container) -> None:
    current = container.put(f"{TAG}/current/link")
    _, out, _ = container.start()
    assert (current.exists(), out.splitlines()) == (False, [f"removed, since it was left empty: {current}", "serves"])


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (MANIFEST, "{}"),
        (f"{TAG}/current/link", "sha256:abcd"),
        (f"blobs/sha256/e3/{NOTHING}/data", ""),
        ("repositories/app/_uploads/1/data", ""),
        ("repositories/blobs/sha256/_uploads/1/data", ""),
        ("repositories/app/_uploads/1/hashstates/sha256/0", ""),
        ("repositories/data/_manifests/a note", ""),
        ("repositories/data/link/_manifests/tags/1/current/link", "sha256:abcd"),
    ],
    ids=[
        "a manifest",
        "a tag",
        "the empty blob",
        "an upload",
        "one of an odd name",
        "its state",
        "another's",
        "an odd name",
    ],
)
def test_what_has_content_or_is_rightly_empty_stays(path: str, content: str, container: Container) -> None:
    file = container.put(path, content)
    assert container.start()[1] == "serves\n"
    assert file.read_text() == content


def test_the_link_to_the_empty_blob_is_a_link_as_any_other(container: Container) -> None:
    link = container.put(f"repositories/app/_layers/sha256/{NOTHING}/link")
    container.start()
    assert link.read_text() == f"sha256:{NOTHING}"


def test_nothing_outside_the_registry_s_tree_is_looked_at(container: Container) -> None:
    (container.volume / "data").touch()
    container.put(MANIFEST, "{}")
    container.start()
    assert (container.volume / "data").exists()


def test_a_volume_that_is_new_is_no_trouble(container: Container) -> None:
    assert container.start() == (0, "serves\n", "")


def test_what_could_not_be_mended_is_not_said_to_be(container: Container) -> None:
    file = container.put(MANIFEST)
    container.program("rm", "echo refused >&2; exit 1")
    assert container.start() == (0, "serves\n", "refused\n")
    assert file.exists()


def test_a_store_that_takes_too_long_is_said_to_and_served_all_the_same(container: Container) -> None:
    container.put(MANIFEST)
    container.write(seconds=1)
    container.program("find", "exec sleep 30")
    code, out, _ = container.start()
    assert (code, out.splitlines()[1:]) == (0, ["serves"])
    assert "could be looked through in 1 seconds" in out


@pytest.mark.parametrize(
    ("stop", "expected"), [(lambda it: it.send_signal(signal.SIGTERM), (143, "")), (lambda _: None, (0, "serves\n"))]
)
def test_whoever_is_told_to_stop_meanwhile_does_not_serve_first(
    stop: Callable[[subprocess.Popen[str]], None], expected: tuple[int, str], container: Container
) -> None:
    container.put(MANIFEST, "{}")
    # It holds no output, whose end is waited for here: it outlives a `timeout` that is told to stop while that forks
    # (coreutils, timeout.c), but not its container.
    container.program("find", "echo looks >&2; exec sleep 2 >/dev/null")
    process = container.begin()
    assert process.stderr
    assert process.stderr.readline() == "looks\n"
    begun = time.monotonic()
    stop(process)
    assert process.stdout
    served = process.stdout.readline()  # nothing at all of one that was stopped: not that it took too long
    process.wait(timeout=10)
    process.stdout.close()
    process.stderr.close()
    assert (process.returncode, served) == expected
    assert (time.monotonic() - begun > 1.5) is bool(served)


def test_what_is_started_gets_its_words_as_they_are_and_its_status_is_the_container_s(container: Container) -> None:
    container.put(MANIFEST, "{}")
    code, out, _ = container.start("sh", "-c", 'echo "$0 $1"; exit 3', "$HOME", "two  words")
    assert (code, out) == (3, "$HOME two  words\n")


DRAINING = 'trap "sleep 0.3; echo drained; exit 5" TERM; echo serves; for _ in $(seq 200); do sleep 0.05; done'


def test_whoever_is_told_to_stop_passes_it_on_and_waits_for_the_end(container: Container) -> None:
    process = container.begin("sh", "-c", DRAINING)
    assert process.stdout
    assert process.stdout.readline() == "serves\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, "drained\n")


ENDING = 'trap "echo ends; until [ -e may-end ]; do sleep 0.02; done; echo ended; exit 0" TERM; echo serves'
ENDING += "; for _ in $(seq 200); do sleep 0.05; done"
"""One that ends when a test lets it, however busy the machine is."""
LISTENER = "   0: 00000000:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1\n"


def test_one_that_ends_at_once_when_it_is_told_to_has_its_own_status(container: Container) -> None:
    script = (
        "import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); print('serves', flush=True); "
        "signal.sigwait([signal.SIGTERM]); os._exit(3)"
    )
    ended = set()
    for _ in range(100):  # some of which meet the very moment in which the signal ends the wait
        process = container.begin(sys.executable, "-IS", "-c", script)
        _says(process, "serves")
        process.terminate()
        process.communicate(timeout=10)
        ended.add(process.returncode)
    assert ended == {3}


def _says(process: subprocess.Popen[str], *lines: str) -> None:
    """Insist on lines, in whatever order."""
    assert process.stdout
    assert sorted(process.stdout.readline() for _ in lines) == [f"{line}\n" for line in sorted(lines)]


def test_at_a_hup_another_one_takes_over_while_the_one_before_ends(container: Container) -> None:
    process = container.begin("sh", "-c", ENDING)
    _says(process, "serves")
    for _ in range(2):
        process.send_signal(signal.SIGHUP)
        _says(process, "ends", "serves")
        container.may_end.touch()
        _says(process, "ended")
        container.may_end.unlink()
        assert process.poll() is None
    container.may_end.touch()
    process.terminate()
    assert (*process.communicate(timeout=10), process.returncode) == ("ends\nended\n", "", 0)


def test_who_is_told_to_stop_meanwhile_waits_for_both(container: Container) -> None:
    once, ended = container.volume / "once", container.volume / "ended"
    script = f"""if [ -e {once} ]; then seconds=0.1; else seconds=1; fi; : >{once}
trap "echo ends; sleep $seconds; echo $seconds >>{ended}; exit 0" TERM; echo serves; while :; do sleep 0.05; done"""
    process = container.begin("sh", "-c", script)
    _says(process, "serves")
    process.send_signal(signal.SIGHUP)
    _says(process, "ends", "serves")
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert sorted(ended.read_text().split()) == ["0.1", "1"], "in this order, but on a busy machine"
    process.communicate()


def test_the_one_that_takes_over_ends_the_container_as_the_first_would(container: Container) -> None:
    container.may_end.touch()
    once = container.volume / "once"
    process = container.begin("sh", "-c", f"[ ! -e {once} ] || exit 3; : >{once}; {ENDING}")
    _says(process, "serves")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=10)
    assert process.returncode == 3


def test_a_hup_in_the_moment_before_the_shell_waits_is_not_lost(container: Container) -> None:
    container.may_end.touch()
    text = container.script.read_text()
    container.script.write_text(text.replace('wait "$child"', 'sleep 0.5; wait "$child"', 1))
    once = container.volume / "once"
    process = container.begin("sh", "-c", f"[ ! -e {once} ] || exit 3; : >{once}; {ENDING}")
    _says(process, "serves")
    process.send_signal(signal.SIGHUP)  # long before the wait, which no signal ends any more
    process.communicate(timeout=5)
    assert process.returncode == 3


def test_another_one_takes_over_when_the_port_is_let_go(container: Container) -> None:
    container.may_end.touch()
    container.connections.write_text(HEADER + LISTENER)
    container.script.write_text(container.script.read_text().replace("left=200", "left=9000"))
    process = container.begin("sh", "-c", ENDING)
    _says(process, "serves")
    process.send_signal(signal.SIGHUP)
    _says(process, "ends")
    _says(process, "ended")
    container.connections.write_text(HEADER + LISTENER.replace("1388", "1389"))
    begun = time.monotonic()
    _says(process, "serves")
    assert time.monotonic() - begun < 30  # of the minute and a half for which it would wait
    process.terminate()
    process.communicate(timeout=10)


@pytest.mark.parametrize(
    ("state", "unsent", "linger", "least"),
    [("04", "0000A000", 1, 1.0), ("09", "00000001", 1, 1.0), ("04", "00000000", 20, 0.0), ("0A", "00000005", 20, 0.0)],
    ids=["closed, unsent", "the end unconfirmed", "all sent", "a listener"],
)
def test_the_network_stays_for_what_the_kernel_has_not_sent_and_no_longer_than_that(
    state: str, unsent: str, linger: int, least: float, container: Container
) -> None:
    container.write(linger=linger)
    with container.connections.open("a") as table:
        table.write(CONNECTION.format(state=state, unsent=unsent))
    begun = time.monotonic()
    assert container.start("true")[0] == 0
    assert least <= time.monotonic() - begun < 10


def test_the_network_goes_as_soon_as_everything_is_sent(container: Container) -> None:
    container.write(linger=20)
    container.connections.write_text(HEADER + CONNECTION.format(state="04", unsent="0000A000"))
    process = container.begin("echo", "ended")
    assert process.stdout
    assert process.stdout.readline() == "ended\n"
    time.sleep(0.3)
    assert process.poll() is None
    container.connections.write_text(HEADER)
    process.communicate(timeout=5)
    assert process.returncode == 0


def test_beside_another_container_of_the_same_images_nothing_is_mended_and_it_serves(container: Container) -> None:
    file = container.put(MANIFEST)
    container.program("find", "exit 0")
    first = container.begin("sh", "-c", "echo serves; exec sleep 30")
    assert first.stdout
    assert first.stdout.readline() == "serves\n"
    container.program("find", f'exec {shutil.which("find")} "$@"')
    code, out, _ = container.start()
    first.terminate()
    first.communicate(timeout=10)
    assert (code, file.exists()) == (0, True)
    assert out == f"another container writes to {container.volume}, so nothing in it is repaired\nserves\n"


def test_images_that_cannot_be_locked_are_not_mended_and_that_is_said(container: Container) -> None:
    file = container.put(MANIFEST)
    container.program("flock", "exit 1")
    code, out, _ = container.start()
    assert (code, "cannot be locked" in out, "writes to" in out, file.exists()) == (0, True, False, True)


def test_a_lock_goes_with_its_holder_so_the_next_one_mends(container: Container) -> None:
    container.start()
    file = container.put(MANIFEST)
    container.start()
    assert not file.exists()


def test_what_was_filled_since_it_was_found_stays(container: Container) -> None:
    file = container.put(MANIFEST)
    container.program("find", f"echo '{{}}' >{file}; exec sh {container.script} --mend {file}")
    assert container.start() == (0, "serves\n", "")
    assert file.read_text() == "{}\n"


@by_root
def test_images_that_may_not_be_changed_are_not_mended(container: Container) -> None:
    file = container.put(MANIFEST)
    subprocess.run(["mount", "--bind", "-o", "ro", container.volume, container.volume], check=True)
    try:
        assert container.start() == (0, "serves\n", "")
    finally:
        subprocess.run(["umount", container.volume], check=True)
    assert file.exists()


# What deleted proofs leave


WITHOUT_ANSWER = 'case "$*" in *-path*) {} ;; esac; exec {} "$@"'
"""A `find` that does not say whether others have a content."""
LAST = "f0" * 32
"""A proof that is the last by its name, and so the last to be cleared away."""
SERVING = ("sh", "-c", "echo serves; exec sleep 60")


def _image(container: Container, repository: str, number: int, *, deleted: bool = False, layer: str = "") -> list[Path]:
    """Put an image into the store as a registry does, or what is left when its manifest is deleted."""
    manifest, config = f"{number:02x}" * 32, f"{number + 1:02x}" * 32
    layer = layer or f"{number + 2:02x}" * 32
    named = f'{{"config": {{"digest": "sha256:{config}"}}, "layers": [{{"digest": "sha256:{layer}"}}]}}'
    put = [container.put(f"blobs/sha256/{manifest[:2]}/{manifest}/data", named)]
    for digest in (config, layer):
        put.append(container.put(f"blobs/sha256/{digest[:2]}/{digest}/data", "x"))
        put.append(container.put(f"repositories/{repository}/_layers/sha256/{digest}/link", f"sha256:{digest}"))
    link = container.put(f"repositories/{repository}/_manifests/revisions/sha256/{manifest}/link", f"sha256:{manifest}")
    if deleted:
        link.unlink()
        return put
    tag = container.put(f"repositories/{repository}/_manifests/tags/1/current/link", f"sha256:{manifest}")
    return [*put, link, tag]


def _clear(container: Container, done: Callable[[], bool] | None = None) -> None:
    """Start it, tell it to clear proofs away until that is seen to be done, and have it end."""
    last = container.volume / "docker/registry/v2/repositories" / PROOFS / "_manifests/revisions/sha256" / LAST
    if done is None:
        _image(container, PROOFS, 0xF0, deleted=True)
        assert last.exists()
    process = container.begin(*SERVING)
    assert process.stdout
    assert process.stdout.readline() == "serves\n"
    end = time.monotonic() + 30
    while (last.exists() if done is None else not done()) and time.monotonic() < end:
        process.send_signal(signal.SIGUSR1)  # one that comes before the script waits is not heard
        time.sleep(0.3)
    assert time.monotonic() < end
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 143


def _kept(container: Container) -> set[Path]:
    return {it for it in container.volume.rglob("*") if it.is_file()}


def test_told_so_it_takes_away_what_deleted_proofs_leave_and_nothing_else(container: Container) -> None:
    kept = {*_image(container, "team/app", 0x10), *_image(container, "other", 0x20, deleted=True)}
    _image(container, PROOFS, 0x30, deleted=True)
    _image(container, PROOFS, 0x40, deleted=True)
    folder = container.volume / "docker/registry/v2/repositories" / PROOFS
    _clear(container, lambda: not folder.exists())
    assert _kept(container) == kept


def test_a_proof_that_is_under_way_is_left_alone(container: Container) -> None:
    kept = {*_image(container, PROOFS, 0x10)}
    _image(container, PROOFS, 0x30, deleted=True)
    _clear(container)
    assert _kept(container) == kept


def test_a_content_that_a_proof_under_way_names_stays(container: Container) -> None:
    kept = {*_image(container, PROOFS, 0x10)}
    _image(container, PROOFS, 0x30, deleted=True, layer=f"{0x12:02x}" * 32)
    _clear(container)
    assert _kept(container) == kept


@pytest.mark.parametrize("repository", ["app", "team/app", "a/b/c/d"])
def test_a_content_that_another_repository_has_stays(repository: str, container: Container) -> None:
    kept = {*_image(container, repository, 0x10)}
    _image(container, PROOFS, 0x30, deleted=True, layer=f"{0x12:02x}" * 32)
    _clear(container)
    assert _kept(container) == kept


def test_without_an_answer_whether_others_have_it_a_content_stays_and_goes_another_time(container: Container) -> None:
    _image(container, PROOFS, 0x30, deleted=True)
    contents = {it for it in _kept(container) if it.name == "data"}
    asked = container.script.with_name("asked")
    container.program("find", WITHOUT_ANSWER.format(f"echo >>{asked}; exit 1", shutil.which("find")))
    _clear(container, asked.exists)
    assert {it for it in _kept(container) if it.name == "data"} == contents
    container.write()
    folder = os.open(container.volume, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # busybox's timeout keeps what it had for a second
    os.close(folder)
    container.program("find", f'exec {shutil.which("find")} "$@"')
    _clear(container)
    assert _kept(container) == set()


def test_a_kill_in_the_middle_is_made_good_another_time(container: Container) -> None:
    left = _image(container, PROOFS, 0x30, deleted=True)
    for path in left[1:3]:  # the configuration's content, and its link
        path.unlink()
    _clear(container)
    assert _kept(container) == set()


def test_a_revision_whose_link_is_being_written_is_none_that_was_deleted(container: Container) -> None:
    kept = {*_image(container, PROOFS, 0x30, deleted=True)}
    revision = f"repositories/{PROOFS}/_manifests/revisions/sha256/{f'{0x30:02x}' * 32}"
    kept.add(container.put(f"{revision}/link.1234.tmp", ""))
    _clear(container)
    assert _kept(container) == kept


def test_nothing_to_clear_away_is_no_trouble(container: Container) -> None:
    kept = {*_image(container, "app", 0x10)}
    _clear(container)
    assert _kept(container) == kept


@pytest.mark.parametrize(
    "names",
    ['"sha256:../../../../x" "sha256:**" "sha256:$(rm -rf .)"', " ".join(f'"sha256:{it * 64}"' for it in "abc")],
)
def test_a_manifest_that_is_none_of_ours_takes_nothing_with_it(names: str, container: Container) -> None:
    kept = {*_image(container, "app", 0x10)}
    left = _image(container, PROOFS, 0x30, deleted=True)
    left[0].write_text(names)
    _image(container, PROOFS, 0x40, deleted=True)
    _clear(container)
    assert _kept(container) == kept | {*left}


@pytest.mark.parametrize("times", [1, 2])
def test_a_stop_does_not_wait_for_it_however_often_it_was_told(times: int, container: Container) -> None:
    _image(container, PROOFS, 0x30, deleted=True)
    asked = container.script.with_name("asked")
    container.program("find", WITHOUT_ANSWER.format(f"echo >>{asked}; exec sleep 60", shutil.which("find")))
    since = time.monotonic()
    _clear(container, lambda: asked.exists() and len(asked.read_text()) >= times)
    assert time.monotonic() - since < 20
