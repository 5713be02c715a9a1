"""Managed blocks in a text that is others' too: added, found and removed by the marks around them.

The text is not parsed and written anew: the rest stays byte for byte, comments included. The kit does the same with
awk; a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.trust.managed_blocks import entries
from trusted_registry.trust.model import ManagedBlock

MARK = "# trusted-registry:"
END = f"{MARK} end"
_INDENT = "  "
_BLANK = " \t\r"
"""Blanks that may surround the text of a line: files from Windows end their lines with both CR and LF."""
_BOM = "\ufeff"
_ODD_TABLE = re.compile(r"\"?registry\"?[.=]|\[\[registry\]|(\[+[^#=]*|\"[^\"]*)\\")
"""Registries of TOML that are no tables of their own, and names in escapes, in which a registry could hide."""
_ENTRY = re.compile(
    # a name without escapes, tags and anchors; and no merge
    r" *(\"[^\"\\]*\"[ \t]*|'[^']*'[ \t]*|[^\]\[ \"'?&!*{}|>%@`<#,-][^#]*):([ \t\r]|\Z)"
)
_WITHOUT_BOM = r"1s/^\xef\xbb\xbf//"
"""Instruction of sed that takes a byte order mark out."""
_AUTHORITY = re.compile(r"trusted-registry-[0-9a-f]{16}\.crt", re.ASCII)
"""File name of a certificate in our lines: `TrustAnchor.name`."""


def begin(block: ManagedBlock) -> str:
    """Return the line that opens a block."""
    return " ".join(part for part in (MARK, block.under, block.registry_host) if part)


def added(text: str, block: ManagedBlock) -> str:
    """Return a text with a block added, or replaced if present; the same text if others say it.

    Raises:
        RegistryError: A foreign line is about the same registry and leaves no room for the block, our lines were
            changed by others, the keys are not in block form, or the text begins with a byte order mark.
    """
    if has(text, block) or is_held(text, block):
        return text
    check(text, block)
    without = removed(text, block)
    lines, block = _lines(without), fitted(without, block)
    at, indent = len(lines), ""
    if place := _place(lines, block):
        at, indent = place.after + 1, place.indent
    elif block.under:
        if not any(_is_key(line, block) for line in lines):
            lines.append(_block_key(block))
        at = next(number for number, line in enumerate(lines) if _is_key(line, block)) + 1
        indent = _indent(lines[at:])
    lines[at:at] = [f"{indent}{line}" for line in (begin(block), *block.lines, END)]
    return _text(lines)


def has(text: str, block: ManagedBlock) -> bool:
    """Return whether a text has exactly this block, at any margin, in an entry of its own or in others'."""
    _, found = _marked(_lines(text), block)
    said = [line.strip(_BLANK) for line in found[1:-1]]
    return bool(found) and any(said == [line.strip(_BLANK) for line in form.lines] for form in _forms(block))


def is_held(text: str, block: ManagedBlock) -> bool:
    """Return whether an entry of others, or one of ours that others added to, says what a block would."""
    lines = _lines(text)
    opens, found = _marked(lines, block)
    place = _place(lines, block) if found or opens == len(lines) else None
    return place is not None and place.within == len(block.entry)


def fitted(text: str, block: ManagedBlock) -> ManagedBlock:
    """Return a block in the form in which it stands in a text, or would: in an entry of its own or in others'."""
    block = block.nested(0)
    lines = _lines(text)
    opens, found = _marked(lines, block)
    if found:
        said = _of_any_authority(found[1:-1])
        return next((form for form in _forms(block) if _of_any_authority(form.lines) == said), block)
    place = _place(lines, block) if opens == len(lines) else None
    return block.nested(place.within) if place and place.within < len(block.lines) else block


def _forms(block: ManagedBlock) -> list[ManagedBlock]:
    return [block.nested(count) for count in range(len(block.entry))]


def _place(lines: list[str], block: ManagedBlock) -> entries.Place | None:
    """Return the place of a block in an entry about its registry, whoever wrote that; None if there is no room."""
    number = _claiming(lines, block, ours=True)
    return entries.find(lines, number - 1, block.nested(0)) if number else None


def changed_lines(text: str, block: ManagedBlock) -> tuple[int, int] | None:
    """Return the first and last line number of a changed block, or None.

    The marks are included. A block that differs only in its authority is an earlier one of ours, not changed by others.
    A mark without its end is a block by itself.
    """
    lines = _lines(text)
    opens, found = _marked(lines, block)
    said = _of_any_authority(found[1:-1])
    if opens == len(lines) or (found and any(_of_any_authority(form.lines) == said for form in _forms(block))):
        return None
    return opens + 1, opens + max(len(found), 1)


def _of_any_authority(lines: Iterable[str]) -> list[str]:
    return [_AUTHORITY.sub("", line.strip(_BLANK)) for line in lines]


def content(lines: Iterable[str]) -> bytes:
    """Return a block's lines without margins, the content for the ledger."""
    return "".join(f"{line.strip(_BLANK)}\n" for line in lines).encode()


def current_content(text: str, block: ManagedBlock) -> bytes | None:
    """Return the content between a block's marks, or None if absent."""
    _, found = _marked(_lines(text), block)
    return content(found[1:-1]) if found else None


def removed(text: str, block: ManagedBlock) -> str:
    """Return a text without a block.

    A key that was added for the block is removed too, once nothing else is under that key.
    """
    lines = _lines(text)
    at, found = _marked(lines, block)
    if not found:
        return text
    del lines[at : at + len(found)]
    if block.under and _block_key(block) in lines:
        at = lines.index(_block_key(block))
        following = next((line for line in lines[at + 1 :] if _is_statement(line)), "")
        if not following.startswith(" "):
            del lines[at]
    return _text(lines)


def foreign_line(text: str, block: ManagedBlock) -> int | None:
    """Return the number of a foreign line about the same registry, or None."""
    return _claiming(_lines(text), block, ours=False)


def _claiming(lines: Iterable[str], block: ManagedBlock, *, ours: bool) -> int | None:
    """Return the number of the first line about the same registry, or None; those between marks count if `ours`."""
    in_section, between = not block.under, False  # without a key, the whole text counts
    for number, line in enumerate(lines, start=1):
        if line.strip(_BLANK).startswith(MARK):
            between = not ours and line.strip(_BLANK) != END
        elif block.under and _is_statement(line) and not line.startswith(" "):
            in_section = _is_key(line, block)
        elif in_section and not between and _claims(line, block):
            return number
    return None


def check(text: str, block: ManagedBlock) -> None:
    """Check that a block can be added to a text.

    Raises:
        RegistryError: A foreign line is about the same registry, our lines were changed by others, the keys are not in
            block form, or the text begins with a byte order mark.
    """
    if text.startswith(_BOM):
        raise RegistryError(
            f"{block.path}, line 1, begins with a byte order mark. It was left as it is.",
            cure=f"Remove it: {pasteable(['sed', '-i', _WITHOUT_BOM, block.path])}",
        )
    if found := changed_lines(text, block):
        raise RegistryError(
            f"{block.path}, between our marks in lines {found[0]} to {found[1]}, holds something that was not written "
            "here. It was left as it is.",
            cure=f"See what it is: {pasteable(['sed', '-n', f'{found[0]},{found[1]}p', block.path])}; then remove it",
        )
    number = foreign_line(text, block)
    if number and not fitted(text, block).within:
        raise RegistryError(
            f"{block.path}, line {number}, already has an entry for {block.registry_host}. It was left as it is.",
            cure=f"Remove that, or add there by hand: {'; '.join(line.strip() for line in block.entry)}; then repeat "
            "the command",
        )
    if block.under:
        _check_form(text, block)
    else:
        _check_tables(text, block)


def _check_tables(text: str, block: ManagedBlock) -> None:
    """Check that a text of TOML has no registries but as tables of their own, since none can be added to others."""
    between = False
    for number, line in enumerate(_lines(text), start=1):
        said = entries.normalized(line)
        if line.strip(_BLANK).startswith(MARK):
            between = line.strip(_BLANK) != END
        elif not between and _ODD_TABLE.match(said):
            raise RegistryError(
                f"{block.path}, line {number}, has registries in a form to which none can be added. It was left as it "
                "is.",
                cure=f"Write each as a table of its own, as in: {'; '.join(line.strip() for line in block.entry)}",
            )


def _check_form(text: str, block: ManagedBlock) -> None:
    """Check that the margin tells which lines are under a key, and that its entries are named by plain keys.

    Any other YAML would have to be parsed in full. Allowed at the left margin are keys, each on its own line, comments,
    and at most one `---` before them all.
    """
    if number := _malformed(text, block) or _nameless(text, block):
        raise RegistryError(
            f"{block.path}, line {number}, is not in block form. It was left as it is.",
            cure=f"Write {block.under} once, at the left margin, and its entries on lines of their own below it",
        )


def _malformed(text: str, block: ManagedBlock) -> int | None:
    seen: set[str] = set()
    for number, line in enumerate(_lines(text), start=1):
        key = re.match(r"(['\"]?)([\w.-]+)\1[ \t]*:", line, re.ASCII)
        name = f"{key[2]}:" if key else ""
        start = not seen and re.fullmatch(r"---[ \t\r]*", line)
        indented = seen and line.startswith(" ")
        sound = name not in seen and (name != block.under or _is_key(line, block)) if key else indented or start
        if _is_statement(line) and not sound:
            return number
        seen |= {name} - {""}
    return None


def _nameless(text: str, block: ManagedBlock) -> int | None:
    """Return the number of a line under a block's key at its entries' margin, in which a registry could hide."""
    in_section, between, margin = False, False, 0
    for number, line in enumerate(_lines(text), start=1):
        if line.strip(_BLANK).startswith(MARK):
            between = line.strip(_BLANK) != END
        elif _is_statement(line) and not line.startswith(" "):
            in_section, margin = _is_key(line, block), 0
        elif _is_statement(line) and in_section and not between:
            margin = margin or entries.width(line)
            if entries.width(line) == margin and not _ENTRY.match(line):
                return number
    return None


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _block_key(block: ManagedBlock) -> str:
    return f"{block.under} {MARK[:-1]}"


def _is_key(line: str, block: ManagedBlock) -> bool:
    return re.fullmatch(rf"{re.escape(block.under)}[ \t\r]*(#.*)?", line) is not None


def _is_statement(line: str) -> bool:
    """Return whether a line is neither blank nor a comment."""
    said = line.strip(_BLANK)
    return bool(said) and not said.startswith("#")


def _claims(line: str, block: ManagedBlock) -> bool:
    """Return whether a line begins with one of a block's claims.

    `10.0.0.1:` is no claim on `10.0.0.1:5000:`, which is another registry.
    """
    said, claims = entries.normalized(line), (entries.normalized(claim) for claim in block.claims)
    return any(said.startswith(claim) and not re.match("[0-9]", said[len(claim) :]) for claim in claims)


def _indent(lines: Iterable[str]) -> str:
    """Return the margin of the first statement, or the default if none."""
    first = next(filter(_is_statement, lines), "")
    return first[: len(first) - len(first.lstrip(" "))] or _INDENT


def _marked(lines: list[str], block: ManagedBlock) -> tuple[int, list[str]]:
    """Return the place of a block's opening mark, past the end if there is none, and the lines to the closing one.

    No lines if another mark follows the opening one, or no mark at all.
    """
    marks = [at for at, line in enumerate(lines) if line.strip(_BLANK).startswith(MARK)]
    opens = next((at for at in marks if lines[at].strip(_BLANK) == begin(block)), len(lines))
    closes = next((at for at in marks if at > opens), None)
    return opens, lines[opens : closes + 1] if closes is not None and lines[closes].strip(_BLANK) == END else []
