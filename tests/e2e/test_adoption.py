"""From the last version without ids to this one: all of it goes on, moves along, and goes whole; a clone gets none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.e2e.checkout import HOME, becomes, earlier
from tests.e2e.steps import CERTS, hand_over, is_refused, pull, push, registry_container

if TYPE_CHECKING:
    from tests.e2e.hosts import Done, Host
    from tests.e2e.lab import Lab

STORES = ("/etc/docker", "/etc/containers/certs.d", "/etc/containerd", "/usr/local/share/ca-certificates")
PASSWORD = "correct horse battery staple"  # noqa: S105 - of a test
PIPE = 'password=$1; shift; printf "%s\\n" "$password" | "$@"'
FRESH, MOVED = "/home/dev/fresh", "/home/dev/moved"
VOLUME = "trusted-registry"


def _stores(host: Host) -> str:
    """Return each file of the stores, with the time at which it was written."""
    there = host.run("find", *STORES, "-type", "f", "-printf", "%p %T@ %s\n").out
    return "\n".join(sorted(there.splitlines()))


def _inv(host: Host, folder: str, *words: str) -> Done:
    return host.run("./inv", *words, user="dev", folder=folder, env=host.settings)


def _login(host: Host, program: str) -> None:
    words = (program, "login", "--username", "ada", "--password-stdin", host.settings["REGISTRY"])
    host.does("sh", "-c", PIPE, "sh", PASSWORD, *words)


def _set_up(registry: Host) -> str:
    """Have all that the older version makes, and return the digest of an image in it."""
    registry.inv("up", "--names", "registry.local")
    pushed = push(registry, f"{registry.address}/app:1")
    add = ("sh", "-c", PIPE, "sh", PASSWORD, f"{HOME}/inv", "registry.user.add", "ada")
    registry.does(*add, user="dev", env=registry.settings)
    registry.inv("trust.linux", "--only", "docker,podman,containerd,system")
    return pushed


def test_an_installation_of_before_goes_on_moves_and_goes_whole_and_a_clone_beside_it_gets_none(
    registry: Host, client: Host, lab: Lab
) -> None:
    nothing = _stores(registry)
    becomes(registry, earlier())
    pushed = _set_up(registry)
    reference = f"{registry.address}/app:1"
    hand_over(registry, client)
    client.inv("trust.linux")
    registry.settings["REGISTRY"] = client.settings["REGISTRY"] = registry.address
    for host in (registry, client):
        _login(host, "docker")
    trusted = _stores(registry)
    assert all(f"{store}/" in trusted for store in STORES)
    assert "installation.json" not in registry.does("ls", CERTS).out

    becomes(registry, lab.checkout)
    _goes_on(registry, client, reference, pushed)
    assert _stores(registry) == trusted
    _is_no_clone_s(registry, trusted)
    _goes_whole(registry, client, reference, pushed)
    assert _stores(registry) == nothing


def _goes_on(registry: Host, client: Host, reference: str, pushed: str) -> None:
    """Insist that images, the user, the flags and the trust are as they were."""
    mounts = ("docker", "inspect", "--format", "{{range .Mounts}}{{println .Type .Destination}}{{end}}", "registry")
    assert "bind /config/registry.yml" in registry.does(*mounts).out
    said = registry.inv("up").out
    assert "settings: --names registry.local, remembered" in said
    assert f"proof: pushed to {registry.address}" in said
    # From now on it needs no checkout: what it reads is in a volume.
    assert sorted(registry.does(*mounts).out.split("\n")[:2]) == ["volume /config", "volume /var/lib/registry"]
    container = registry_container(registry)
    assert "Nothing had to be changed." in registry.inv("up").out
    assert registry_container(registry) == container
    noted = json.loads(registry.read(f"{CERTS}/installation.json"))
    assert (noted["volumes"], len(noted["id"])) == ([VOLUME], 32)
    assert registry.does("stat", "--format", "%a %U", f"{CERTS}/installation.json").out.split() == ["600", "dev"]
    assert [pull(host, reference) for host in (registry, client)] == [pushed, pushed]
    assert "ada" in registry.inv("registry.user.list").out
    curl = ("curl", "--silent", "--show-error", "--fail")  # by the system's store
    registry.fails(*curl, f"https://{registry.address}/v2/", saying="401")
    registry.does(*curl, "--user", f"ada:{PASSWORD}", f"https://{registry.address}/v2/")
    _login(registry, "podman")
    registry.does("podman", "pull", reference)


def _is_no_clone_s(registry: Host, trusted: str) -> None:
    """Insist that a fresh clone beside it neither uses nor takes anything of it."""
    registry.does("cp", "--archive", HOME, FRESH)
    registry.does("sh", "-c", f"rm -r {FRESH}/.venv {FRESH}/certs/*")
    volume = registry.does("docker", "volume", "inspect", VOLUME).out
    for words in (("up",), ("registry.basic",), ("registry.stop", "--purge", "--yes"), ("down", "--purge", "--yes")):
        done = _inv(registry, FRESH, *words)
        assert (done.code, "another checkout's" in done.said, "Traceback" in done.said) == (1, True, False), done
    registry.does("docker", "stop", "registry")
    done = _inv(registry, FRESH, "trust.remove")
    assert "trust: there is nothing to remove" in done.said, done
    registry.does("docker", "start", "registry")
    assert _stores(registry) == trusted
    assert registry.does("docker", "volume", "inspect", VOLUME).out == volume
    assert "registry" in registry.containers()


def _goes_whole(registry: Host, client: Host, reference: str, pushed: str) -> None:
    """Insist that the checkout takes it along to another path, and there all of it away."""
    registry.does("sh", "-c", f"mv {HOME} {MOVED} && mkdir {HOME}")  # the lab's commands begin in that folder
    done = _inv(registry, MOVED, "up")
    assert (done.code, "another checkout's" in done.said) == (0, False), done
    assert pull(client, reference) == pushed
    done = _inv(registry, MOVED, "trust.remove")
    assert (done.code, "still trusted" in done.said) == (0, False), done
    is_refused(registry, reference)
    done = _inv(registry, MOVED, "down", "--purge", "--yes")
    assert (done.code, "Images, trust, keys and certificates are gone." in done.said) == (0, True), done
    assert registry.containers() == {}
    assert VOLUME not in registry.does("docker", "volume", "ls", "--quiet").out.split()
    left = registry.does("find", f"{MOVED}/certs", "-type", "f", "-not", "-name", ".*").out
    assert left == ""
    is_refused(client, reference, "connection refused")


def test_what_root_s_run_wrote_is_named_to_the_user_who_purges_with_the_command_that_takes_it(registry: Host) -> None:
    nothing = _stores(registry)
    registry.inv("up", user="root")
    registry.inv("trust.linux", "--only", "podman,system", user="root")
    reference = f"{registry.address}/app:1"
    push(registry, reference)
    named = f"/etc/docker/certs.d/{registry.address}/ca.crt"

    done = registry.inv("down", "--purge", "--yes")
    assert "Images, keys and certificates are gone." in done.said, done
    for place in (named, f"/etc/containers/certs.d/{registry.address}/ca.crt", "/usr/local/share/ca-certificates/"):
        assert place in done.said, done
    assert "sudo ./inv trust.remove" in done.said, done
    assert VOLUME not in registry.does("docker", "volume", "ls", "--quiet").out.split()
    registry.does("test", "-f", named)

    registry.inv("trust.remove", user="root")
    assert _stores(registry) == nothing
    registry.inv("down", "--purge", "--yes")
    assert "There is nothing to remove" in registry.inv("down", "--purge", "--yes").said
