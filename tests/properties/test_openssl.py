"""What was typed reaches openssl's configuration and commands as it was meant, as openssl's own parser reads it."""

from __future__ import annotations

import _ssl
import ctypes
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.properties.inputs import NAMES, taken
from trusted_registry.certificate import openssl, profile

if TYPE_CHECKING:
    from trusted_registry.settings import Settings


def _sections(text: str, *names: str) -> dict[str, list[tuple[str, str]]]:
    """Return sections of a configuration as OpenSSL's own parser reads them."""
    crypto = ctypes.CDLL(_ssl.__file__)  # whatever libcrypto this Python stands on
    for function in ("NCONF_new", "BIO_new_mem_buf", "NCONF_get_section", "OPENSSL_sk_value"):
        getattr(crypto, function).restype = ctypes.c_void_p
    content = text.encode()
    bio = ctypes.c_void_p(crypto.BIO_new_mem_buf(content, len(content)))
    conf = ctypes.c_void_p(crypto.NCONF_new(None))
    assert crypto.NCONF_load_bio(conf, bio, None) == 1, text
    found = {}
    for name in names:
        stack = ctypes.c_void_p(crypto.NCONF_get_section(conf, name.encode()))
        entries = range(crypto.OPENSSL_sk_num(stack))
        values = [_Value.from_address(crypto.OPENSSL_sk_value(stack, number)) for number in entries]
        found[name] = [(value.name.decode(), value.value.decode()) for value in values]
    crypto.NCONF_free(conf)
    crypto.BIO_free(bio)
    return found


class _Value(ctypes.Structure):
    """CONF_VALUE of openssl/conf.h."""

    _fields_ = (("section", ctypes.c_char_p), ("name", ctypes.c_char_p), ("value", ctypes.c_char_p))


def test_the_parser_of_openssl_sees_what_is_smuggled_in() -> None:
    found = _sections("[ alt_names ]\nDNS.1 = a\nDNS.9 = evil\n", "alt_names")
    assert found == {"alt_names": [("DNS.1", "a"), ("DNS.9", "evil")]}


SECTIONS = ["req", "server_name", "v3_ca", "permitted", "v3_req", "alt_names"]


@given(settings=taken("registry.address", "registry.names", "certificate.key"), machine=st.none() | NAMES)
def test_openssl_cnf_says_the_names_that_were_meant_and_not_a_line_more(
    settings: Settings, machine: str | None
) -> None:
    what = profile.plan(settings, machine=machine, own=("10.0.0.1", "fd00::1"), mark="2030-01-01 aaaa")
    text = profile.config(what)
    found = _sections(text, *SECTIONS)
    dns = [(f"DNS.{number}", name) for number, name in enumerate(what.server.dns, 1)]
    ips = [(f"IP.{number}", ip) for number, ip in enumerate(what.server.addresses, 1)]
    assert found["alt_names"] == dns + ips
    assert found["server_name"] == [("O", "trusted-registry"), ("CN", what.server.subject)]
    assert {value for _, value in found["permitted"]} == {*what.authority.dns, *what.authority.ranges}
    assert (len(found["req"]), len(found["v3_ca"]), len(found["v3_req"])) == (4, 4, 6)
    assert re.findall(r"(?m)^\s*\[\s*(\S+)\s*\]", text) == SECTIONS
    assert set(settings.hosts) <= {value for _, value in dns + ips}


@given(settings=taken("registry.address", "registry.names", "certificate.folder"), machine=st.none() | NAMES)
def test_the_commands_of_openssl_are_what_they_are_whatever_the_names(settings: Settings, machine: str | None) -> None:
    what = profile.plan(settings, machine=machine, own=(), mark="2030-01-01 aaaa")
    folder = settings.folder / "certs"  # more than "/", which every path would be below
    (authority,) = openssl.authority(what.authority, folder)
    request, sign = openssl.server(what.server, folder, authority=folder)
    (alone,) = openssl.self_signed(what.server, folder)
    assert [len(argv) for argv in (authority, request, sign, alone)] == [23, 15, 20, 21]
    subject = authority[authority.index("-subj") + 1]
    assert subject.count("/") == 2
    assert subject.isprintable()
    for argv in (authority, request, sign, alone):
        values = [word for word in argv if str(folder) in word]
        assert all(Path(word).parent == folder for word in values)
