"""The gap at a renewal as a client sees it: the longest time without an answer, and whether its download was whole."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bench import client, gap, stand
from bench.deadline import Pace
from bench.gap import RENEW, RESTART, Trial
from bench.outside import Seen
from bench.timing import BenchError
from tests import forge, loopback

if TYPE_CHECKING:
    from pathlib import Path

CATALOG, CATALOG_BODY = "/v2/_catalog", b'{"repositories": ["app", "other"]}'


def test_the_gap_is_the_longest_time_without_an_answer_that_ended_after_the_command_began() -> None:
    seen = Seen((0.0, 5.0, 5.1, 5.2, 6.0, 6.1), "")
    assert seen.gap(5.05) == pytest.approx((5.2, 0.8))
    assert seen.gap(1.0) == pytest.approx((0.0, 5.0))


@pytest.mark.parametrize("answered", [(), (1.0,), (5.2, 5.3)])
def test_who_was_not_answered_before_and_after_has_seen_no_gap(answered: tuple[float, ...]) -> None:
    with pytest.raises(BenchError, match="not answered"):
        Seen(answered, "").gap(5.1)


def test_a_row_says_how_many_downloads_were_whole() -> None:
    trials = {RENEW: [Trial(0, 0.1, whole=True), Trial(0, 0.3)], RESTART: [Trial(0, 2.0), Trial(0, 6.0)]}
    made = gap.row(trials, "48 MB under way", downloads=True)
    assert made.what == "./inv cert.renew (1 of 2 downloads whole): 48 MB under way"
    assert made.against == "docker restart (0 of 2 downloads whole)"
    assert (made.ours.median, made.figure, made.met) == (0.2, 0.05, True)


def test_a_renewal_that_is_dark_for_longer_than_half_a_restart_misses_its_target() -> None:
    for seconds, met in ((0.4, True), (0.6, False)):
        made = gap.row({RENEW: [Trial(0, seconds)], RESTART: [Trial(0, 1.0)]}, "no answer for")
        assert (made.what, made.met) == ("./inv cert.renew: no answer for", met)


@pytest.mark.parametrize(("seconds", "expected"), [(60.0, 3), (0.0, 1)])
def test_three_trials_of_each_side_are_enough_and_one_where_the_time_is_up(seconds: float, expected: int) -> None:
    order: list[str] = []

    def tried(name: str) -> Trial:
        order.append(name)
        return Trial(0, 1)

    sides = {name: lambda name=name: tried(name) for name in (RENEW, RESTART)}
    found = gap._in_turn(sides, Pace(7, time.monotonic() + seconds))
    assert [len(it) for it in found.values()] == [expected, expected]
    assert order == [RENEW, RESTART] * expected


def test_what_a_replacement_leaves_is_the_bench_s_and_another_s_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ["bench", "bench-before", "bench-rehearsal", "bench-files-0123abcd", "bench-files-0123abcd-filler"]
    others = ["bench-rsa", "bench2", "my-bench", "bench-files-of-mine", "bench-before-all"]
    monkeypatch.setattr(stand, "output", lambda _argv: "\n".join([*others, *ours]))
    assert stand.containers(["bench"]) == stand.volumes(["bench"]) == ours


# The client, as a program


class Program:
    """The client of a registry on loopback."""

    def __init__(self, port: int, authority: Path, *download: str) -> None:
        argv = [sys.executable, "-I", "-S", client.__file__, loopback.HOST, str(port), str(authority), *download]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.line() == str(self._process.pid)
        self.tell("begin")

    def line(self) -> str:
        """Return the next line that it says."""
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def tell(self, line: str) -> None:
        """Tell it something."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def end(self, *words: str) -> str:
        """Return what it says in the end."""
        said, _ = self._process.communicate("".join(f"{word}\n" for word in words), timeout=10)
        assert self._process.returncode == 0
        return said


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of a registry on loopback, and its authority."""
    authority = forge.authority()
    forge.save(authority, tmp_path, "ca")
    return forge.save(forge.server(authority, names=(loopback.HOST, "registry.local")), tmp_path, "domain")


@pytest.mark.process
@pytest.mark.timeout(20)
def test_it_notes_when_it_is_answered_and_what_it_downloads(certificate: Path, tmp_path: Path) -> None:
    with loopback.registry(certificate) as port:
        program = Program(port, tmp_path / "ca.crt", CATALOG, "1000")
        assert program.line() == "answered"
        time.sleep(0.3)
        begun = time.monotonic()
        seen = json.loads(program.end("end"))
    assert 2 < len(seen["answered"]) < 40
    assert seen["answered"][0] < begun < seen["answered"][-1] < time.monotonic()
    assert seen["digest"] == f"sha256:{hashlib.sha256(CATALOG_BODY).hexdigest()}"


@pytest.mark.process
@pytest.mark.timeout(20)
@pytest.mark.parametrize(("authority", "status"), [("another", 200), ("its own", 503)])
def test_another_s_certificate_and_an_error_are_no_answer_and_without_a_word_it_ends(
    authority: str, status: int, certificate: Path, tmp_path: Path
) -> None:
    other = forge.save(forge.authority(), tmp_path / "other", "ca")
    with loopback.registry(certificate, status=status) as port:
        program = Program(port, other if authority == "another" else tmp_path / "ca.crt")
        time.sleep(0.5)
        assert program.end() == ""
