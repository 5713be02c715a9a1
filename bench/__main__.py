"""Runs every measure, prints the table and writes bench.json: `nox -s bench`, or `python -m bench --runs 9`."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import hosts, kit, machine, measures, report, stand
from bench.timing import BenchError
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

FEWEST = 5
"""Runs below which a median says little."""


def main() -> int:
    """Return 0 when everything was measured, whether or not a target was missed."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="runs of each side, 5 or more (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=stand.ROOT / "bench.json", help="file to write")
    chosen = parser.parse_args()
    if chosen.runs < FEWEST:
        parser.error(f"--runs is {chosen.runs}; fewer than {FEWEST} say little")
    try:
        rows, described = _measured(chosen.runs)
    except (BenchError, RegistryError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("bench: stopped; nothing of it is left\n")
        return 130
    report.show(rows, described)
    report.write(rows, described, chosen.json)
    return 0


def _measured(runs: int) -> tuple[list[report.Row], dict[str, str]]:
    begun = time.monotonic()
    stand.output([stand.INV, "--version"], env=stand.environment())  # makes .venv, where there is none yet
    with stand.stands() as (small, large):
        _say("getting the registry's image")
        image = _image(small)
        described = machine.describe(image)
        rows: list[report.Row] = []
        for title, measure in _steps(small, large, image, runs):
            _say(f"timing {title}")
            rows += measure()
    return rows, described | {"the bench itself": f"{time.monotonic() - begun:.0f} s, {runs} runs of each side"}


def _steps(
    small: stand.Stand, large: stand.Stand, image: str, runs: int
) -> tuple[tuple[str, Callable[[], list[report.Row]]], ...]:
    return (
        ("inv --list", partial(measures.listing, small, runs)),
        ("inv up", partial(measures.up, small, image, runs)),
        ("inv up again", partial(measures.again, small, runs)),
        ("inv cert", partial(measures.cert, small, runs)),
        ("inv trust.linux", partial(measures.trust, small, runs)),
        ("the kit", partial(kit.alone, small, runs)),
        ("new TLS connections", partial(measures.handshakes, (small, large), runs)),
        ("inv trust.hosts", partial(hosts.many, small, FEWEST)),
    )


def _image(here: stand.Stand) -> str:
    """Return the registry's image after one run, which gets it from wherever it can be had; the image is kept."""
    here.inv("up")
    image = stand.output(["docker", "inspect", "--format", "{{.Config.Image}}", here.name])
    here.clear()
    return image


def _say(text: str) -> None:
    sys.stderr.write(f"bench: {text} …\n")


if __name__ == "__main__":
    sys.exit(main())
