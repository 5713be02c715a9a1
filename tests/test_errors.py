"""The tree of errors, against its own drawing."""

from __future__ import annotations

import importlib
import pkgutil
import re

import trusted_registry
from trusted_registry import errors


def _every_kind() -> set[type[errors.RegistryError]]:
    """Return all kinds of errors, after loading every module that could define one."""
    for module in pkgutil.walk_packages(trusted_registry.__path__, "trusted_registry."):
        if "playbook" not in module.name:  # Ansible's own loader reads those
            importlib.import_module(module.name)
    found, left = set(), [errors.RegistryError]
    while left:
        kind = left.pop()
        found.add(kind)
        left += kind.__subclasses__()
    return found


def test_the_module_draws_every_error_and_no_other() -> None:
    drawn = re.findall(r"\w+Error\b", (errors.__doc__ or "").partition("\n\n`")[0])
    assert sorted(drawn) == sorted(kind.__name__ for kind in _every_kind())


def test_every_error_is_defined_there_and_ends_as_errors_do() -> None:
    assert {kind.__module__ for kind in _every_kind()} == {errors.__name__}
    assert all(kind.__name__.endswith("Error") for kind in _every_kind())
