"""Messages about a bucket: its server is not taken for the registry, and others' buckets are none of this trade."""

from __future__ import annotations

import pytest

from tests.client_messages.samples import END, LOG, REQUEST, S3_CODES, S3_REQUESTS
from trusted_registry.client_messages import catalogue
from trusted_registry.client_messages.catalogue import LocalContext, Match

HERE = LocalContext(registry="192.168.0.12", hosts=frozenset({"192.168.0.12"}))


def only(said: str) -> Match:
    """Return the only message in a text."""
    (found,) = catalogue.find(said, HERE)
    return found


@pytest.mark.parametrize("said", S3_REQUESTS)
@pytest.mark.parametrize("server", ["192.168.0.9:8333", "s3.eu-central-1.amazonaws.com"])
def test_a_bucket_s_endpoint_is_not_taken_for_a_registry_that_clients_have_to_trust(said: str, server: str) -> None:
    line = f"{LOG}{REQUEST}{said}".replace("192.168.0.9:8333", server)
    found = only(line)
    assert (found.key, found.registry) == (S3_REQUESTS[said], "")
    assert not [step.command for step in found.cure if server in step.command or "trust." in step.command]


def test_the_same_words_of_a_registry_are_about_its_own_certificate() -> None:
    said = 'Get "https://192.168.0.12/v2/": x509: certificate signed by unknown authority'
    assert only(said).key == "unknown-authority"


@pytest.mark.parametrize("said", S3_CODES)
def test_what_a_registry_s_log_says_of_its_bucket_is_known_without_the_rest_of_the_line(said: str) -> None:
    assert only(f"s3aws: {said}").key == only(f"{LOG}{said}{END}").key == S3_CODES[said]


@pytest.mark.parametrize("said", S3_CODES)
def test_what_another_program_says_of_a_bucket_is_none_of_a_registry_s(said: str) -> None:
    code, _, words = said.partition(": ")
    assert catalogue.find(f"An error occurred ({code}) when calling the PutObject operation: {words}", HERE) == []


@pytest.mark.parametrize("said", ["s3aws: Path not found: /docker/registry/v2/repositories/app", 's3aws.Stat("/")'])
def test_what_the_driver_tells_of_its_ordinary_work_is_no_fault(said: str) -> None:
    assert catalogue.find(f'level=debug msg="{said}"', HERE) == []


def test_a_push_that_ends_with_503_may_have_a_bucket_behind_it_and_one_that_ends_with_500_too() -> None:
    ends = ("503 Service Unavailable", "500 Internal Server Error")
    found = [only(f"received unexpected HTTP status: {end}") for end in ends]
    assert [match.key for match in found] == ["gateway", "server-error"]
    assert all("bucket" in match.cause and "bucket" in match.look for match in found)
