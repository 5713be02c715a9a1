"""Messages about upstreams with a mirror: "not found" because that is away, told from "no such image"."""

from __future__ import annotations

import pytest

from trusted_registry.client_messages import catalogue, mirrored
from trusted_registry.client_messages.catalogue import Match
from trusted_registry.client_messages.mirrored import Mirrored
from trusted_registry.mirror import reach
from trusted_registry.mirror.reach import Reach, State
from trusted_registry.mirror.upstream import Upstream

MIRRORS = {"docker.io": "192.168.0.12:5500", "ghcr.io": "192.168.0.12:5501"}
NOT_FOUND = 'failed to resolve reference "docker.io/library/x:1": docker.io/library/x:1: not found'
OF_MIRROR = "reading manifest 1 in 192.168.0.12:5501/org/y: manifest unknown"
DIALS = 'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host'
AWAY = Reach(Upstream("docker.io"), State.AWAY, "dial tcp: no route to host")


def _match(text: str) -> Match:
    (found,) = catalogue.find(text)
    return found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (NOT_FOUND, "docker.io"),
        (DIALS, "docker.io"),
        (OF_MIRROR, "ghcr.io"),
        ("reading manifest 1 in quay.io/org/y: manifest unknown", ""),
        ('Get "https://192.168.0.12:5500/v2/": x509: certificate signed by unknown authority', ""),
    ],
)
def test_a_message_belongs_to_the_upstream_that_it_names_by_either_host(text: str, name: str) -> None:
    assert mirrored.upstream_of(_match(text), MIRRORS) == name


def test_not_found_while_the_upstream_is_away_is_told_from_no_such_image() -> None:
    at = MIRRORS["docker.io"]
    away = mirrored.told(_match(NOT_FOUND), Mirrored("docker.io", at, away=AWAY.words, cure=AWAY.cure))
    assert away.cause.startswith(f"It is not in the mirror of docker.io here ({at}), and docker.io does not answer")
    assert away.cure[0].command == "./inv mirror.list"
    none = mirrored.told(_match(NOT_FOUND), Mirrored("docker.io", at))
    assert "its upstream answers: there is no such image" in none.cause


def test_a_mirror_that_does_not_run_and_a_client_that_does_not_ask_it_are_told() -> None:
    stopped = mirrored.told(_match(NOT_FOUND), Mirrored("docker.io", MIRRORS["docker.io"], runs=False))
    assert stopped.cure[0].command == "./inv mirror.up docker.io"
    past = mirrored.told(_match(DIALS), Mirrored("docker.io", MIRRORS["docker.io"]))
    assert "which this client did not ask" in past.cause
    its = _match(f"dial tcp {MIRRORS['docker.io']}: connect: connection refused")
    between = mirrored.told(its, Mirrored("docker.io", MIRRORS["docker.io"]))
    assert (between.cure, "did not ask" in between.cause) == (its.cure, False)
    assert between.cause.endswith(its.cause)


@pytest.mark.parametrize("state", [it for it in State if not Reach(Upstream("ghcr.io"), it).is_up])
def test_each_trouble_says_what_still_works_and_what_to_do(state: State) -> None:
    found = Reach(Upstream("ghcr.io"), state, "a reason")
    assert found.words.endswith("(a reason); what the mirror holds is served")
    assert found.cure
    assert "{" not in found.cure
    error = reach.absence("ghcr.io/org/x:1", found)
    assert error.message.startswith("ghcr.io/org/x:1 is not in the mirror, and ghcr.io ")
    assert reach.absence("ghcr.io/org/x:1", Reach(Upstream("ghcr.io"), State.ANSWERS)).message.startswith(
        "ghcr.io has no"
    )


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("dial tcp: lookup ghcr.io: no such host", State.AWAY),
        ("read tcp 172.17.0.2:1->192.0.2.1:443: i/o timeout", State.AWAY),
        ("x509: certificate signed by unknown authority", State.DISTRUST),
        ("error parsing HTTP 429 response body: unexpected end of JSON input", State.LIMIT),
        ("unauthorized: authentication required", State.LOGIN),
        ("received unexpected HTTP status: 503 Service Unavailable", State.ERROR),
        ("invalid character '<' looking for beginning of value", State.STRANGE),
    ],
)
def test_the_mirror_s_own_words_tell_the_kind_of_trouble(said: str, state: State) -> None:
    assert reach._judged(said)[0] is state
    log = f'panic: Get "https://ghcr.io/v2/": {said}\n\ngoroutine 1 [running]:\n'
    assert reach._judged(reach._panic(log)) == (state, said)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"errors":[]}', b'{"errors":[{"detail":7}]}', b"[" * 100_000])
def test_an_answer_that_tells_nothing_is_no_error(body: bytes) -> None:
    assert reach._said(body) == ""
