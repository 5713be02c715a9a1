"""What a person and a program are told of the clients' pulls, and when that is a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from trusted_registry.errors import SettingError
from trusted_registry.report import Report
from trusted_registry.run import Run
from trusted_registry.tasks import trust_check
from trusted_registry.trust.local.check import PullResult
from trusted_registry.trust.specifics.pulls import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import MakeSettings
    from tests.recorder import Recorder

X509 = "x509: certificate signed by unknown authority"
SHORT, LONG = "192.168.0.12", "192.168.0.12:443"
ACCEPTED = PullResult("docker", "28.5.1", SHORT, Verdict.ACCEPTED, counts=True)
REFUSED = PullResult("podman", "4.3.1", SHORT, Verdict.REFUSED, True, X509, "./inv trust.linux --only podman")  # noqa: FBT003
IDLE = PullResult("curl", "7.88.1", SHORT, Verdict.REFUSED, False, "SSL certificate", "./inv trust.linux --only system")  # noqa: FBT003
ABSENT = PullResult("crane", "", "", Verdict.ABSENT, counts=False)


Make = Callable[..., Report]
"""Makes the report of some pulls."""


@pytest.fixture
def report(make_settings: MakeSettings) -> Make:
    """A maker of reports."""
    return lambda *pulls: trust_check.report(pulls, make_settings())


def _rows(report: Report) -> Sequence[Sequence[str]]:
    assert report.table
    return report.table.rows


def test_a_table_says_once_what_is_the_same_for_every_spelling(report: Make) -> None:
    again = PullResult("docker", "28.5.1", LONG, Verdict.ACCEPTED, counts=True)
    assert _rows(report(ACCEPTED, again)) == [["docker 28.5.1", f"{SHORT}, {LONG}", "accepted", ""]]


def test_a_table_tells_spellings_apart_where_they_differ(report: Make) -> None:
    other = PullResult("docker", "28.5.1", LONG, Verdict.REFUSED, True, X509, "./inv trust.linux")  # noqa: FBT003
    assert [row[1:3] for row in _rows(report(ACCEPTED, other))] == [
        [SHORT, "accepted"],
        [LONG, "refused"],
    ]


def test_a_table_gives_the_reason_and_the_cure_and_only_the_cure_to_who_was_not_asked(
    report: Make,
) -> None:
    shown = _rows(report(REFUSED, IDLE, ABSENT))
    assert [row[3] for row in shown] == [
        f"{X509}\n./inv trust.linux --only podman",
        "nobody asked for it: ./inv trust.linux --only system",
    ]


def test_who_is_not_here_and_who_does_not_count_is_said_below(report: Make) -> None:
    assert report(ACCEPTED, IDLE, ABSENT).lines == [
        "not here: crane",
        "curl: not set up to trust it, so they do not count; --only curl makes it count",
    ]
    assert report(ACCEPTED).lines == []


def test_who_is_here_and_could_not_be_asked_is_told_with_the_reason_once_for_all_that_share_it(
    report: Make,
) -> None:
    why = "its service does not run: there is no /run/containerd/containerd.sock"
    idle = [PullResult(name, "", "", Verdict.ABSENT, counts=False, reason=why) for name in ("ctr", "nerdctl")]
    assert report(ACCEPTED, *idle, ABSENT).lines == ["not here: crane", f"not asked: ctr, nerdctl: {why}"]


def test_a_client_that_was_named_and_is_not_here_is_in_the_table(report: Make) -> None:
    named = PullResult("crane", "", "", Verdict.ABSENT, counts=True)
    assert _rows(report(named)) == [["crane", "", "not here", ""]]
    assert report(named).lines == []


def test_json_says_all_of_every_row(report: Make) -> None:
    assert json.loads(json.dumps(report(REFUSED, ABSENT).content))[0] == {
        "client": "podman",
        "version": "4.3.1",
        "registry": SHORT,
        "result": "refused",
        "counts": True,
        "reason": X509,
        "cure": "./inv trust.linux --only podman",
    }
    assert [row["result"] for row in json.loads(json.dumps(report(REFUSED, ABSENT).content))] == ["refused", "not here"]


def test_all_is_well_where_each_client_that_counts_was_accepted(report: Make) -> None:
    assert report(ACCEPTED, IDLE, ABSENT).failure is None


@pytest.mark.parametrize(
    ("bad", "cure"),
    [
        (REFUSED, "./inv trust.linux --only podman"),
        (
            PullResult("podman", "", SHORT, Verdict.FAILED, counts=True, reason="no such host"),
            "See why: ./inv trust.check --only podman",
        ),
        (PullResult("podman", "", "", Verdict.ABSENT, counts=True), "See why: ./inv trust.check --only podman"),
    ],
)
def test_a_client_that_counts_and_was_not_accepted_is_a_failure_with_its_cure(
    bad: PullResult, cure: str, report: Make
) -> None:
    failure = report(ACCEPTED, bad).failure
    assert failure
    assert (failure.message.partition("did not: ")[2], failure.cure, failure.code) == ("podman.", cure, 1)


def test_where_nobody_was_asked_to_trust_there_is_no_proof(report: Make) -> None:
    failure = report(IDLE, ABSENT).failure
    assert failure
    assert failure.message.startswith("No client here is set up to trust")


def test_a_name_that_is_no_clients_is_a_wrong_flag(make_settings: MakeSettings, console: Recorder) -> None:
    with pytest.raises(SettingError, match="--only"):
        trust_check.check_pulls(Run(make_settings(), console), only=("docker", "wget"))
