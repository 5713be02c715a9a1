"""Firewall of this machine: whether its rules refuse a port that Docker publishes all the same.

A published port is forwarded to its container, so that no rule for incoming packets is asked
(docs.docker.com/engine/network/packet-filtering-firewalls); DOCKER-USER is.
"""

from __future__ import annotations

import contextlib
import grp
import ipaddress
import itertools
import json
import os
import re
import shlex
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from trusted_registry import program
from trusted_registry.errors import RegistryError

_LEGACY, _NFT = ("iptables-save",), ("nft", "--json", "list", "ruleset")
_PATIENCE = 5.0
_ADMINISTRATORS = frozenset({"sudo", "wheel", "admin"})
"""Groups whose members sudo mostly admits; it tells the administrator of everybody else who tries."""
_DEEPEST = 20
"""Chains that a packet may pass in a row; rulesets that were made by hand have three or four."""
_GUARD = r"^-A DOCKER-USER .*(?:-j|-g|--jump|--goto) (?!RETURN$|ACCEPT$|N?F?LOG\b|MARK\b|CONNMARK\b)"
"""Rule of DOCKER-USER that may keep a packet out: one that neither lets it go on nor only writes it down."""
_BRIDGES = re.compile(r"lo$|docker|br-|virbr|cni|podman|veth")
"""Interfaces by which no other machine's packets come in."""


@dataclass(frozen=True)
class Rule:
    """Rule of a chain: its effect on a new connection to the port from a machine that nobody named.

    Args:
        does: "accept", "drop", "return", or "" to go on.
        to: Chain that is gone through first; "" if none is.
    """

    does: str = ""
    to: str = ""


@dataclass
class Chain:
    """Chain of rules; a policy of "" returns to the chain before."""

    rules: list[Rule] = field(default_factory=list)
    policy: str = ""


@dataclass(frozen=True)
class Bypass:
    """Port that the firewall refuses, but Docker publishes all the same.

    Args:
        port: The port.
        ufw: Whether ufw made the firewall's rules.
        interface: Interface by which other machines' packets come in.
        network: Network of that interface.
    """

    port: int
    ufw: bool
    interface: str
    network: str


def find(port: int, address: str) -> Bypass | None:
    """Return the bypass of a published port; None if there is none, or this user may not see the rules.

    Args:
        port: The port.
        address: The registry's address, whose network would be let in.
    """
    with ThreadPoolExecutor() as beside:
        legacy, native = beside.map(_rules, (_LEGACY, _NFT))
    if is_bypassed(legacy, native, port):
        return Bypass(port, ":ufw-user-input " in legacy, *_network(address))
    return None


def is_bypassed(legacy: str, native: str, port: int) -> bool:
    """Return whether rules refuse strangers a port that Docker forwards all the same.

    Args:
        legacy: Output of iptables-save.
        native: Output of nft in JSON.
        port: The port.
    """
    tables = _tables(legacy, port)
    forwarded = re.search(rf"^-A DOCKER .*--dport {port} .*-j DNAT", legacy, re.MULTILINE)
    guarded = re.search(_GUARD, legacy, re.MULTILINE)  # somebody has thought of it
    if not forwarded or guarded:
        return False
    inputs = [(tables["filter"], "INPUT"), *_native_inputs(native, port)]
    return any(_verdict(chains, name) == "drop" for chains, name in inputs)


def _rules(argv: tuple[str, ...]) -> str:
    """Return the output of a program that lists rules; "" without that program, or if this user may not see them."""
    if not (found := shutil.which(argv[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")):
        return ""
    root: tuple[str, ...] = () if os.geteuid() == 0 else ("sudo", "--non-interactive")
    if root and not _is_administrator():
        return ""
    with contextlib.suppress(RegistryError):
        return program.capture((*root, found, *argv[1:]), timeout=_PATIENCE).out
    return ""


def _is_administrator() -> bool:
    names = set()
    for group in os.getgroups():
        with contextlib.suppress(KeyError):
            names.add(grp.getgrgid(group).gr_name)
    return bool(names & _ADMINISTRATORS) and shutil.which("sudo") is not None


def _network(address: str) -> tuple[str, str]:
    """Return the interface and the network of an address; those of a guess for one that is not this machine's."""
    import psutil

    for name, entries in psutil.net_if_addrs().items():
        for entry in entries:
            if entry.address == address and entry.netmask and ":" not in address:
                return name, str(ipaddress.ip_interface(f"{address}/{entry.netmask}").network)
    return "eth0", "192.168.0.0/24"


def _verdict(chains: Mapping[str, Chain], name: str, depth: int = 0) -> str:
    """Return a chain's verdict on the packet: "accept", "drop", or "" to return."""
    chain = chains.get(name, Chain())
    for rule in chain.rules if depth < _DEEPEST else ():
        does = _verdict(chains, rule.to, depth + 1) if rule.to else rule.does
        if does == "return":
            break
        if does:
            return does
    return chain.policy


# iptables


_TARGETS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_IDLE = ("-m", "--match", "--comment", "--reject-with", "--limit", "--limit-burst", "--name", "--rsource", "--mask")
"""Options that keep no packet from a rule, as far as can be seen."""


def _tables(text: str, port: int) -> Mapping[str, dict[str, Chain]]:
    """Return the chains by table and name, from the output of iptables-save."""
    tables: dict[str, dict[str, Chain]] = defaultdict(lambda: defaultdict(Chain))
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            name, policy, *_ = line[1:].split()
            tables[table][name].policy = _TARGETS.get(policy, "")
        elif line.startswith("-A ") and table == "filter":
            name, *words = shlex.split(line)[1:]
            tables[table][name].rules.append(_rule(words, port))
    return tables


def _rule(words: list[str], port: int) -> Rule:
    target, applies, negated = "", True, False
    words = [*words, ""]
    for option, value in itertools.pairwise(words):
        if option == "!":
            negated = True
        elif option in ("-j", "-g", "--jump", "--goto"):
            target = value
        elif option.startswith("-"):
            applies &= _fits(option, value, port) is not negated
            negated = False
    if not applies or not target:
        return Rule()
    does = _TARGETS.get(target, "")
    return Rule(does, "" if does or target in _NO_CHAINS else target)


_NO_CHAINS = ("LOG", "NFLOG", "MARK", "CONNMARK", "TRACE", "NFQUEUE", "TCPMSS")


def _fits(option: str, value: str, port: int) -> bool:
    """Return whether a packet of a stranger's new connection fits an option of a rule."""
    fits: dict[str, bool] = {
        "-p": value in ("tcp", "6", "all"),
        "--dport": _holds(value, port),
        "--dports": _holds(value, port),
        "-i": not _BRIDGES.match(value),
        "--ctstate": "NEW" in value.split(","),
        "--state": "NEW" in value.split(","),
        "-d": not value.startswith("127."),
        "-s": value in ("0.0.0.0/0", "0/0"),
        "--dst-type": value == "LOCAL",
        "--tcp-flags": True,
        "--syn": True,
    }
    return fits.get(option, option in _IDLE)


def _holds(ports: str, port: int) -> bool:
    """Return whether a list such as 80,443,8000:8999 holds a port."""
    for part in ports.split(","):
        first, _, last = part.partition(":")
        with contextlib.suppress(ValueError):
            if int(first) <= port <= int(last or first):
                return True
    return False


# nftables


def _native_inputs(text: str, port: int) -> Iterator[tuple[Mapping[str, Chain], str]]:
    """Yield the chains of each table of nftables, with the name of each chain that sees incoming packets."""
    try:
        entries = json.loads(text or "{}").get("nftables", [])
    except (ValueError, AttributeError, RecursionError):
        return
    tables: dict[tuple[str, str], dict[str, Chain]] = defaultdict(lambda: defaultdict(Chain))
    inputs = []
    for entry in (it for it in entries if isinstance(it, dict)):
        for kind, it in entry.items():
            at = (str(it.get("family")), str(it.get("table"))) if isinstance(it, dict) else ("", "")
            if kind == "chain" and at[0] in ("ip", "inet"):
                tables[at][str(it.get("name"))].policy = {"drop": "drop", "accept": "accept"}.get(it.get("policy"), "")
                if it.get("hook") == "input" and (at[1], it.get("name")) != ("filter", "INPUT"):  # that is iptables'
                    inputs.append((at, str(it.get("name"))))
            elif kind == "rule" and at in tables:
                tables[at][str(it.get("chain"))].rules.append(_native_rule(it.get("expr") or (), port))
    for at, name in inputs:
        yield tables[at], name


def _native_rule(expressions: Iterable[Mapping[str, Any]], port: int) -> Rule:
    rule = Rule()
    for it in expressions:
        if "match" in it:
            if not _native_fits(it["match"], port):
                return Rule()
        elif "accept" in it or "return" in it:
            rule = Rule("accept" if "accept" in it else "return")
        elif "drop" in it or "reject" in it:
            rule = Rule("drop")
        elif "jump" in it or "goto" in it:
            rule = Rule(to=str((it.get("jump") or it.get("goto") or {}).get("target", "")))
        elif "vmap" in it:
            rule = _of_map(it["vmap"], port)
        elif not it.keys() & {"counter", "log", "limit", "comment"}:
            return Rule()
    return rule


def _of_map(vmap: Mapping[str, Any], port: int) -> Rule:
    """Return the rule of a map's entry that fits."""
    left, entries = vmap.get("key") or {}, (vmap.get("data") or {}).get("set") or []
    for value, verdict in entries:
        if _native_fits({"left": left, "right": value}, port):
            return _native_rule([verdict], port)
    return Rule()


def _native_fits(match: Mapping[str, Any], port: int) -> bool:
    left, right = match.get("left") or {}, match.get("right")
    values = right.get("set", [right]) if isinstance(right, dict) else right if isinstance(right, list) else [right]
    payload, meta = left.get("payload") or {}, left.get("meta") or {}
    if payload.get("field") == "dport":
        fits = payload.get("protocol") in ("tcp", "th") and any(_native_holds(it, port) for it in values)
    elif meta.get("key") in ("iifname", "iif"):
        fits = not all(_BRIDGES.match(str(it)) for it in values)
    elif meta.get("key") == "l4proto" or payload.get("field") == "protocol":
        fits = "tcp" in values
    elif (left.get("ct") or {}).get("key") == "state":
        fits = "new" in values
    else:
        return False
    return fits is (match.get("op") != "!=")


def _native_holds(value: object, port: int) -> bool:
    if isinstance(value, dict):
        bounds = value.get("range") or (1, 0)
        return bool(bounds[0] <= port <= bounds[-1])
    return value == port
