"""A kit looks at itself before it does anything: what was changed, cut short or cannot be checked refuses to run."""

from __future__ import annotations

import hashlib
import random
import re
import subprocess

import pytest

from tests.disk import snapshot
from tests.programs import real
from tests.trust.remote.kits import Disk, last

pytestmark = pytest.mark.process

FLIPS = 40
TOOLS = (
    "awk", "base64", "cat", "cmp", "cp", "id", "ln", "ls", "mkdir", "mv", "rm", "rmdir", "sed", "sh", "sleep", "tail",
)  # fmt: skip


def test_a_kit_with_one_byte_changed_refuses_to_run(disk: Disk) -> None:
    whole, before = disk.script.read_bytes(), snapshot(disk.root)
    chance = random.Random(whole)  # noqa: S311 - the same places each time
    head = whole.index(b"# --- What it says ---")
    places = [chance.randrange(head) for _ in range(FLIPS)] + [chance.randrange(len(whole)) for _ in range(FLIPS)]
    for at in places:
        other = chance.choice([byte for byte in range(1, 256) if byte != whole[at]])
        disk.script.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
        done = disk.here()
        assert done.returncode != 0, (at, whole[at - 20 : at + 20], other, done)
        assert snapshot(disk.root) == before
    disk.script.write_bytes(whole)
    assert last(disk.here()) == (0, "changed")


def test_a_kit_that_was_cut_short_or_added_to_refuses_to_run(disk: Disk) -> None:
    whole, before = disk.script.read_bytes(), snapshot(disk.root)
    lengths = [len(whole) - 1, len(whole) - 3, len(whole) - 30, len(whole) // 2, whole.index(b"{\nset -eu") + 2]
    for content in [*(whole[:length] for length in lengths), whole + b"\n", whole + b"true\n"]:
        disk.script.write_bytes(content)
        assert disk.here().returncode != 0, content[-20:]
        assert snapshot(disk.root) == before


def test_a_kit_with_another_certificate_in_it_refuses_to_run(one: Disk) -> None:
    """Even where whoever changed it made the sum anew: the fingerprint is what people compare."""
    text = one.script.read_text()
    line = one.anchor.content.decode().splitlines()[3]
    text = re.sub("kit_sum='.*'", "kit_sum=", text.replace(line, line[::-1]))
    digest = hashlib.sha256(text.encode()).hexdigest()
    one.script.write_text(text.replace("kit_sum=\n", f"kit_sum='{digest}'\n", 1))
    done = one.here()
    assert last(done) == (1, "failed")
    assert "something in it was changed" in done.stderr


def test_a_kit_from_a_pipe_asks_to_be_saved_first(disk: Disk) -> None:
    argv = [*disk.shell, "-s", "--", "--root", str(disk.root)]
    done = subprocess.run(argv, input=disk.script.read_text(), capture_output=True, text=True, check=False)
    assert last(done) == (1, "failed")
    assert "Save it, then: sh FILE" in done.stderr


@pytest.mark.parametrize("summer", ["openssl", "shasum", "sha256sum"])
def test_any_of_three_programs_can_say_whether_it_is_whole(one: Disk, summer: str) -> None:
    path = _path(one, summer)
    done = one.here(PATH=path)
    assert last(done) == (0, "changed"), done
    one.script.write_bytes(one.script.read_bytes().replace(b"half a file", b"half a mile"))
    assert last(one.here(PATH=path)) == (1, "failed")


def test_with_none_of_them_it_says_so_and_stops(one: Disk) -> None:
    done = one.here(PATH=_path(one))
    assert last(done) == (1, "failed")
    assert "Neither sha256sum nor shasum nor openssl is here" in done.stderr
    assert not (one.root / "etc/docker").exists()


def test_a_program_that_is_missing_is_named(one: Disk) -> None:
    path = _path(one, "sha256sum")
    (one.folder / "tools/cmp").unlink()
    done = one.here(PATH=path)
    assert last(done) == (1, "failed")
    assert "There is no cmp here." in done.stderr


def _path(disk: Disk, *more: str) -> str:
    """Return a PATH that leads to the tools a kit needs and, of others, to these alone."""
    tools = disk.folder / "tools"
    tools.mkdir()
    for name in (*TOOLS, *more):
        (tools / name).symlink_to(real(name))
    return str(tools)
