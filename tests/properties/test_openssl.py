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


SECTIONS = ["req", "server_name", "v3_root", "v3_issuer", "permitted", "v3_req", "alt_names"]


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
    asked = [("O", "Organization"), ("O_default", "trusted-registry")]
    assert found["server_name"] == [*asked, ("CN", "Common name"), ("CN_default", what.server.subject)]
    assert {value for _, value in found["permitted"]} == {*what.authority.dns, *what.authority.ranges}
    assert [len(found[it]) for it in ("req", "v3_root", "v3_issuer", "v3_req")] == [3, 4, 6, 6]
    assert re.findall(r"(?m)^\s*\[\s*(\S+)\s*\]", text) == SECTIONS
    assert set(settings.hosts) <= {value for _, value in dns + ips}


@given(settings=taken("registry.address", "registry.names", "certificate.folder"), machine=st.none() | NAMES)
def test_the_commands_of_openssl_are_what_they_are_whatever_the_names(settings: Settings, machine: str | None) -> None:
    what = profile.plan(settings, machine=machine, own=(), mark="2030-01-01 aaaa")
    folder = settings.folder / "certs"  # more than "/", which every path would be below
    issuer, root = openssl.authority(what.authority, folder)
    request, sign = openssl.server(what.server, folder, signer=folder / "issuer.crt")
    (alone,) = openssl.self_signed(what.server, folder)
    commands = [list(it) for it in (issuer.argv, root.argv, root.reader, request.argv, sign.argv, alone.argv)]
    assert [len(argv) for argv in commands] == [17, 23, 20, 17, 20, 23]
    subjects = [argv[argv.index("-subj") + 1] for argv in commands if "-subj" in argv]
    assert [subject.count("/") for subject in subjects] == [2] * 4
    assert all(subject.isprintable() for subject in subjects)
    values = [word for argv in commands for word in argv if str(folder) in word]
    assert all(Path(word).parent == folder for word in values)
