"""Pages for readers, and the commands in them: the README, and what it links to in docs/."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path: path.read_text() for path in PAGES}

LEADING_VARIABLE = re.compile(r"([A-Z_]+)=(\S+) ")
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_VALUED = (
    *("--address", "--names", "--port", "--if-expiring", "--sessions", "--only", "--inventory", "--remote"),
    *("--certificate", "--key", "--authority", "--chain", "--front", "--image", "--match"),
    *("--keep", "--older", "--count", "--references", "--since", "--from", "--python"),
    *("--to", "--endpoint", "--region", "--ca", "--credentials", "--replicas", "--namespace", "--context"),
    *("registry.user.add", "registry.user.remove", "registry.storage", "explain", "images.show", "images.remove"),
    *("images.save", "images.load", "registry.backup", "registry.restore", "site.pack"),
    *("mirror.up", "mirror.down", "mirror.fill", "--hosts", "--purge"),
)


def blocks(page: Path) -> list[list[str]]:
    """Return the command blocks of a page, as lines."""
    return [block.splitlines() for block in _BLOCK.findall(TEXTS[page])]


def commands(page: Path) -> list[str]:
    """Return the lines of a page that run this project's tasks, in order."""
    return [line for block in blocks(page) for line in block if "./inv" in line]


def split(line: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables before a command, and its words after ./inv."""
    variables = dict(LEADING_VARIABLE.findall(line))
    words = shlex.split(LEADING_VARIABLE.sub("", line))
    assert words[0] == "./inv", line
    return variables, words[1:]


def tasks(words: list[str]) -> list[str]:
    """Return the names of the tasks among a command's words."""
    values = [at + 1 for at, word in enumerate(words) if word in _VALUED]
    return [word for at, word in enumerate(words) if not word.startswith("-") and at not in values]
