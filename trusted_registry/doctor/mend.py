"""Carries out doctor's fixes: restores our own files, asks before larger changes, and leaves the rest alone."""

from __future__ import annotations

from collections.abc import Iterable

from trusted_registry import program
from trusted_registry.certificate import issue
from trusted_registry.doctor.finding import ChmodFix, Finding, Fix, MirrorFix, RenewFix, StartFix, TrustFix
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.instance import ownership, run_lock, running
from trusted_registry.mirror import serving
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.run import Run
from trusted_registry.trust.local import install
from trusted_registry.trust.local.install import StoreSelection


def apply(findings: Iterable[Finding], run: Run, engine: Engine) -> int:
    """Apply each fix of the findings once; return the number applied.

    A fix that fails is reported as a warning, and the others are tried all the same.
    """
    done = 0
    fixes = {finding.fix: finding for finding in reversed(list(findings)) if finding.fix}
    for fix, finding in reversed(fixes.items()):
        try:
            if finding.asks and not run.console.ask(f"{finding.evidence}. {_question(fix)}"):
                continue
            _apply(fix, run, engine)
            done += 1
        except RegistryError as error:
            run.console.warn(f"{error.message} {error.cure}")
    return done


def _question(fix: Fix) -> str:
    if isinstance(fix, TrustFix):
        return f"Have {fix.store or 'every client here'} trust the registry?"
    renews = isinstance(fix, RenewFix)
    return "Make a new server certificate?" if renews else "Run the registry as the settings say?"


def _apply(fix: Fix, run: Run, engine: Engine) -> None:
    if isinstance(fix, ChmodFix):
        ours = run.settings.folder in (fix.path, *fix.path.parents)
        program.run(["chmod", fix.mode, str(fix.path)], run.console, as_root=not ours)
    elif isinstance(fix, TrustFix):
        install.trust(run, engine, StoreSelection(only=(fix.store,) if fix.store else ()))
    else:
        with run_lock.held(run):
            if isinstance(fix, MirrorFix):
                serving.up(Upstream(fix.upstream), run, engine)
                return
            if isinstance(fix, RenewFix):
                ownership.adopt_container(run, engine)
                issue.renew(run)
            if isinstance(fix, StartFix):
                running.run_tls(run, engine)
            else:
                running.restart(run)
