"""Lines of ours in a text that belongs to others: put in, looked for, and taken out by the marks around them.

The text is not parsed and written anew: whatever else is in it stays byte for byte, comments included. The kit does
the same with awk; a test compares the two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trusted_registry.trust.stores import Block

MARK = "# trusted-registry:"
END = f"{MARK} end"
_INDENT = "  "


def begin(block: Block) -> str:
    """Return the line that opens a block."""
    return " ".join(part for part in (MARK, block.under, block.spelling) if part)


def added(text: str, block: Block) -> str:
    """Return a text with a block in it, in place of what the block said before.

    Raises:
        RegistryError: Something else in the text speaks about the same registry, or the key is not in block form.
    """
    if holds(text, block):
        return text
    _check_free(text, block)
    lines = _lines(removed(text, block))
    at, indent = len(lines), ""
    if block.under:
        if not any(_is_key(line, block) for line in lines):
            lines.append(_own_key(block))
        at = next(number for number, line in enumerate(lines) if _is_key(line, block)) + 1
        indent = _indent(lines[at:])
    lines[at:at] = [f"{indent}{line}" for line in (begin(block), *block.lines, END)]
    return _text(lines)


def holds(text: str, block: Block) -> bool:
    """Whether a text holds exactly this block, at whatever margin."""
    found = _within(_lines(text), block)
    return [line.lstrip(" ") for line in found] == [begin(block), *(line.lstrip(" ") for line in block.lines), END]


def marked(text: str, block: Block) -> bool:
    """Whether a text holds a block of ours about this, saying this or something else."""
    return bool(_within(_lines(text), block))


def removed(text: str, block: Block) -> str:
    """Return a text without a block, and without the key that was added for it once nothing else is under it."""
    lines = _lines(text)
    inside = _within(lines, block)
    if not inside:
        return text
    at = lines.index(inside[0])
    del lines[at : at + len(inside)]
    if block.under and _own_key(block) in lines:
        at = lines.index(_own_key(block))
        following = next((line for line in lines[at + 1 :] if line.strip()), "")
        if not following.startswith(" "):
            del lines[at]
    return _text(lines)


def foreign(text: str, block: Block) -> int | None:
    """Return the number of the line with which somebody else speaks about the same registry, if one does."""
    return next((number for number, line in _others(text, block) if line.lstrip(" ").startswith(block.claims)), None)


def _check_free(text: str, block: Block) -> None:
    number = foreign(text, block)
    if number:
        raise RegistryError(
            f"{block.path}, line {number}, already says something about {block.spelling}. It was left as it is.",
            cure=f"Take that out, or add there by hand: {'; '.join(line.strip() for line in block.lines)}",
        )
    for number, line in enumerate(_lines(text), start=1):
        key = re.match(rf"['\"]?{re.escape(block.under[:-1])}['\"]?[ \t]*:", line) if block.under else None
        if key and not _is_key(line, block):
            raise RegistryError(
                f"{block.path}, line {number}: {block.under} is not in block form. It was left as it is.",
                cure=f"Write its entries on lines of their own below {block.under}",
            )


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _own_key(block: Block) -> str:
    return f"{block.under} {MARK[:-1]}"


def _is_key(line: str, block: Block) -> bool:
    return re.fullmatch(rf"{re.escape(block.under)}[ \t]*(#.*)?", line) is not None


def _indent(lines: Iterable[str]) -> str:
    """Return the margin of the first line that says something, where that has one."""
    for line in lines:
        said = line.lstrip(" ")
        if said and not said.startswith("#"):
            return line[: len(line) - len(said)] or _INDENT
    return _INDENT


def _within(lines: list[str], block: Block) -> list[str]:
    """Return the lines from a block's opening mark to the closing one; none without both."""
    opens = next((at for at, line in enumerate(lines) if line.strip() == begin(block)), None)
    if opens is None:
        return []
    closes = next((at for at, line in enumerate(lines[opens:], start=opens) if line.strip() == END), None)
    return lines[opens : closes + 1] if closes is not None else []


def _others(text: str, block: Block) -> Iterator[tuple[int, str]]:
    """Yield the lines, with their numbers, in which others' entries of a key stand; of the whole text without a key."""
    in_section, ours = not block.under, False
    for number, line in enumerate(_lines(text), start=1):
        if line.strip().startswith(MARK):
            ours = line.strip() != END
        elif block.under and line[:1] not in ("", " ", "#"):
            in_section = _is_key(line, block)
        elif in_section and not ours:
            yield number, line
