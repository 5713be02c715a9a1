"""What is offered to the LAN: three things and nothing else, at one address, for a while."""

from __future__ import annotations

import contextlib
import errno
import http.client
import re
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ADDRESS
from tests.marks import has_ipv6
from tests.trust import sample
from tests.trust.remote.offered import HOST, OFFERED, ask, wait_for
from trusted_registry.errors import RegistryError
from trusted_registry.tasks import trust_kit
from trusted_registry.trust.remote import kit, kit_server, page

if TYPE_CHECKING:
    from collections.abc import Callable

    from trusted_registry.settings import Settings
    from trusted_registry.trust.remote.kit_server import Offer, Server

pytestmark = pytest.mark.usefixtures("loopback_is_ours")


# What is there, and nothing else


@pytest.mark.parametrize("offer", OFFERED, ids=lambda offer: offer.path)
def test_each_thing_is_given_as_it_is_with_its_type(offer: Offer, start: Callable[..., int]) -> None:
    status, headers, body = ask(start(), offer.path)
    assert (status, headers["content-type"], body) == (200, offer.kind, offer.content)
    assert headers["content-length"] == str(len(offer.content))
    saved = f'attachment; filename="{offer.name}"' if offer.name else None
    assert headers.get("content-disposition") == saved


@pytest.mark.parametrize("path", ["/", "/nothing"])
def test_every_answer_says_that_it_is_neither_kept_nor_guessed_at(path: str, start: Callable[..., int]) -> None:
    _, headers, _ = ask(start(), path)
    expected = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
    assert {name: headers.get(name) for name in expected} == expected
    assert re.fullmatch(r"trusted-registry ?", headers["server"])


def test_the_page_comes_with_its_policy_and_the_rest_with_a_stricter_one(start: Callable[..., int]) -> None:
    port = start()
    assert [ask(port, offer.path)[1]["content-security-policy"] for offer in OFFERED] == [
        "default-src 'none'; style-src 'sha256-x'",
        "default-src 'none'",
        "default-src 'none'",
    ]


def test_head_says_the_same_without_the_content(start: Callable[..., int], taken: list[str]) -> None:
    port = start()
    told, headers, body = ask(port, "/ca.crt", "HEAD")
    assert (told, headers["content-length"], body) == (200, str(len(sample.CERTIFICATE)), b"")
    assert taken == []


@pytest.mark.parametrize(
    "path",
    [
        *[
            "/issuer.key",
            "/certs/issuer.key",
            "/../certs/issuer.key",
            "/ca.crt/",
            "/ca.crt?x=1",
            "/%63a.crt",
            "/./ca.crt",
            "/.",
        ],
        *["/trust-r.sh/../issuer.key", "/CA.CRT", "*", "http://127.0.0.1/ca.crt", "/etc/passwd", "/index.html"],
    ],
)
def test_nothing_else_is_there(path: str, start: Callable[..., int], taken: list[str]) -> None:
    status, headers, body = ask(start(), path)
    assert (status, headers["content-type"], body) == (404, "text/plain; charset=utf-8", b"404\n")
    assert taken == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"])
def test_whatever_is_no_get_is_refused(method: str, start: Callable[..., int]) -> None:
    status, headers, body = ask(start(), "/ca.crt", method)
    assert (status, headers["allow"], body) == (405, "GET, HEAD", b"405\n")


def test_what_is_offered_holds_no_key_and_is_what_the_registry_has(settings: Settings) -> None:
    anchor = trust_kit.load_anchor(settings)
    shown, script, certificate = kit_server.offers(anchor, ADDRESS, kit_server.base(ADDRESS, 8000))
    assert certificate.content == (settings.folder / "ca.crt").read_bytes()
    assert (script.content, script.path) == (kit.render(anchor, ADDRESS), f"/{kit.file_name(anchor, ADDRESS)}")
    assert shown.policy == page.policy(shown.content)
    for secret in ("issuer.key", "domain.key"):
        lines = (settings.folder / secret).read_bytes().split()
        assert not [line for line in lines if len(line) > 20 and any(line in it.content for it in (shown, script))]
    assert not [it.path for it in (shown, script, certificate) if b"PRIVATE KEY" in it.content]


# Where and how long


def test_it_ends_by_itself(taken: list[str]) -> None:
    begun = time.monotonic()
    with kit_server.listen(HOST, 0, OFFERED, lambda _client, offer: taken.append(offer.path)) as server:
        server.offer_for(0.2)
        port = server.server_address[1]
    assert 0.2 <= time.monotonic() - begun < 5
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, int(port)))


def test_it_is_closed_when_nobody_tells_of_a_download_any_more(taken: list[str]) -> None:
    """Since a thread that writes to the terminal while Python ends has it abort."""
    begun = threading.Event()

    def slowly(_client: str, offer: kit_server.Offer) -> None:
        begun.set()
        time.sleep(0.2)
        taken.append(offer.path)

    with kit_server.listen(HOST, 0, OFFERED, slowly) as server:
        threading.Thread(target=server.report, args=["somebody", OFFERED[0]], daemon=True).start()
        begun.wait(5)
    assert taken == [OFFERED[0].path]


def test_it_ends_in_time_though_somebody_keeps_asking(taken: list[str]) -> None:
    with kit_server.listen(HOST, 0, OFFERED, lambda _client, offer: taken.append(offer.path)) as server:
        port = int(server.server_address[1])
        begun = time.monotonic()
        asking = threading.Thread(target=_ask_until_refused, args=[port])
        asking.start()
        server.offer_for(0.5)
        ended = time.monotonic() - begun
    asking.join()
    assert 0.5 <= ended < 1
    assert taken


def _ask_until_refused(port: int) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            ask(port, "/ca.crt")


def test_it_listens_on_the_registry_s_address_alone(start: Callable[..., int]) -> None:
    port = start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=1)
    assert ask(port, "/ca.crt")[0] == 200


@has_ipv6
def test_an_ipv6_address_will_do(start: Callable[..., int], taken: list[str]) -> None:
    assert ask(start(host="::1"), "/ca.crt", host="::1")[0] == 200
    wait_for(lambda: taken == ["::1 /ca.crt"])


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "::", "no-such-name.invalid"])  # noqa: S104 - refused
def test_an_address_of_another_machine_is_refused_with_a_cure(host: str) -> None:
    with pytest.raises(RegistryError, match="not an address of this machine") as caught:
        kit_server.listen(host, 0, OFFERED, lambda *_: None)
    assert "--address" in caught.value.cure


def test_a_taken_port_is_named_with_another(start: Callable[..., int]) -> None:
    port = start()
    with pytest.raises(RegistryError, match=f"Port {port} of {HOST} is in use") as caught:
        kit_server.listen(HOST, port, OFFERED, lambda *_: None)
    assert caught.value.cure == f"Use another: --at {port + 1}"


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EACCES, "needs root"), (errno.EADDRNOTAVAIL, "Nothing can listen on port 80 of")]
)
def test_a_port_that_may_not_be_had_is_an_error_with_a_cure(
    number: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> Server:
        raise OSError(number, "no")

    monkeypatch.setattr(kit_server, "Server", refuse)
    with pytest.raises(RegistryError, match=said) as caught:
        kit_server.listen(HOST, 80, OFFERED, lambda *_: None)
    assert caught.value.cure
