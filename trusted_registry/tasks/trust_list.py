"""State of trust on this machine, client by client."""

from __future__ import annotations

from collections.abc import Sequence

from trusted_registry.engine import engine as engines
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.tasks import trust
from trusted_registry.trust.local import trust_status
from trusted_registry.trust.local.state import State


def show(run: Run, *, only: Sequence[str] = (), skip: Sequence[str] = ()) -> Report:
    """Report the state of trust, one row a client and state.

    Raises:
        SettingError: A name is no store's.
    """
    selection = trust.selection(only, skip, system=True)
    engine = engines.connect_if_available(run.console, quiet=True)
    found = trust_status.find(run.settings, engine, selection, dry=run.console.dry)
    rows: dict[tuple[str, str], list[str]] = {}
    for it in found:
        state = it.state if selection.only else _state_unless_asked(it)
        rows.setdefault((it.store.clients, state), []).append(it.name)
    shown = [[clients, ", ".join(hosts), trust_status.explained(state)] for (clients, state), hosts in rows.items()]
    table = Table("Trust on this machine; --json says where", ["Client", "Registry", "State"], shown)
    return Report([_as_dict(it) for it in found], table)


def _as_dict(entry: trust_status.TrustStatus) -> dict[str, object]:
    return {
        "store": entry.store.name,
        "client": entry.store.clients,
        "registry": entry.registry_host,
        "upstream": entry.upstream,
        "state": entry.state,
        "where": entry.paths,
    }


def _state_unless_asked(entry: trust_status.TrustStatus) -> str:
    """Return a store's state; absent trust that is written on request alone is marked as not asked for."""
    idle = entry.store.on_request and entry.state == State.ABSENT.value
    return f"{entry.state}, not asked for: --system" if idle else entry.state
