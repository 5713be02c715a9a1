"""A small picture of lines, as SVG by hand: it needs no library here and none where it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 48, 160, 40, 44
COLOURS = ("#8a8f98", "#1f77d0")
STEPS = (1, 2, 5, 10, 20, 50, 100, 200)
"""What the lines of the grid may be apart, in seconds."""

STYLE = """
  svg { background: #fff; font: 13px system-ui, sans-serif; }
  text { fill: #24292f; } .soft { fill: #656d76; } .grid { stroke: #d8dee4; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; } text { fill: #e6edf3; } .soft { fill: #8d96a0; } .grid { stroke: #30363d; }
  }
"""


@dataclass(frozen=True)
class Line:
    """A line of the picture: its name, and its points, each a number and the seconds for it."""

    name: str
    points: Sequence[tuple[float, float]]


def plot(title: str, across: str, lines: Sequence[Line]) -> str:
    """Return a picture of seconds over something, as SVG; both axes begin at 0.

    Args:
        title: What it shows.
        across: What the horizontal axis counts.
        lines: At most two.
    """
    most_across = max(point[0] for line in lines for point in line.points)
    most = max(point[1] for line in lines for point in line.points)
    step = next((step for step in STEPS if most / step <= 5), STEPS[-1])  # noqa: PLR2004 - lines of a grid

    def x(value: float) -> float:
        return round(LEFT + value / most_across * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM), 1)

    marks = sorted({point[0] for line in lines for point in line.points})
    drawn = [
        *_grid(range(0, int(most) + 1, step), y),
        *(f'<text class="soft" x="{x(at)}" y="{HEIGHT - 24}" text-anchor="middle">{at:.0f}</text>' for at in marks),
        f'<text class="soft" x="{x(most_across)}" y="{HEIGHT - 6}" text-anchor="middle">{across}</text>',
    ]
    for line, colour in zip(lines, COLOURS, strict=True):
        at = [(x(number), y(seconds)) for number, seconds in line.points]
        drawn += _line(line, colour, at)
    named = f'<text x="{LEFT}" y="22" font-weight="600">{title}</text>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
    return "\n".join([head, f"<style>{STYLE}</style>", named, *drawn, "</svg>", ""])


def _grid(values: Iterable[int], y: Callable[[float], float]) -> list[str]:
    drawn = []
    for value in values:
        at = y(value)
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        drawn.append(f'<text class="soft" x="{LEFT - 8}" y="{at + 4}" text-anchor="end">{value} s</text>')
    return drawn


def _line(line: Line, colour: str, at: Sequence[tuple[float, float]]) -> list[str]:
    path = " ".join(f"{x},{y}" for x, y in at)
    last_x, last_y = at[-1]
    label = f"{line.name}: {line.points[-1][1]:.0f} s"
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in at),
        f'<text x="{last_x + 10}" y="{last_y + 4}">{label}</text>',
    ]
