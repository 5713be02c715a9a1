"""Users of the registry: add, remove and list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.registry import instance, ownership, probe, run_lock, users
from trusted_registry.registry.users import Login

if TYPE_CHECKING:
    from trusted_registry.console import Console
    from trusted_registry.registry.engine import Engine
    from trusted_registry.registry.engine_types import Container
    from trusted_registry.settings import Settings


def add(settings: Settings, console: Console, *, name: str) -> None:
    """Add a user or change a password; from the first user on, the registry requires a login.

    Raises:
        RegistryError: The registry speaks plain HTTP, or refuses the new login.
    """
    name = users.name(name)
    engine = engines.connect_if_available(console)
    _check_private(engine.find(settings.container))
    login = None if console.dry else Login(name, users.password(console.secret(f"Password of {name}")))
    with run_lock.held(settings, console):
        # Only now: the registry may have been started while the password was typed, and none is under this lock.
        container = ownership.container(settings, engine, console)
        _check_private(container)
        create = [] if users.is_login_required(settings.folder) else ["-c"]
        console.command(
            ["htpasswd", *create, "-B", "-C", str(users.COST), str(users.users_file(settings.folder)), name]
        )
        if login:
            _add(settings, login, container, engine, console)


def _check_private(container: Container | None) -> None:
    if container and container.role == "plain":
        raise RegistryError(
            "The registry here speaks plain HTTP: everybody on the way could read the password.",
            cure="./inv registry.tls first, then this again; or all at once: ./inv up",
        )


def _add(settings: Settings, login: Login, container: Container | None, engine: Engine, console: Console) -> None:
    new = users.save(settings.folder, login)
    console.say(f"user: {login.name}, {'added' if new else 'has a new password'}")
    if not (container and container.role == "tls"):
        console.say("registry: it does not run; from its next start on it asks for a login: ./inv up")
        return
    if instance.reload(settings, container, engine, console):
        console.say("registry: started anew, since it asks for a login from now on; images stay")
    _check_login_taken(settings, container, login)
    registry_host = address.registry_host(settings.address, container.port or settings.port)
    console.say(
        f"proof: the registry takes the login of {login.name}, and no request without one: docker login {registry_host}"
    )


def remove(settings: Settings, console: Console, *, name: str) -> None:
    """Remove a user; without the last one, whose removal needs consent, the registry requires no login.

    Raises:
        RegistryError: The user does not exist, or nobody consented.
    """
    if console.dry:
        console.command(_deletion(settings, name))
        return
    last = _is_last(settings, name)
    if last and not console.ask(f"{name} is the last user. Let everybody push and pull without a login?"):
        raise RegistryError("Nobody was removed.", cure="./inv registry.user.add lets another user in first.")
    engine = engines.connect_if_available(console)
    with run_lock.held(settings, console):
        # Others may have come and gone while the question stood; nobody agreed to what follows from that.
        if _is_last(settings, name) and not last:
            raise RegistryError(f"{name} is the last user by now. Nobody was removed.", cure="Repeat the command.")
        ownership.container(settings, engine, console)  # another checkout's is told before anything is removed
        console.command(_deletion(settings, name))
        users.remove(settings.folder, name)
        console.say(f"user: {name}, removed")
        _heed_removal(settings, engine, console)


def _deletion(settings: Settings, name: str) -> list[str]:
    return ["htpasswd", "-D", str(users.users_file(settings.folder)), name]


def _is_last(settings: Settings, name: str) -> bool:
    known = users.read(settings.folder)
    if name not in known:
        raise RegistryError(f"There is no user {name!r}.", cure="./inv registry.user.list names them.")
    return len(known) == 1


def _heed_removal(settings: Settings, engine: Engine, console: Console) -> None:
    """Have a registry that runs know who may use it now."""
    container = engine.find(settings.container)
    if not (container and container.role == "tls" and container.state == "running"):
        return
    if not users.is_login_required(settings.folder):
        instance.reload(settings, container, engine, console)
        console.warn("the registry was started anew: everybody may push and pull now")
        return
    with users.temporary_login(settings.folder, console) as login:
        # A registry that accepts this new login has read the file without the removed user.
        _check_login_taken(settings, container, login)


def show(settings: Settings, console: Console) -> None:
    """Print the names of the users, one a line."""
    known = users.read(settings.folder)
    for name, hashed in known.items():
        console.say(name if users.is_read(hashed) else f"{name} (refused: its hash is not bcrypt; add this user again)")
    if not known:
        state = "lets nobody in" if users.is_login_required(settings.folder) else "asks nobody for a login"
        console.say(f"users: none; the registry {state}")


def _check_login_taken(settings: Settings, container: Container, login: Login | None) -> None:
    at = probe.Endpoint(container.listen or settings.address, container.port or settings.port)
    tls = probe.context(issue.trust_anchor(settings.folder).path)
    if login and not probe.admits(at, tls, login.header):
        raise RegistryError(
            f"{at} does not take the users as they are now.", cure=f"docker restart {settings.container}"
        )
