"""What a person and a program are told of the clients' pulls, and when that is a failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_check
from trusted_registry.trust.local.check import PullResult
from trusted_registry.trust.specifics.pulls import Verdict

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from tests.recorder import Recorder

X509 = "x509: certificate signed by unknown authority"
SHORT, LONG = "192.168.0.12", "192.168.0.12:443"
ACCEPTED = PullResult("docker", "28.5.1", SHORT, Verdict.ACCEPTED, counts=True)
REFUSED = PullResult("podman", "4.3.1", SHORT, Verdict.REFUSED, True, X509, "./inv trust.linux --only podman")  # noqa: FBT003
IDLE = PullResult("curl", "7.88.1", SHORT, Verdict.REFUSED, False, "SSL certificate", "./inv trust.linux --only system")  # noqa: FBT003
ABSENT = PullResult("crane", "", "", Verdict.ABSENT, counts=False)


def _rows(*rows: PullResult, make_settings: MakeSettings) -> list[list[str]]:
    return trust_check.table(rows, make_settings())[2]


def test_a_table_says_once_what_is_the_same_for_every_spelling(make_settings: MakeSettings) -> None:
    again = PullResult("docker", "28.5.1", LONG, Verdict.ACCEPTED, counts=True)
    assert _rows(ACCEPTED, again, make_settings=make_settings) == [
        ["docker 28.5.1", f"{SHORT}, {LONG}", "accepted", ""]
    ]


def test_a_table_tells_spellings_apart_where_they_differ(make_settings: MakeSettings) -> None:
    other = PullResult("docker", "28.5.1", LONG, Verdict.REFUSED, True, X509, "./inv trust.linux")  # noqa: FBT003
    assert [row[1:3] for row in _rows(ACCEPTED, other, make_settings=make_settings)] == [
        [SHORT, "accepted"],
        [LONG, "refused"],
    ]


def test_a_table_gives_the_reason_and_the_cure_and_only_the_cure_to_who_was_not_asked(
    make_settings: MakeSettings,
) -> None:
    shown = _rows(REFUSED, IDLE, ABSENT, make_settings=make_settings)
    assert [row[3] for row in shown] == [
        f"{X509}\n./inv trust.linux --only podman",
        "nobody asked for it: ./inv trust.linux --only system",
    ]


def test_who_is_not_here_and_who_does_not_count_is_said_below() -> None:
    assert trust_check.remarks([ACCEPTED, IDLE, ABSENT]) == [
        "not here: crane",
        "curl: trust was not asked for, so they do not count; --only curl would insist",
    ]
    assert trust_check.remarks([ACCEPTED]) == []


def test_who_is_here_and_could_not_be_asked_is_told_with_the_reason_once_for_all_that_share_it() -> None:
    why = "its service does not run: there is no /run/containerd/containerd.sock"
    idle = [PullResult(name, "", "", Verdict.ABSENT, counts=False, reason=why) for name in ("ctr", "nerdctl")]
    assert trust_check.remarks([ACCEPTED, *idle, ABSENT]) == ["not here: crane", f"not asked: ctr, nerdctl: {why}"]


def test_a_client_that_was_named_and_is_not_here_is_in_the_table(make_settings: MakeSettings) -> None:
    named = PullResult("crane", "", "", Verdict.ABSENT, counts=True)
    assert _rows(named, make_settings=make_settings) == [["crane", "", "not here", ""]]
    assert trust_check.remarks([named]) == []


def test_json_says_all_of_every_row() -> None:
    assert json.loads(trust_check.as_json([REFUSED, ABSENT]))[0] == {
        "client": "podman",
        "version": "4.3.1",
        "registry": SHORT,
        "result": "refused",
        "counts": True,
        "reason": X509,
        "cure": "./inv trust.linux --only podman",
    }
    assert [row["result"] for row in json.loads(trust_check.as_json([REFUSED, ABSENT]))] == ["refused", "not here"]


def test_all_is_well_where_each_client_that_counts_was_accepted() -> None:
    trust_check.insist([ACCEPTED, IDLE, ABSENT])


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
def test_a_client_that_counts_and_was_not_accepted_is_a_failure_with_its_cure(bad: PullResult, cure: str) -> None:
    with pytest.raises(RegistryError, match="did not: podman") as caught:
        trust_check.insist([ACCEPTED, bad])
    assert (caught.value.cure, caught.value.code) == (cure, 1)


def test_where_nobody_was_asked_to_trust_there_is_no_proof() -> None:
    with pytest.raises(RegistryError, match="No client here was asked to trust"):
        trust_check.insist([IDLE, ABSENT])


def test_a_name_that_is_no_clients_is_a_wrong_flag(make_settings: MakeSettings, console: Recorder) -> None:
    with pytest.raises(SettingError, match="--only"):
        trust_check.check_pulls(Run(make_settings(), console), "docker,wget")
