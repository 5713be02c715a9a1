"""Does what doctor may do: restores what is ours, asks before it changes more, and leaves the rest alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import run
from trusted_registry.certificate import issue
from trusted_registry.doctor.finding import Chmod, Renew, Restart, Start, Trust
from trusted_registry.errors import RegistryError
from trusted_registry.registry import serve, turn
from trusted_registry.trust.local import here
from trusted_registry.trust.local.here import Choice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trusted_registry.doctor.finding import Finding, Fix
    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


def mend(findings: Iterable[Finding], settings: Settings, engine: Engine, edge: Edge) -> int:
    """Do what can be done about findings, each fix once; return how many were done.

    One that fails is told, and the others are tried all the same.
    """
    done = 0
    fixes = {finding.fix: finding for finding in reversed(list(findings)) if finding.fix}
    for fix, finding in reversed(fixes.items()):
        try:
            if finding.asks and not edge.ask(f"{finding.evidence}. {_question(fix)}"):
                continue
            _do(fix, settings, engine, edge)
            done += 1
        except RegistryError as error:
            edge.warn(f"{error.message} {error.cure}")
    return done


def _question(fix: Fix) -> str:
    if isinstance(fix, Trust):
        return f"Have {fix.store} trust the registry?"
    return "Make a new server certificate?" if isinstance(fix, Renew) else "Have the registry run as the settings say?"


def _do(fix: Fix, settings: Settings, engine: Engine, edge: Edge) -> None:
    if isinstance(fix, Chmod):
        ours = settings.folder in (fix.path, *fix.path.parents)
        run.act(["chmod", fix.mode, str(fix.path)], edge, as_root=not ours)
    elif isinstance(fix, Trust):
        here.trust(settings, engine, edge, Choice(only=(fix.store,)))
    else:
        with turn.taken(settings, edge):
            _do_to_registry(fix, settings, engine, edge)


def _do_to_registry(fix: Restart | Renew | Start, settings: Settings, engine: Engine, edge: Edge) -> None:
    if isinstance(fix, Start):
        serve.tls(settings, engine, edge)
        return
    if isinstance(fix, Renew):
        issue.renew(settings, edge)
    serve.refresh(settings, edge)
