"""Checks of the bucket: what it refuses is told with its cure, and one that is well says nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.doctor.conftest import found, only
from trusted_registry.client_messages.message import Kind
from trusted_registry.doctor import checks
from trusted_registry.doctor.facts import BucketFacts
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local.asking import Answer

if TYPE_CHECKING:
    from tests.doctor.conftest import DoctorBox

AT = "s3://images/lan"


def test_a_bucket_that_refuses_something_is_told_with_its_cure(box: DoctorBox) -> None:
    refused = RegistryError(f"{AT} refuses to delete: AccessDenied", cure="Give its access key that right.")
    finding = only(replace(box.facts, bucket=BucketFacts(AT, refused)), "bucket")
    assert (finding.evidence, finding.cure, AT in finding.cause) == (refused.message, (refused.cure,), True)


@pytest.mark.parametrize(("skew", "words"), [(1000.0, "1000 seconds ahead of"), (-1000.0, "1000 seconds behind")])
def test_a_clock_that_differs_from_the_bucket_s_is_told_before_that_refuses_it(
    skew: float, words: str, box: DoctorBox
) -> None:
    finding = only(replace(box.facts, bucket=BucketFacts(AT, skew=skew)), "clock")
    assert words in finding.evidence


def test_a_client_that_is_answered_with_an_error_meanwhile_is_explained_by_the_bucket_and_by_no_clock(
    box: DoctorBox,
) -> None:
    said = "received unexpected HTTP status: 500 Internal Server Error"
    answer = Answer("docker", "Docker Engine", "192.168.0.12", said, Kind.SERVER, engine=True)
    facts = replace(box.facts, answers=(answer,))
    away = RegistryError(f"{AT} does not answer", cure="See that its server runs.")
    assert found(replace(facts, bucket=BucketFacts(AT, away))) == ["bucket"]
    assert found(replace(facts, bucket=BucketFacts(AT, skew=1000.0))) == ["clock", "refused"]


@pytest.mark.parametrize("bucket", [None, BucketFacts(AT), BucketFacts(AT, skew=2.0), BucketFacts(AT, skew=-299.0)])
def test_a_volume_and_a_bucket_that_is_well_say_nothing(bucket: BucketFacts | None, box: DoctorBox) -> None:
    assert checks.judge(replace(box.facts, bucket=bucket)) == []
    assert found(replace(box.facts, bucket=bucket)) == []
