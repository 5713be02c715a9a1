"""An ordinary person's first hour: sudo or none, no engine, root in one's checkout, a second machine, a router."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.steps import UNTRUSTED, hand_over, is_refused, pull, push, registry_container

if TYPE_CHECKING:
    from tests.e2e.hosts import Done, Host

ADA = "/home/ada/trusted-registry"
ROUTER = "198.51.100.77"
"""An address of a router, which nobody else has (RFC 5737)."""

TYPIST = """\
import os, pty, sys
said = b""
def read(handle):
    global said
    text = os.read(handle, 1024)
    said += text
    if said.endswith(b"password for ada: "):
        os.write(handle, b"a long word\\n")
    return text
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], read)))
"""
"""Runs a command on a terminal of its own, at which somebody types the password that sudo asks for."""


def _has_ada(host: Host, rule: str) -> None:
    """Make a user with a checkout, who is not in the group docker, on a machine whose engine does not run."""
    host.does("useradd", "--create-home", "--shell", "/bin/bash", "ada")
    host.does("sh", "-c", "echo 'ada:a long word' | chpasswd")
    host.does("cp", "--archive", "/home/dev/trusted-registry", ADA)
    host.does("chown", "--recursive", "ada:", ADA)
    host.write("/srv/password.py", TYPIST)
    if rule:
        host.write("/etc/sudoers.d/ada", f"ada ALL=(ALL) {rule}ALL\n", mode=0o440)
    host.does("service", "docker", "stop")
    host.wait_for("the engine is gone", lambda: not host.answers())


def _ada(host: Host, *words: str, at_terminal: bool = False) -> Done:
    terminal = ("python3", "/srv/password.py") if at_terminal else ()
    return host.run(*terminal, "./inv", *words, user="ada", env=host.settings, folder=ADA, seconds=300)


def _leads(host: Host, address: str) -> None:
    """Have the router's address lead to the registry's: by the host itself, since the lab has no router."""
    to = ("--destination", ROUTER, "--jump", "DNAT", "--to-destination", address)
    host.does("iptables", "--table", "nat", "--insert", "OUTPUT", *to)
    host.does("ip", "route", "add", f"{ROUTER}/32", "dev", "eth0")


def _roots(host: Host) -> str:
    return host.does("find", ADA, "-user", "root").out


@pytest.mark.parametrize("rule", ["NOPASSWD: ", ""], ids=["without a password", "with a password"])
def test_a_user_with_sudo_types_one_command_and_may_use_the_registry_that_it_ends_with(
    rule: str, registry: Host
) -> None:
    _has_ada(registry, rule or " ")
    assert "docker" not in registry.does("id", "--name", "--groups", "ada").out
    done = _ada(registry, "engine", "--yes", "up", at_terminal=not rule)
    assert done.code == 0, done
    assert "proof: pushed to" in done.out
    assert "newgrp docker" in done.out, "this shell is older than ada's membership"
    assert "ada is in the group docker now, whose members are as good as root" in done.out
    assert "usermod --append --groups docker ada" in registry.read(f"{ADA}/certs/last-run.log")
    assert (_roots(registry), "docker" in registry.does("id", "--name", "--groups", "ada").out) == ("", True)
    for words in (("status",), ("doctor",), ("up",), ("trust.remove",)):
        again = _ada(registry, *words, at_terminal=not rule)
        assert again.code == 0, again
    gone = _ada(registry, "down", "--purge", "--yes", at_terminal=not rule)
    assert gone.code == 0, gone
    assert registry.run("test", "-e", f"/etc/docker/certs.d/{registry.address}").code == 1
    assert _roots(registry) == ""


def test_a_user_with_sudo_whom_nobody_answers_for_is_not_added(registry: Host) -> None:
    _has_ada(registry, "NOPASSWD: ")
    done = _ada(registry, "engine")
    assert done.code == 1, done
    assert "as good as root" in done.err
    assert "docker" not in registry.does("id", "--name", "--groups", "ada").out


def test_a_user_without_sudo_gets_one_sentence_and_what_to_ask_an_administrator(registry: Host) -> None:
    _has_ada(registry, "")
    done = _ada(registry, "engine", "--yes", "up")
    assert (done.code, done.out) == (1, ""), done
    wrong, cure = done.err.splitlines()
    assert wrong == "error: The Docker Engine does not run, and ada may not use sudo to start it."
    command = cure.partition("Ask an administrator to run: ")[2]
    assert command.endswith("usermod --append --groups docker ada"), done
    registry.does("sh", "-c", command)
    registry.wait_for("the engine answers", registry.answers)
    assert _ada(registry, "engine").code == 0, "what an administrator was asked for is enough"


def test_root_in_a_user_s_checkout_leaves_nothing_of_its_own_there(registry: Host) -> None:
    _has_ada(registry, "NOPASSWD: ")
    registry.does("rm", "--recursive", f"{ADA}/.venv")
    for words in (("engine", "--yes", "up"), ("status",), ("doctor",), ("trust.remove",)):
        done = registry.run("./inv", *words, env=registry.settings, folder=ADA, seconds=300)
        assert (done.code, _roots(registry)) == (0, ""), done
    done = _ada(registry, "engine", "--yes", "up")
    assert (done.code, _roots(registry)) == (0, ""), done
    done = registry.run("./inv", "down", "--purge", "--yes", env=registry.settings, folder=ADA)
    assert (done.code, _roots(registry)) == (0, ""), done
    assert "still trusted" in done.err, "what ada's ./inv wrote is named, with the command that takes it"


def test_a_checkout_that_root_once_made_its_own_is_mended_by_the_one_command_that_is_told(registry: Host) -> None:
    _has_ada(registry, "NOPASSWD: ")
    registry.does("chown", "--recursive", "root:", f"{ADA}/certs", f"{ADA}/.venv")
    registry.does("sh", "-c", f"echo '# changed' >> {ADA}/pyproject.toml")
    done = _ada(registry, "status")
    assert done.code == 1, done
    registry.does("sh", "-c", done.err.splitlines()[-1].strip(), user="ada")
    done = _ada(registry, "engine", "--yes", "up")
    assert done.code == 0, done


def test_a_client_s_checkout_means_the_registry_that_it_was_told_to_trust(registry: Host, client: Host) -> None:
    registry.inv("up")
    pushed = push(registry, f"{registry.address}/app:1")
    hand_over(registry, client)
    del client.settings["INVOKE_REGISTRY_ADDRESS"]
    own = client.inv_fails("status", saying="Something is wrong")
    assert client.address in own.out, "before, it can only mean this machine's own"
    faults = client.inv_fails("doctor", "--remote", registry.address, saying="1 thing is wrong")
    assert f"./inv trust.linux --address {registry.address}" in faults.said
    client.inv("trust.linux", "--address", registry.address)
    assert pull(client, f"{registry.address}/app:1") == pushed

    status = client.inv("status").out
    assert (registry.address in status, client.address in status) == (True, False), status
    client.inv("doctor")
    assert client.address not in client.inv("trust.list").out
    kit = client.inv("trust.kit").out
    assert (registry.address.replace(".", "-") in kit or registry.address in kit, client.address in kit) == (
        True,
        False,
    )
    client.inv_fails("up", saying="another machine's registry")
    client.inv("trust.remove")
    is_refused(client, f"{registry.address}/app:1")


def test_a_machine_with_a_registry_of_its_own_keeps_that_beside_another_that_it_trusts(
    registry: Host, client: Host
) -> None:
    registry.inv("up")
    theirs = push(registry, f"{registry.address}/app:1")
    client.inv("up")
    own = push(client, f"{client.address}/app:1")
    client.inv_fails("trust.linux", "--address", registry.address, saying="is not the authority of the registry")
    is_refused(client, f"{registry.address}/app:1")
    unknown = client.inv_fails("doctor", "--remote", registry.address, saying="1 thing is wrong")
    assert "./inv trust.serve" in unknown.said

    folder = {"certificate_folder": "other"}
    client.does("install", "-D", "--owner", "dev", "/dev/null", "/home/dev/trusted-registry/other/ca.crt")
    client.write("/home/dev/trusted-registry/other/ca.crt", registry.read("/home/dev/trusted-registry/certs/ca.crt"))
    client.does("chown", "--recursive", "dev:", "/home/dev/trusted-registry/other")
    client.inv("trust.linux", "--address", registry.address, **folder)
    client.inv("doctor", "--remote", registry.address)
    assert (pull(client, f"{registry.address}/app:1"), pull(client, f"{client.address}/app:1")) == (theirs, own)
    assert registry.address in client.inv("status", **folder).out
    assert client.address in client.inv("status").out
    client.inv("up")
    client.inv("trust.remove", **folder)
    is_refused(client, f"{registry.address}/app:1")
    assert pull(client, f"{client.address}/app:1") == own


def test_a_router_s_address_needs_its_flag_and_is_tried_before_anything_changes(registry: Host, client: Host) -> None:
    registry.inv("up")
    before = registry_container(registry)
    registry.inv_fails("up", "--address", ROUTER, saying="--nat")
    registry.inv_fails("up", "--address", ROUTER, "--nat", saying="does not lead to this machine")
    assert registry_container(registry) == before
    registry.inv("down", "--purge", "--yes")  # its authority may not vouch for an address of the internet

    _leads(registry, registry.address)
    registry.inv("up", "--address", ROUTER, "--nat")
    pushed = push(registry, f"{ROUTER}/app:1")
    registry.inv("up")
    registry.inv("cert.renew")
    registry.inv("up")
    _leads(client, registry.address)
    hand_over(registry, client)
    client.inv("trust.linux", "--address", ROUTER)
    assert pull(client, f"{ROUTER}/app:1") == pushed
    client.inv("trust.remove", "--all")
    is_refused(client, f"{ROUTER}/app:1", UNTRUSTED)
