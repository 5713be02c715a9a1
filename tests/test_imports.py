"""Docker's SDK, which is slow to import, is behind the protocol of an engine."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SDK = {"docker", "requests", "urllib3"}


def _imported(path: Path) -> set[str]:
    """Return the packages that a module imports, for mypy's sake alone or not."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def test_no_module_but_the_engine_s_imports_the_sdk_of_docker() -> None:
    modules = [ROOT / "tasks.py", *(ROOT / "trusted_registry").rglob("*.py")]
    users = {path.parent for path in modules if _imported(path) & SDK}
    assert users == {ROOT / "trusted_registry" / "engine"}


@pytest.mark.process
@pytest.mark.parametrize(
    "ask",
    [
        "any(it.startswith('trusted_registry.trust') or it in lifecycle.LATER for it in sys.modules)",
        "'cryptography' in sys.modules",
        "'trusted_registry.client_messages' in sys.modules",
        "any(it.startswith(('trusted_registry.archives.', 'trusted_registry.images.')) for it in sys.modules)",
    ],
    ids=["after the start of the container", "while openssl runs", "after a failure", "from a file, or with images"],
)
def test_up_loads_what_it_takes_later_no_sooner(ask: str) -> None:
    argv = [sys.executable, "-c", f"import sys; from trusted_registry.tasks import lifecycle; sys.exit({ask})"]
    assert subprocess.run(argv, cwd=ROOT, check=False).returncode == 0


@pytest.mark.process
def test_who_only_asks_for_an_engine_has_not_imported_it_yet() -> None:
    modules = "trusted_registry.engine.engine, trusted_registry.engine.protocol, trusted_registry.instance.running"
    argv = [sys.executable, "-c", f"import sys, {modules}; sys.exit('docker' in sys.modules)"]
    assert subprocess.run(argv, cwd=ROOT, check=False).returncode == 0
