"""TOML parser whose errors name the line."""

from __future__ import annotations

import re
import sys
from pathlib import PurePath
from typing import Any

from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read(path: PurePath | str, text: str) -> dict[str, Any]:
    """Return the content of a TOML text; `path` names the file in errors.

    Raises:
        RegistryError: The text is not TOML; the message names the line.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # "… (at line 3, column 5)", or "… (at end of document)"; the number is no attribute before Python 3.14
        reason, _, place = str(error).partition(" (at ")
        number = re.match(r"line (\d+)", place)
        line = int(number[1]) if number else max(len(text.splitlines()), 1)
        raise invalid(path, line, f"is not valid TOML: {reason}") from error


def invalid(path: PurePath | str, line: int, reason: str) -> RegistryError:
    """Return the error for a file that cannot be parsed from a line on."""
    shows = pasteable(["sed", "-n", f"{line}p", path])
    return RegistryError(
        f"{path}, line {line}, {reason}. It was left as it is.", cure=f"Fix that line: {shows} shows it"
    )
