"""Who may use the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.registry import probe, serve, users
from trusted_registry.registry.users import Login

if TYPE_CHECKING:
    from trusted_registry.edge import Edge
    from trusted_registry.registry.answers import Running
    from trusted_registry.settings import Settings


def add(settings: Settings, edge: Edge, *, name: str) -> None:
    """Let a user in, or give one a new password; from the first user on the registry asks for a login.

    Raises:
        RegistryError: The registry speaks plain HTTP, or does not take the login.
    """
    name = users.name(name)
    engine = engines.perhaps(edge)
    running = engine.find(settings.container)
    if running and running.role == "plain":
        raise RegistryError(
            "The registry here speaks plain HTTP: everybody on the way could read the password.",
            cure="./inv registry.tls first, then this again; or all at once: ./inv up",
        )
    login = None if edge.dry else Login(name, users.password(edge.secret(f"Password of {name}")))
    create = [] if users.wanted(settings.folder) else ["-c"]
    edge.command(["htpasswd", *create, "-B", "-C", str(users.COST), str(users.place(settings.folder)), name])
    if login is None:
        return
    new = users.put(settings.folder, login)
    edge.say(f"user: {name}, {'added' if new else 'has a new password'}")
    if not (running and running.role == "tls"):
        edge.say("registry: it does not run; from its next start on it asks for a login: ./inv up")
        return
    if serve.renewed(settings, running, engine, edge):
        edge.say("registry: started anew, since it asks for a login from now on; images stay")
    _check_heeded(settings, running, login)
    reference = address.reference(settings.address, running.port or settings.port)
    edge.say(f"proof: the registry takes the login of {name}, and no request without one: docker login {reference}")


def remove(settings: Settings, edge: Edge, *, name: str) -> None:
    """Let a user in no more; after the last one, and only if a person says so, everybody is let in.

    Raises:
        RegistryError: There is no such user, or nobody agreed.
    """
    command = ["htpasswd", "-D", str(users.place(settings.folder)), name]
    if edge.dry:
        edge.command(command)
        return
    known = users.known(settings.folder)
    if name not in known:
        raise RegistryError(f"There is no user {name!r}.", cure="./inv registry.user.list names them.")
    last = len(known) == 1
    if last and not edge.ask(f"{name} is the last user. Let everybody push and pull without a login?"):
        raise RegistryError("Nobody was removed.", cure="./inv registry.user.add lets another user in first.")
    engine = engines.perhaps(edge)
    running = engine.find(settings.container)
    edge.command(command)
    users.remove(settings.folder, name)
    edge.say(f"user: {name}, removed")
    if not (running and running.role == "tls" and running.state == "running"):
        return
    if last:
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
