"""Runs the measures, prints the table and writes bench.json: `nox -s bench`, or `python -m bench --only up,cert`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from bench import catalogue, machine, namespace, options, stand
from bench.record import Record, say
from bench.runner import WHOLE, Runner
from bench.timing import BenchError
from bench.workplace import workplace
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from bench.report import Row

_END_WITH = "TRUSTED_REGISTRY_BENCH_ENDS_WITH_PARENT"
"""Set by noxfile.py: nox that is told to end, or killed, tells nobody."""
_PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def main() -> int:
    """Return 0 when all was measured that could be, whether or not a target was missed; 1 when a measure failed."""
    titles = {measure.name: measure.title for measure in catalogue.MEASURES}
    chosen = options.parse(sys.argv[1:], titles, stand.ROOT / "bench.json")
    try:
        if os.environ.pop(_END_WITH, "") and sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        namespace.enter([sys.executable, "-m", "bench", *sys.argv[1:]])
        record = _measured(chosen)
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except (BenchError, RegistryError) as error:
        cure = getattr(error, "cure", "")
        say(f"{error}; do: {cure}" if cure else str(error))
        return 1
    record.show()
    return 1 if record.failed else 0


def _measured(chosen: argparse.Namespace) -> Record:
    begun = time.monotonic()
    # Makes .venv, where there is none yet.
    stand.output([stand.INV, "--version"], env=stand.environment(), patience=None)
    measures = [measure for measure in catalogue.MEASURES if measure.name in chosen.only]
    more = catalogue.PICTURE if chosen.picture else 0
    with workplace() as setup:
        setup.picture = chosen.picture
        record = Record(chosen.json, machine.describe())
        record.write()
        runner = Runner(setup, record, chosen.runs, str(setup.small.home.parent), begun + WHOLE + more)
        runner.all([replace(it, limit=it.limit + more) if it.name == "hosts" else it for it in measures])
    record.machine["the bench itself"] = f"{time.monotonic() - begun:.0f} s, {_runs(record.rows, chosen.runs)}"
    record.write()
    return record


def _runs(rows: Sequence[Row], asked: int) -> str:
    fewer = [f"{row.what} {len(row.ours.figures)}" for row in rows if len(row.ours.figures) < asked]
    return f"{asked} runs of each side" + (f"; fewer of {', '.join(fewer)}" if fewer else "")


if __name__ == "__main__":
    sys.exit(main())
