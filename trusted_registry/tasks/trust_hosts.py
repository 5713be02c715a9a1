"""Trust on many machines, over SSH with Ansible."""

from __future__ import annotations

from collections.abc import Sequence

from trusted_registry import files, program
from trusted_registry.console import Console, pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.tasks import trust_kit
from trusted_registry.trust.remote import hosts, kit


def on_hosts(  # noqa: PLR0913 - the task has as many flags
    run: Run,
    *,
    inventory: str,
    limit: str,
    forks: str,
    user: str,
    check: bool,
    remove: bool,
    system: bool,
    ask_become_pass: bool,
    mirrors: bool = False,
) -> Report:
    """Have every host of an inventory trust the registry, and report the hosts; none in a dry run.

    Raises:
        SettingError: A flag is of no use to Ansible.
        RegistryError: Ansible is not installed, or found no usable host.
    """
    options = hosts.HostOptions(inventory, limit, user, forks, check, remove, system, ask_become_pass)
    return report(trust(run, hosts.checked(options), mirrors=mirrors))


def trust(run: Run, options: hosts.HostOptions, *, mirrors: bool = False) -> tuple[hosts.HostResult, ...]:
    """Run the kit on every host of an inventory, and return the result of each; none in a dry run.

    Raises:
        RegistryError: Ansible is not installed, or found no usable host.
    """
    registry_host = run.settings.registry_host
    anchor = trust_kit.load_anchor_or_none(run, mirrors=mirrors)
    if anchor is None:
        return ()
    script = kit.render(anchor, registry_host)
    return run_script(kit.file_name(anchor, registry_host), script, run.console, options)


def run_script(name: str, content: bytes, console: Console, options: hosts.HostOptions) -> tuple[hosts.HostResult, ...]:
    """Run a script with the kit's flags and output on every host of an inventory; see `trust`."""
    console.command(hosts.command(options, name))
    if console.dry:
        return ()
    ansible, report = hosts.program(), hosts.Report()

    def hear(line: str) -> None:
        result = report.read_line(line)
        if result:
            why = "".join(f": {it}" for it in (result.proof, result.reason) if it)
            console.say(f"{len(report.results)} of {len(report.hosts)}  {result.host}: {result.state}{why}")

    # A file of this run's own: another run may carry another kit.
    with files.temp_file(name, content) as script:
        argv = hosts.command(options, str(script), ansible)
        code = program.stream(argv, hear, text=options.password, env=hosts.environment())
    for warning in report.warnings:
        console.warn(warning)
    if not report.results:
        listing = pasteable(["ansible-inventory", f"--inventory={options.inventory}", "--list"])
        reason = report.error or f"the inventory names no host (exit status {code})"
        raise RegistryError(f"Ansible did nothing: {reason}", cure=f"See what it makes of the inventory: {listing}")
    return report.all_results


def report(results: Sequence[hosts.HostResult]) -> Report:
    """Report hosts, failures last, next to the prompt; the cure lists those in the form of --limit."""
    if not results:
        return Report()
    rows = [(it.host, it.state, it.proof, it.reason) for it in sorted(results, key=lambda it: not it.fine)]
    table = Table("Hosts", ("host", "result", "proof", "left to do, or why"), rows)
    left = [it for it in results if not it.fine]
    message = f"{len(left)} of {len(results)} hosts were not reached, or refused."
    return Report(table=table, failure=RegistryError(message, cure=_again(left)) if left else None)


def _again(left: Sequence[hosts.HostResult]) -> str:
    """Return the cure for hosts that failed, with the flag that is missing if sudo wants a password on all of them."""
    again = pasteable(["--limit", ",".join(it.host for it in left)])
    if all(it.wants_password for it in left):
        return f"Their sudo wants a password. The same command with --ask-become-pass {again}"
    wants = "; add --ask-become-pass where sudo wants a password" if any(it.wants_password for it in left) else ""
    return f"Fix what the table names, then the same command with {again}{wants}"
