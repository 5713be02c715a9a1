"""A firewall that Docker's rules go round is told; one that lets everybody in, or that Docker asks, is not."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.doctor.conftest import ADDRESS, DoctorBox, found, only
from tests.doctor.test_gather import running
from trusted_registry.doctor import firewall, gather
from trusted_registry.doctor.firewall import Bypass
from trusted_registry.program import Result

if TYPE_CHECKING:
    from tests.conftest import MakeSettings

PORT = 443
NAT = """*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 443 -j DNAT --to-destination 172.17.0.2:443
COMMIT
"""
FILTER = """*filter
:INPUT {policy} [0:0]
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
{rules}
-A DOCKER-USER -j RETURN
COMMIT
"""
ESTABLISHED = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n"
UFW = """:ufw-before-input - [0:0]
:ufw-user-input - [0:0]
:ufw-reject-input - [0:0]
-A INPUT -j ufw-before-input
-A INPUT -j ufw-reject-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
"""
ALLOWED = "-A ufw-user-input -p tcp -m tcp --dport 443 -j ACCEPT\n"


def legacy(rules: str = "", policy: str = "DROP", nat: str = NAT) -> str:
    """Return what iptables-save would print."""
    return FILTER.format(rules=rules.strip(), policy=policy) + nat


PASSED = {
    "a policy alone": legacy(),
    "a policy, and what belongs to connections of this machine": legacy(ESTABLISHED),
    "a last rule": legacy(f"{ESTABLISHED}-A INPUT -j REJECT --reject-with icmp-port-unreachable", "ACCEPT"),
    "another port is let in": legacy("-A INPUT -p tcp -m multiport --dports 22,80,8000:8999 -j ACCEPT"),
    "one network is let in": legacy(
        '-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 443 -m comment --comment "a b" -j ACCEPT'
    ),
    "another protocol is let in": legacy("-A INPUT -p udp -m udp --dport 443 -j ACCEPT"),
    "the container's interface is let in": legacy("-A INPUT -i docker0 -j ACCEPT"),
    "ufw": legacy(f"{UFW}-A ufw-reject-input -j REJECT", "ACCEPT"),
    "ufw's policy": legacy(UFW),
    "a chain that returns": legacy(":mine - [0:0]\n-A INPUT -j mine\n-A mine -p tcp -j RETURN\n-A mine -j ACCEPT"),
    "DOCKER-USER that only writes down": legacy(
        '-A DOCKER-USER -j LOG --log-prefix "docker: "\n-A DOCKER-USER -i eth0 -j NFLOG --nflog-group 1'
    ),
    "DOCKER-USER that lets everything on": legacy(
        "-A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN\n-A DOCKER-USER -s 10.0.0.0/8 -j ACCEPT"
    ),
    "chains in a circle": legacy(":a - [0:0]\n-A INPUT -j a\n-A a -j a"),
}
SILENT = {
    "no rules": "",
    "no firewall": legacy(policy="ACCEPT"),
    "the port is let in": legacy("-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT"),
    "among others": legacy("-A INPUT -p tcp -m multiport --dports 22,400:500 -j ACCEPT"),
    "new connections": legacy("-A INPUT -p tcp -m tcp --dport 443 -m conntrack --ctstate NEW -j ACCEPT"),
    "by every interface but one": legacy("-A INPUT ! -i lo -p tcp -j ACCEPT"),
    "ufw lets it in": legacy(UFW + ALLOWED),
    "Docker does not forward it": legacy(nat=NAT.replace("443 -j", "5000 -j")),
    "DOCKER-USER": legacy(
        "-A DOCKER-USER ! -s 192.168.0.0/24 -i eth0 -p tcp -m conntrack --ctorigdstport 443 --ctdir ORIGINAL -j DROP"
    ),
    "DOCKER-USER of two rules": legacy("-A DOCKER-USER -s 10.0.0.0/8 -j RETURN\n-A DOCKER-USER -i eth0 -j DROP"),
    "DOCKER-USER that goes on elsewhere": legacy(":mine - [0:0]\n-A DOCKER-USER -i eth0 -g mine\n-A mine -j DROP"),
    "ufw-docker": legacy("-A DOCKER-USER -j ufw-user-forward"),
}


@pytest.mark.parametrize("case", PASSED)
def test_a_port_that_is_refused_and_forwarded_all_the_same_is_seen(case: str) -> None:
    assert firewall.is_bypassed(PASSED[case], "", PORT)


@pytest.mark.parametrize("case", SILENT)
def test_a_port_that_is_let_in_or_guarded_is_none(case: str) -> None:
    assert not firewall.is_bypassed(SILENT[case], "", PORT)


# nftables


def native(
    *expressions: list[dict[str, object]], policy: str = "drop", hook: str = "input", table: str = "mine"
) -> str:
    """Return what nft would print."""
    chain = {"family": "inet", "table": table, "name": "input", "hook": hook, "prio": 0, "policy": policy}
    zone = {"family": "inet", "table": table, "name": "zone"}
    rules = [{"rule": {"family": "inet", "table": table, "chain": "input", "expr": list(it)}} for it in expressions]
    inner = {"family": "inet", "table": table, "chain": "zone", "expr": [_port(443), {"accept": None}]}
    entries = [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "inet", "name": table}}, {"chain": chain}]
    return json.dumps({"nftables": [*entries, {"chain": zone}, {"rule": inner}, *rules]})


def _match(left: dict[str, object], right: object, op: str = "==") -> dict[str, object]:
    return {"match": {"op": op, "left": left, "right": right}}


def _port(right: object) -> dict[str, object]:
    return _match({"payload": {"protocol": "tcp", "field": "dport"}}, right)


def _map(field: str, *entries: list[object]) -> dict[str, object]:
    keys = {"state": {"ct": {"key": "state"}}, "iifname": {"meta": {"key": "iifname"}}}
    left = keys.get(field, {"payload": {"protocol": "tcp", "field": field}})
    return {"vmap": {"key": left, "data": {"set": [*entries]}}}


ACCEPT: dict[str, object] = {"accept": None}
STATE = [_match({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT]
LOOPBACK = [_match({"meta": {"key": "iifname"}}, "lo"), ACCEPT]
SOURCE = _match({"payload": {"protocol": "ip", "field": "saddr"}}, {"prefix": {"addr": "10.0.0.0", "len": 8}})
PASSED_BY_NFT = {
    "a policy": native(STATE, LOOPBACK),
    "a last rule": native(STATE, [{"counter": None}, {"reject": {"type": "icmpx"}}], policy="accept"),
    "another port": native([_port(22), ACCEPT]),
    "other ports": native([_port({"set": [22, {"range": [8000, 8999]}]}), ACCEPT]),
    "one network": native([SOURCE, _port(443), ACCEPT]),
    "a map of other ports": native([_map("dport", [22, ACCEPT], [{"set": [80, 8443]}, ACCEPT])]),
    "a map of states": native([_map("state", ["established", ACCEPT], ["invalid", {"drop": None}])]),
    "a map that refuses": native([_map("dport", [443, {"drop": None}])], policy="accept"),
    "a chain that is not gone to": native(
        [_match({"meta": {"key": "iifname"}}, "docker0"), {"jump": {"target": "zone"}}]
    ),
}
SILENT_BY_NFT = {
    "nothing": "",
    "no JSON": "Error: syntax error",
    "another kind of JSON": "[]",
    "no policy": native(policy="accept"),
    "another hook": native(hook="forward"),
    "the port": native([_port(443), {"counter": None}, ACCEPT]),
    "a map": native([_map("dport", [22, {"drop": None}], [443, ACCEPT])]),
    "a map to a zone": native([_map("iifname", ["lo", ACCEPT], ["eth0", {"jump": {"target": "zone"}}])]),
    "a set": native([_port({"set": [22, {"range": [400, 500]}]}), ACCEPT]),
    "a zone": native([_match({"meta": {"key": "iifname"}}, "eth0"), {"goto": {"target": "zone"}}]),
    "every other interface": native([_match({"meta": {"key": "iifname"}}, "lo", "!="), ACCEPT]),
}


@pytest.mark.parametrize("case", PASSED_BY_NFT)
def test_a_firewall_of_nftables_is_seen_too(case: str) -> None:
    assert firewall.is_bypassed(legacy(policy="ACCEPT"), PASSED_BY_NFT[case], PORT)


@pytest.mark.parametrize("case", SILENT_BY_NFT)
def test_one_of_nftables_that_lets_the_port_in_is_none(case: str) -> None:
    assert not firewall.is_bypassed(legacy(policy="ACCEPT"), SILENT_BY_NFT[case], PORT)


# Who looks


@pytest.mark.parametrize(("groups", "asked"), [({"sudo"}, True), ({"docker"}, False)])
def test_who_is_not_root_asks_by_sudo_where_sudo_knows_him(
    groups: set[str], *, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getgroups", lambda: [27])
    monkeypatch.setattr("shutil.which", lambda name, **_: f"/usr/sbin/{name}")
    monkeypatch.setattr("grp.getgrgid", lambda _: type("Group", (), {"gr_name": next(iter(groups))}))
    monkeypatch.setattr("trusted_registry.program.capture", _saying(ran, legacy()))
    seen = firewall.find(PORT, "192.0.2.1")
    assert (seen is not None) is asked
    assert {it[:3] for it in ran} == (
        {("sudo", "--non-interactive", f"/usr/sbin/{it}") for it in ("iptables-save", "nft")} if asked else set()
    )


def _saying(ran: list[tuple[str, ...]], text: str) -> object:
    def capture(argv: tuple[str, ...], **_: object) -> Result:
        ran.append(argv)
        return Result(argv, 0, text if "iptables" in argv[-1] else "", "")

    return capture


def test_it_is_told_with_the_network_of_the_registry_and_two_other_ways(box: DoctorBox) -> None:
    finding = only(
        replace(box.facts, bypass=Bypass(PORT, ufw=True, interface="eth0", network="192.168.0.0/24")), "firewall"
    )
    assert finding.cure[0].startswith("sudo iptables -I DOCKER-USER -i eth0 -p tcp ")
    assert "--ctorigdstport 443 --ctdir ORIGINAL ! -s 192.168.0.0/24 -j DROP" in finding.cure[0]
    assert finding.instead[0].startswith(f"INVOKE_REGISTRY_LISTEN={ADDRESS} ./inv up")
    assert finding.instead[1].startswith("sudo ufw allow 443/tcp")
    assert found(box.facts) == []


@pytest.mark.parametrize(
    ("listen", "rootless", "asked"), [("", False, True), ("192.168.0.12", False, False), ("", True, False)]
)
def test_only_a_port_that_the_kernel_forwards_from_every_address_is_asked_about(
    listen: str, *, rootless: bool, asked: bool, certified: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bypass = Bypass(PORT, ufw=False, interface="eth0", network="192.168.0.0/24")
    monkeypatch.setattr(firewall, "find", lambda *_: bypass)
    monkeypatch.setattr(gather, "_tracked", lambda _: ())
    settings = replace(certified(), port=1)
    engine = running(settings)
    assert engine.container
    engine.said = replace(engine.said, rootless=rootless)
    engine.container = replace(engine.container, listen=listen)
    assert (gather.local(settings, engine, None).bypass == bypass) is asked
