"""Docstrings of the product: they name the thing, where a pronoun would have a reader guess."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = [ROOT / "tasks.py", *sorted((ROOT / "trusted_registry").rglob("*.py"))]
LIMITS = {"what": 5, "it": 12, "where": 3}
"""Uses in a thousand words of docstring that a word stays under."""
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _words(source: str) -> list[str]:
    """Return the words of all docstrings of a module."""
    documented = [it for it in ast.walk(ast.parse(source)) if isinstance(it, _DOCUMENTED)]
    return re.findall(r"[a-z']+", " ".join(ast.get_docstring(it) or "" for it in documented).lower())


def test_words_of_every_docstring_are_counted() -> None:
    source = (
        '"""It is."""\n\ndef what():\n    """Where."""\n    return """it"""\n\nclass It:\n    """What\'s that?"""\n'
    )
    assert _words(source) == ["it", "is", "where", "what's", "that"]


@pytest.mark.parametrize(("word", "limit"), LIMITS.items())
def test_docstrings_name_the_thing(word: str, limit: int) -> None:
    counted = Counter(it for module in MODULES for it in _words(module.read_text()))
    assert counted[word] * 1000 < limit * counted.total()
