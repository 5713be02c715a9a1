"""Trust on many machines, over SSH, by Ansible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import address, files, run
from trusted_registry.chapters import kit as kits
from trusted_registry.edge import printable
from trusted_registry.errors import RegistryError
from trusted_registry.trust.elsewhere import hosts, kit

if TYPE_CHECKING:
    from trusted_registry.edge import Edge
    from trusted_registry.settings import Settings
    from trusted_registry.trust.elsewhere.hosts import Errand, Outcome


def trust(settings: Settings, edge: Edge, errand: Errand) -> tuple[Outcome, ...]:
    """Run the kit on every host of an inventory, and return how it ended on each; nothing in a dry run.

    Raises:
        RegistryError: Ansible is not installed, or found nothing that it could work on.
    """
    reference = address.reference(settings.address, settings.port)
    subject = kits.subject_or_none(settings, edge)
    if subject is None:
        return ()
    name = kit.file_name(subject, reference)
    return carry(name, kit.render(subject, reference), edge, errand)


def carry(name: str, content: bytes, edge: Edge, errand: Errand) -> tuple[Outcome, ...]:
    """Run a script with the kit's manners on every host of an inventory; see `trust`."""
    edge.command(hosts.command(errand, name))
    if edge.dry:
        return ()
    ansible, report = hosts.program(), hosts.Report()

    def hear(line: str) -> None:
        found = report.hear(line)
        if found:
            why = f": {found.reason}" if found.reason else ""
            edge.say(f"{len(report.outcomes)} of {len(report.hosts)}  {found.host}: {found.state}{why}")

    # A file of this run's own: another run may carry another kit.
    with files.lent(name, content) as lent:
        code = run.heard(hosts.command(errand, str(lent), ansible), hear, env=hosts.environment())
    for warning in report.warnings:
        edge.warn(warning)
    if not report.outcomes:
        look = printable(["ansible-inventory", f"--inventory={errand.inventory}", "--list"])
        reason = report.error or f"the inventory names no host (exit status {code})"
        raise RegistryError(f"Ansible did nothing: {reason}", cure=f"See what it makes of the inventory: {look}")
    return report.all


def insist(outcomes: tuple[Outcome, ...]) -> None:
    """Insist that all is well on every host.

    Raises:
        RegistryError: It is not on some, which are named as --limit takes them.
    """
    left = [it.host for it in outcomes if not it.fine]
    if left:
        again = printable(["--limit", ",".join(left)])
        message = f"{len(left)} of {len(outcomes)} hosts were not reached, or refused."
        raise RegistryError(message, cure=f"Mend what the table names, then the same command with {again}")
