"""Messages of public threads, with the answers that are right; the two texts in public/ say how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "public"
ANSWER = "=> "


@dataclass(frozen=True)
class PublicMessage:
    """Message of a public thread.

    Args:
        link: Address of the thread.
        text: What the program said.
        row: Key of the row that is right; "" for another trade's message, which none explains.
        registry: Registry host that the cure is for; "-" if the text names none, "*" if none is asked about.
    """

    link: str
    text: str
    row: str = ""
    registry: str = ""


def read(name: str) -> list[PublicMessage]:
    """Return the messages of a text in public/."""
    _, *parts = (FOLDER / name).read_text().split("\n## ")
    return [_message(part) for part in parts]


def _message(part: str) -> PublicMessage:
    head, *lines = part.split("\n")
    link = head.removesuffix(" ~")
    if not lines[0].startswith(ANSWER):
        return PublicMessage(link, "\n".join(lines).rstrip("\n"))
    row, registry = lines[0].removeprefix(ANSWER).split()
    return PublicMessage(link, "\n".join(lines[1:]).rstrip("\n"), row, registry)


REGISTRIES, OTHER_TRADES = read("registries.txt"), read("other_trades.txt")
