"""Carries out doctor's fixes: restores our own files, asks before larger changes, and leaves the rest alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import program
from trusted_registry.certificate import issue
from trusted_registry.doctor.finding import ChmodFix, RenewFix, RestartFix, StartFix, TrustFix
from trusted_registry.errors import RegistryError
from trusted_registry.registry import instance, ownership, run_lock
from trusted_registry.trust.local import install
from trusted_registry.trust.local.install import StoreSelection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trusted_registry.console import Console
    from trusted_registry.doctor.finding import Finding, Fix
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


def apply(findings: Iterable[Finding], settings: Settings, engine: Engine, console: Console) -> int:
    """Apply each fix of the findings once; return the number applied.

    A fix that fails is reported as a warning, and the others are tried all the same.
    """
    done = 0
    fixes = {finding.fix: finding for finding in reversed(list(findings)) if finding.fix}
    for fix, finding in reversed(fixes.items()):
        try:
            if finding.asks and not console.ask(f"{finding.evidence}. {_question(fix)}"):
                continue
            _apply(fix, settings, engine, console)
            done += 1
        except RegistryError as error:
            console.warn(f"{error.message} {error.cure}")
    return done


def _question(fix: Fix) -> str:
    if isinstance(fix, TrustFix):
        return f"Have {fix.store} trust the registry?"
    return (
        "Make a new server certificate?" if isinstance(fix, RenewFix) else "Have the registry run as the settings say?"
    )


def _apply(fix: Fix, settings: Settings, engine: Engine, console: Console) -> None:
    if isinstance(fix, ChmodFix):
        ours = settings.folder in (fix.path, *fix.path.parents)
        program.run(["chmod", fix.mode, str(fix.path)], console, as_root=not ours)
    elif isinstance(fix, TrustFix):
        install.trust(settings, engine, console, StoreSelection(only=(fix.store,)))
    else:
        with run_lock.held(settings, console):
            _do_to_registry(fix, settings, engine, console)


def _do_to_registry(
    fix: RestartFix | RenewFix | StartFix, settings: Settings, engine: Engine, console: Console
) -> None:
    if isinstance(fix, StartFix):
        instance.run_tls(settings, engine, console)
        return
    if isinstance(fix, RenewFix):
        ownership.adopt_container(settings, engine, console)
        issue.renew(settings, console)
    instance.restart(settings, console)
