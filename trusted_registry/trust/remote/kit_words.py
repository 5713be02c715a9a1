"""Words of the kit: path templates, texts and managed blocks, quoted for the shell."""

from __future__ import annotations

import re
import shlex

from trusted_registry.trust.model import ManagedBlock

_BRACES = re.compile(r"\{(home|config|data|run|docker|place|file|alias)\}")


def block_spec(block: ManagedBlock, upstream: str = "") -> str:
    """Return a managed block in the format that blocks.awk reads.

    Each line begins with the mark of its kind: ">" the key above, "=" the registry host, "!" a mirror's
    upstream, "|" our lines, "?" the claims.
    """
    lines = [f"| {line}" for line in block.lines]
    claims = [f"? {claim}" for claim in block.claims]
    mirrored = [f"! {upstream}"] if upstream else []
    return "\n".join((f"> {block.under}", f"= {block.registry_host}", *mirrored, *lines, *claims))


def path(template: str) -> str:
    """Return a path template as a word of the shell."""
    return text(template) if template.startswith("{") else f'"$root"{text(template)}'


def glob(template: str) -> str:
    """Return a path template as a shell word; a final * matches any name."""
    return f"{path(template[:-1])}*" if template.endswith("/*") else path(template)


def text(plain: str) -> str:
    """Return a text as a word of the shell, with variables for its braces."""
    parts = _BRACES.split(plain)
    quoted = (f'"${part}"' if at % 2 else shlex.quote(part) for at, part in enumerate(parts) if at % 2 or part)
    return "".join(quoted) or "''"
