"""Public messages: those about registries have the answer that was written down before, those of other trades none."""

from __future__ import annotations

from tests.client_messages.corpus import OTHER_TRADES, REGISTRIES


def test_each_public_message_has_a_thread_of_its_own_and_those_about_registries_have_an_answer() -> None:
    messages = [*REGISTRIES, *OTHER_TRADES]
    links = [message.link for message in messages]
    assert (len(REGISTRIES) >= 200, len(OTHER_TRADES) >= 100, len(set(links))) == (True, True, len(links))
    assert all(link.startswith("https://github.com/") for link in links)
    assert all(message.text for message in messages)
    assert all(message.row and message.registry for message in REGISTRIES)
    assert not any(message.row for message in OTHER_TRADES)
