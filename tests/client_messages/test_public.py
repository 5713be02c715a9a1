"""Public messages: those about registries have the answer that was written down before, those of other trades none."""

from __future__ import annotations

import re

import pytest

from tests.client_messages.corpus import OTHER_TRADES, REGISTRIES, PublicMessage
from trusted_registry import address
from trusted_registry.client_messages import catalogue, endpoint, public_sites
from trusted_registry.client_messages.catalogue import LocalContext, Match

LOCAL = [
    LocalContext(registry="192.168.0.99"),
    LocalContext(registry="192.168.0.99:8443", hosts=frozenset({"192.168.0.99", "localhost", "127.0.0.1"}), keeps=True),
]
RIGHT = 0.95
OF_ONE_S_OWN = re.compile(
    r"\./inv (trust|cert)\b|--names|--cacert certs|(install|tee|cp) .*certs\.d/|NO_PROXY"
    r"|INVOKE_REGISTRY_(ADDRESS|PLAIN)"
)
"""Steps for a registry of one's own: harmful where the message is about another's site."""


def _registry(message: PublicMessage) -> str:
    host, port = endpoint.parted(message.registry)
    return address.registry_host(host, port) if host else ""


def _is_right(message: PublicMessage, found: list[Match]) -> bool:
    rows, registries = [match.key for match in found], [match.registry for match in found]
    return rows == [message.row] and (message.registry == "*" or registries == [_registry(message)])


def _harmful(match: Match) -> list[str]:
    """Return the steps that would have somebody trust, sign for, or make plain what is no registry of theirs."""
    about_public = public_sites.is_public(endpoint.parted(match.registry)[0])
    return [
        step.command
        for step in match.cure
        if (about_public and OF_ONE_S_OWN.search(step.command))
        or (step.command.startswith("./inv") and any(map(public_sites.is_public, step.command.split())))
    ]


def test_each_public_message_has_a_thread_of_its_own_and_those_about_registries_have_an_answer() -> None:
    messages = [*REGISTRIES, *OTHER_TRADES]
    links = [message.link for message in messages]
    assert (len(REGISTRIES) >= 200, len(OTHER_TRADES) >= 100, len(set(links))) == (True, True, len(links))
    assert all(link.startswith("https://github.com/") for link in links)
    assert all(message.text for message in messages)
    assert all(message.row and message.registry for message in REGISTRIES)
    assert not any(message.row for message in OTHER_TRADES)


@pytest.mark.parametrize("local", LOCAL, ids=["a client", "a registry's own machine"])
def test_public_messages_get_the_answer_that_was_written_down_before(local: LocalContext) -> None:
    wrong = [it.link for it in REGISTRIES if not _is_right(it, catalogue.find(it.text, local))]
    assert len(wrong) <= (1 - RIGHT) * len(REGISTRIES), wrong


@pytest.mark.parametrize("local", LOCAL, ids=["a client", "a registry's own machine"])
@pytest.mark.parametrize("message", REGISTRIES, ids=lambda it: it.link.removeprefix("https://github.com/"))
def test_no_public_message_gets_a_cure_that_does_harm(message: PublicMessage, local: LocalContext) -> None:
    assert [line for match in catalogue.find(message.text, local) for line in _harmful(match)] == []


@pytest.mark.parametrize("message", OTHER_TRADES, ids=lambda it: it.link.removeprefix("https://github.com/"))
def test_a_message_of_another_trade_is_not_explained(message: PublicMessage) -> None:
    assert [match.key for local in LOCAL for match in catalogue.find(message.text, local)] == []


def test_what_a_client_said_of_a_registry_that_it_was_asked_for_is_judged_whatever_its_trade() -> None:
    said = "fatal: unable to access 'https://10.0.0.9/x.git/': SSL certificate problem: self-signed certificate"
    assert [match.key for match in catalogue.find(said)] == ["unknown-authority-system"]
    assert catalogue.find(said, LocalContext(registry="192.168.0.12")) == []
