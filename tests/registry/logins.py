"""Logins that tests give to a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bcrypt

from trusted_registry.registry import users
from trusted_registry.registry.users import Login

if TYPE_CHECKING:
    from pathlib import Path


ADA, BOB = Login("ada", "correct horse"), Login("bob", "battery staple")


def opens(folder: Path, login: Login) -> bool:
    """Whether a password is the one in the file, as bcrypt itself sees it."""
    return bcrypt.checkpw(login.password.encode(), users.read(folder)[login.name].encode())
