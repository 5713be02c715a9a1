"""Which address is this machine's own, and how people spell a registry."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest

from trusted_registry import address
from trusted_registry.address import Interface
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

LAN = Interface("eth0", ("192.168.0.12", "fd00::12"), bridge=False)
BRIDGE = Interface("docker0", ("172.17.0.1",), bridge=True)


class _Entry(NamedTuple):
    family: int
    address: str


class _Stats(NamedTuple):
    isup: bool


def _pretend(monkeypatch: pytest.MonkeyPatch, down: tuple[str, ...] = (), **addresses: str) -> None:
    """Let psutil report interfaces, each with the addresses of a comma-separated list."""
    entries = {
        name: [_Entry(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in listed.split(",")]
        for name, listed in addresses.items()
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: entries)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: {name: _Stats(name not in down) for name in entries})


@pytest.mark.parametrize(
    ("found", "routed", "expected"),
    [
        pytest.param([LAN, BRIDGE], None, "192.168.0.12", id="the LAN's"),
        pytest.param([BRIDGE, LAN], None, "192.168.0.12", id="the LAN's, with a bridge before it"),
        pytest.param([Interface("a", ("fd00::1",), bridge=False), LAN], None, "192.168.0.12", id="IPv4 before IPv6"),
        pytest.param([Interface("a", ("10.0.0.1",), bridge=False), LAN], "192.168.0.12", "10.0.0.1", id="first first"),
        pytest.param([Interface("a", ("fd00::1",), bridge=False)], None, "fd00::1", id="IPv6 where that is all"),
        pytest.param([BRIDGE], "172.17.0.1", "172.17.0.1", id="the routed one where all are bridges"),
        pytest.param([BRIDGE], None, None, id="none where a bridge's is all there is"),
        pytest.param([], None, None, id="none of none"),
    ],
)
def test_the_address_chosen_is_the_one_that_others_know(
    found: list[Interface], routed: str | None, expected: str | None
) -> None:
    assert address.choose(found, routed) == expected


@pytest.mark.parametrize("name", ["docker0", "br-1a2b3c", "virbr0", "cni0", "veth12", "lxdbr0", "bridge100"])
def test_an_interface_with_a_bridge_s_name_is_a_bridge(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, (), **{name: "172.17.0.1"})
    assert [found.bridge for found in address.interfaces()] == [True]


@pytest.mark.parametrize("name", ["eth0", "wlan0", "en0", "enp3s0", "tailscale0", "wg0"])
def test_an_interface_with_a_card_s_name_is_no_bridge(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, (), **{name: "192.168.0.12"})
    assert [found.bridge for found in address.interfaces()] == [False]


def test_an_interface_that_the_kernel_calls_a_bridge_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lan" / "bridge").mkdir(parents=True)
    _pretend(monkeypatch, lan="192.168.0.12")
    assert [found.bridge for found in address.interfaces(tmp_path)] == [True]


def test_an_interface_that_is_down_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, down=("eth0",), eth0="192.168.0.12", wlan0="192.168.0.13")
    assert [found.name for found in address.interfaces()] == ["wlan0"]


@pytest.mark.parametrize("unusable", ["127.0.0.1", "127.8.0.1", "::1", "169.254.3.4", "fe80::1%eth0", "0.0.0.0"])  # noqa: S104 - refused
def test_loopback_and_link_local_addresses_are_left_out(unusable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, eth0=f"{unusable},192.168.0.12")
    assert address.interfaces()[0].addresses == ("192.168.0.12",)


def test_this_very_machine_lists_only_addresses_that_others_can_use() -> None:
    assert [it for it in address.own_addresses() if ipaddress.ip_address(it).is_loopback] == []


def test_an_address_of_this_very_machine_is_known_without_a_look_at_all_its_interfaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = address.own_addresses()
    _pretend(monkeypatch, eth0="192.0.2.77")
    assert own
    assert [it for it in own if address.is_elsewhere(it)] == []


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "0.0.0.0", "224.0.0.1", "255.255.255.255"])  # noqa: S104
def test_an_address_that_no_interface_has_is_elsewhere_whatever_the_kernel_would_send_there(host: str) -> None:
    assert address.is_elsewhere(host)


def test_an_address_that_the_kernel_knows_no_way_to_is_here_if_an_interface_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _pretend(monkeypatch, eth0="192.0.2.77")
    assert (address.is_elsewhere("192.0.2.77"), address.is_elsewhere("192.0.2.78")) == (False, True)


def test_a_machine_with_nothing_but_loopback_is_told_to_name_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, lo="127.0.0.1")
    monkeypatch.setattr(address, "routed_address", lambda: None)
    with pytest.raises(RegistryError, match="no address but loopback") as caught:
        address.own_address()
    assert "INVOKE_REGISTRY_ADDRESS=" in caught.value.cure


def test_a_machine_s_own_address_is_its_first(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, lo="127.0.0.1", docker0="172.17.0.1", eth0="192.168.0.12,192.168.0.13")
    assert address.own_address() == "192.168.0.12"


def test_all_own_addresses_hold_the_bridges_since_containers_use_those(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, eth0="192.168.0.12", docker0="172.17.0.1")
    assert address.own_addresses() == ("192.168.0.12", "172.17.0.1")


@pytest.mark.parametrize(
    ("host", "expected"), [("Box", "box.local"), ("box.example", "box.example"), ("localhost", None), ("my_box", None)]
)
def test_a_host_name_counts_only_where_it_is_a_dns_name(
    host: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert address.own_name() == expected


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("192.168.0.12", 443, "192.168.0.12"),
        ("192.168.0.12", 5000, "192.168.0.12:5000"),
        ("registry.local", 443, "registry.local"),
        ("fd00::12", 443, "[fd00::12]"),
        ("fd00::12", 5000, "[fd00::12]:5000"),
        ("localhost", 443, "localhost"),
        ("box", 443, "box:443"),
    ],
)
def test_a_reference_is_as_short_as_docker_lets_it_be(host: str, port: int, expected: str) -> None:
    assert address.registry_host(host, port) == expected


def test_on_port_443_each_host_is_spelt_with_the_port_and_without() -> None:
    assert address.registry_hosts(("192.168.0.12", "fd00::12"), 443) == (
        "192.168.0.12",
        "192.168.0.12:443",
        "[fd00::12]",
        "[fd00::12]:443",
    )


def test_on_another_port_each_host_is_spelt_with_it_alone() -> None:
    assert address.registry_hosts(("192.168.0.12", "registry.local"), 8443) == (
        "192.168.0.12:8443",
        "registry.local:8443",
    )


def test_a_word_without_a_dot_is_never_spelt_without_its_port() -> None:
    assert address.registry_hosts(("box",), 443) == ("box:443",)
