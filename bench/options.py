"""The command line: the measures that are wanted, and how often each is timed."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEWEST = 5
"""Runs below which a median says little."""


class _Parser(argparse.ArgumentParser):
    """A parser whose help keeps the lines of the list of measures."""

    def __init__(self, measures: Mapping[str, str], default: Path) -> None:
        listed = "\n".join(f"  {name:7} {title}" for name, title in measures.items())
        super().__init__(
            prog="bench",
            description="Ratios to what a person would type by hand, within ten minutes.",
            epilog=f"measures:\n{listed}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument(
            "--only", metavar="NAMES", type=_names(measures), default=tuple(measures), help="measures, by commas"
        )
        self.add_argument(
            "--runs",
            type=int,
            default=7,
            help=f"runs of each side, {FEWEST} or more; slow ones get fewer (%(default)s)",
        )
        self.add_argument("--json", type=Path, default=default, help="file to write (bench.json)")
        self.add_argument(
            "--picture",
            action="store_true",
            help="hosts: 10 and 200 of them too, and docs/hosts.svg; five minutes more",
        )


class _Names:
    """Names of measures, by commas, in the order in which they are measured."""

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def __call__(self, text: str) -> tuple[str, ...]:
        chosen = [name.strip() for name in text.split(",") if name.strip()]
        for name in chosen:
            if name not in self._known:
                near = difflib.get_close_matches(name.lower(), self._known, n=1, cutoff=0)
                raise argparse.ArgumentTypeError(
                    f"there is no measure {name!r}; did you mean {near[0]}? all: {', '.join(self._known)}"
                )
        if not chosen:
            raise argparse.ArgumentTypeError(f"no measure is named; all: {', '.join(self._known)}")
        return tuple(name for name in self._known if name in chosen)


def _names(measures: Mapping[str, str]) -> _Names:
    return _Names(tuple(measures))


def parse(words: Sequence[str], measures: Mapping[str, str], default: Path) -> argparse.Namespace:
    """Return what was asked for: `only`, `runs`, `json`, `picture`.

    Args:
        words: The command line.
        measures: Titles by name.
        default: The file to write where none is named.

    Raises:
        SystemExit: With 2, since something in it cannot be meant.
    """
    parser = _Parser(measures, default)
    chosen = parser.parse_args(words)
    if chosen.runs < FEWEST:
        parser.error(f"--runs is {chosen.runs}; fewer than {FEWEST} say little")
    if not chosen.json.absolute().parent.is_dir():
        parser.error(f"--json is {chosen.json}; there is no folder {chosen.json.absolute().parent}")
    return chosen
