"""Who may use the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.registry import probe, serve, turn, users
from trusted_registry.registry.users import Login

if TYPE_CHECKING:
    from trusted_registry.edge import Edge
    from trusted_registry.registry.answers import Running
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


def add(settings: Settings, edge: Edge, *, name: str) -> None:
    """Let a user in, or give one a new password; from the first user on the registry asks for a login.

    Raises:
        RegistryError: The registry speaks plain HTTP, or does not take the login.
    """
    name = users.name(name)
    engine = engines.perhaps(edge)
    _check_private(engine.find(settings.container))
    login = None if edge.dry else Login(name, users.password(edge.secret(f"Password of {name}")))
    with turn.taken(settings, edge):
        # Only now, since it may have been started while the password was typed; and none is, until this has its turn.
        running = engine.find(settings.container)
        _check_private(running)
        create = [] if users.wanted(settings.folder) else ["-c"]
        edge.command(["htpasswd", *create, "-B", "-C", str(users.COST), str(users.place(settings.folder)), name])
        if login:
            _add(settings, login, running, engine, edge)


def _check_private(running: Running | None) -> None:
    if running and running.role == "plain":
        raise RegistryError(
            "The registry here speaks plain HTTP: everybody on the way could read the password.",
            cure="./inv registry.tls first, then this again; or all at once: ./inv up",
        )


def _add(settings: Settings, login: Login, running: Running | None, engine: Engine, edge: Edge) -> None:
    new = users.put(settings.folder, login)
    edge.say(f"user: {login.name}, {'added' if new else 'has a new password'}")
    if not (running and running.role == "tls"):
        edge.say("registry: it does not run; from its next start on it asks for a login: ./inv up")
        return
    if serve.renewed(settings, running, engine, edge):
        edge.say("registry: started anew, since it asks for a login from now on; images stay")
    _check_heeded(settings, running, login)
    reference = address.reference(settings.address, running.port or settings.port)
    edge.say(
        f"proof: the registry takes the login of {login.name}, and no request without one: docker login {reference}"
    )


def remove(settings: Settings, edge: Edge, *, name: str) -> None:
    """Let a user in no more; after the last one, and only if a person says so, everybody is let in.

    Raises:
        RegistryError: There is no such user, or nobody agreed.
    """
    if edge.dry:
        edge.command(_deletion(settings, name))
        return
    last = _is_last(settings, name)
    if last and not edge.ask(f"{name} is the last user. Let everybody push and pull without a login?"):
        raise RegistryError("Nobody was removed.", cure="./inv registry.user.add lets another user in first.")
    engine = engines.perhaps(edge)
    with turn.taken(settings, edge):
        # Others may have come and gone while the question stood; nobody agreed to what follows from that.
        if _is_last(settings, name) and not last:
            raise RegistryError(f"{name} is the last user by now. Nobody was removed.", cure="Repeat the command.")
        edge.command(_deletion(settings, name))
        users.remove(settings.folder, name)
        edge.say(f"user: {name}, removed")
        _heed_removal(settings, engine, edge)


def _deletion(settings: Settings, name: str) -> list[str]:
    return ["htpasswd", "-D", str(users.place(settings.folder)), name]


def _is_last(settings: Settings, name: str) -> bool:
    known = users.known(settings.folder)
    if name not in known:
        raise RegistryError(f"There is no user {name!r}.", cure="./inv registry.user.list names them.")
    return len(known) == 1


def _heed_removal(settings: Settings, engine: Engine, edge: Edge) -> None:
    """Have a registry that runs know who may use it now."""
    running = engine.find(settings.container)
    if not (running and running.role == "tls" and running.state == "running"):
        return
    if not users.wanted(settings.folder):
        serve.renewed(settings, running, engine, edge)
        edge.warn("the registry was started anew: everybody may push and pull now")
        return
    with users.visitor(settings.folder, edge) as login:
        # That it takes a login of the file as it is now means that it has read who is in there no more.
        _check_heeded(settings, running, login)


def show(settings: Settings, edge: Edge) -> None:
    """Name the users, one a line."""
    known = users.known(settings.folder)
    for name, hashed in known.items():
        edge.say(name if users.is_read(hashed) else f"{name} (refused: its hash is not bcrypt; add this user again)")
    if not known:
        state = "lets nobody in" if users.wanted(settings.folder) else "asks nobody for a login"
        edge.say(f"users: none; the registry {state}")


def _check_heeded(settings: Settings, running: Running, login: Login | None) -> None:
    at = probe.Endpoint(running.listen or settings.address, running.port or settings.port)
    tls = probe.context(issue.trusted(settings.folder).path)
    if login and not probe.admits(at, tls, login.header):
        raise RegistryError(
            f"{at} does not take the users as they are now.", cure=f"docker restart {settings.container}"
        )
