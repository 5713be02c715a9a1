"""Scripts on the hosts of a swarm, over SSH with Ansible as `trust.hosts` does; on this machine without SSH."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from trusted_registry import address, files
from trusted_registry.console import Console, pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_hosts
from trusted_registry.trust.remote.hosts import HostOptions, HostResult, checked

_IMAGES_AT_ONCE = "4"
"""Hosts that get an image at a time: each takes its size of this machine's memory."""
_PURPOSES = {
    "inspect.sh": "each host is looked at",
    "join.sh": "a host joins the swarm",
    "load.sh": "an image is brought to where it is missing",
    "address.sh": "keepalived, for the virtual address",
}
"""Work of a script, which is told before its results; a kit tells its own."""


@dataclass(frozen=True)
class Access:
    """Way into the hosts: the user to log in as, "" for ssh's own choice, and sudo's password there, "" for none."""

    user: str = ""
    password: str = field(default="", repr=False)


def access(user: str, console: Console, *, ask_become_pass: bool) -> Access:
    """Return the way into the hosts, whose password is asked for once, since each script is a run of Ansible's own."""
    asked = ask_become_pass and not console.dry
    return Access(user, console.secret("sudo's password on the hosts", known=True) if asked else "")


def carry(  # noqa: PLR0913 - a script, where it goes and how
    name: str, script: bytes, hosts: Sequence[str], access: Access, run: Run, *, large: bool = False
) -> tuple[HostResult, ...]:
    """Run a script as root on each host, and return the results; none in a dry run, and none for no host.

    Raises:
        RegistryError: Ansible is not installed, or did nothing.
    """
    if not hosts:
        return ()
    if name in _PURPOSES:
        run.console.say(f"hosts: {_PURPOSES[name]}")
    own = address.own_addresses()
    lines = "".join(f"{it}{' ansible_connection=local' if it in own else ''}\n" for it in hosts)
    options = HostOptions("hosts.ini", user=access.user)
    options = replace(options, forks=_IMAGES_AT_ONCE) if large else options
    if run.console.dry:
        return trust_hosts.run_script(name, script, run.console, options)
    with ExitStack() as stack:
        inventory = stack.enter_context(files.temp_file("hosts.ini", lines.encode()))
        options = replace(options, inventory=str(inventory), password=access.password)
        return trust_hosts.run_script(name, script, run.console, checked(options))


def trust_authority(hosts: Sequence[str], access: Access, run: Run) -> tuple[HostResult, ...]:
    """Have the clients of each host trust the registry, by the kit."""
    from trusted_registry.tasks import trust_kit
    from trusted_registry.trust.remote import kit

    anchor = trust_kit.load_anchor_or_none(run)
    if anchor is None:
        return ()
    name = kit.file_name(anchor, run.settings.registry_host)
    return carry(name, kit.render(anchor, run.settings.registry_host), hosts, access, run)


def insist(results: Sequence[HostResult]) -> None:
    """Raise a RegistryError that names the hosts where a script failed, with the reason of the first."""
    left = [it for it in results if not it.fine]
    if not left:
        return
    password = "Repeat the command with --ask-become-pass" if all(it.wants_password for it in left) else ""
    see = f"See for yourself, then the same command again: {pasteable(['ssh', left[0].host])}"
    raise RegistryError(f"{', '.join(it.host for it in left)}: {left[0].reason}.", cure=password or see)


def warn_of_address(results: Sequence[HostResult], virtual: str, console: Console) -> None:
    """Name the hosts that may keep a virtual address: one that is gone for good holds nobody up.

    Raises:
        RegistryError: One is there, and lets nobody in without sudo's password.
    """
    insist([it for it in results if it.wants_password])
    for it in results:
        if not it.fine:
            stop = pasteable(["ssh", "-t", it.host, "sudo", "systemctl", "disable", "--now", "keepalived"])
            console.warn(f"{it.host} may keep the address {virtual}: {it.reason}; once it is back: {stop}")
