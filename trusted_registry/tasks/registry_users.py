"""Users of the registry: add, remove and list."""

from __future__ import annotations

from trusted_registry import address
from trusted_registry.certificate import issue
from trusted_registry.console import pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import contents, front, ownership, run_lock, running
from trusted_registry.instance.model import Role
from trusted_registry.registry import probe, users
from trusted_registry.registry.api import RegistryClient
from trusted_registry.run import Run
from trusted_registry.swarm import noted
from trusted_registry.tasks import registry


def add(run: Run, *, name: str) -> None:
    """Add a user or change a password; from the first user on, the registry requires a login.

    Raises:
        RegistryError: The registry speaks plain HTTP, or refuses the new login.
    """
    name = users.name(name)
    engine = engines.connect_if_available(run.console)
    _check_private(engine.find(run.settings.container))
    login = None if run.console.dry else users.Login(name, _password(run, name))
    with run_lock.held(run):
        # Only now: the registry may have been started while the password was typed, and none is under this lock.
        container = ownership.container(run, engine)
        _check_private(container)
        create = [] if users.is_login_required(run.settings.folder) else ["-c"]
        run.console.command(_htpasswd(run, name, *create, "-B", "-C", str(users.COST)))
        if login:
            _add(run, login, container, engine)


def _password(run: Run, name: str) -> str:
    return users.password(run.console.secret(f"Password of {name}", check=users.password))


def _check_private(container: Container | None) -> None:
    if container and container.role == Role.PLAIN:
        message = "The registry here speaks plain HTTP: anybody on the network could read the password."
        raise RegistryError(message, cure="./inv registry.tls first, then this again; or all at once: ./inv up")


def _add(run: Run, login: users.Login, container: Container | None, engine: Engine) -> None:
    new = users.save(run.settings.folder, login)
    contents.share_users(run, engine)
    run.console.say(f"user: {login.name}, {'added' if new else 'has a new password'}")
    if _rolled_out(run, login):
        return
    if not (container and container.role == Role.TLS):
        run.console.say("registry: it does not run; once started, it asks for a login: ./inv up")
        return
    if running.reload(run, container, engine):
        run.console.say("registry: restarted; it asks for a login from now on; images stay")
    _check_login_taken(run, container, login, engine)
    met = front.as_met(container, run.settings, engine)
    registry_host = address.registry_host(run.settings.address, met.port or run.settings.port)
    run.console.say(
        f"proof: the registry takes the login of {login.name}, and no request without one: "
        f"{pasteable(['docker', 'login', registry_host])}"
    )


def _rolled_out(run: Run, login: users.Login | None = None) -> bool:
    """Have the hosts of a swarm know the users; return False where the registry is on none."""
    if not noted.read(run.settings.folder).hosts:
        return False
    from trusted_registry.tasks import swarm  # by which one machine need not be slowed down

    swarm.users_changed(run, login)
    return True


def remove(run: Run, *, name: str) -> None:
    """Remove a user; without the last one, whose removal needs consent, the registry requires no login.

    Raises:
        RegistryError: The user does not exist, or nobody consented.
    """
    deletion = _htpasswd(run, name, "-D")
    if run.console.dry:
        run.console.command(deletion)
        return
    if name not in users.read(run.settings.folder):
        raise _absent(run, name)
    last = _is_last(run, name)
    if last and not run.console.ask(f"{name} is the last user. Let everybody push and pull without a login?"):
        raise RegistryError("Nobody was removed.", cure="./inv registry.user.add adds another user first.")
    engine = engines.connect_if_available(run.console)
    with run_lock.held(run):
        # Others may have come and gone while the question stood; nobody agreed to what follows from that.
        if _is_last(run, name) and not last:
            raise RegistryError(f"{name} is the last user now. Nobody was removed.", cure="Repeat the command.")
        ownership.container(run, engine)  # another checkout's is told before anything is removed
        run.console.command(deletion)
        users.remove(run.settings.folder, name)
        run.console.say(f"user: {name}, removed")
        if not _rolled_out(run):
            _heed_removal(run, engine)


def _absent(run: Run, name: str) -> RegistryError:
    """Return the error of a user who is not there, once whoever serves knows that: a removal may have been cut short.

    With no users left that would let everybody in, to which nobody here has consented.
    """
    cure = "./inv registry.user.list names those that there are."
    if users.is_login_required(run.settings.folder):
        engine = engines.connect_if_available(run.console)
        with run_lock.held(run):
            ownership.container(run, engine)  # another checkout's knows other users
            if not _rolled_out(run):
                _heed_removal(run, engine)
    else:
        instead = "swarm.up" if noted.read(run.settings.folder).hosts else "up"
        cure = f"There are no users; where the registry asks for a login all the same: ./inv {instead}"
    return RegistryError(f"There is no user {name!r}.", cure=cure)


def _htpasswd(run: Run, name: str, *options: str) -> list[str]:
    return ["htpasswd", *options, str(users.users_file(run.settings.folder)), name]


def _is_last(run: Run, name: str) -> bool:
    known = users.read(run.settings.folder)
    if name not in known:
        raise RegistryError(f"There is no user {name!r}.", cure="./inv registry.user.list names them.")
    return len(known) == 1


def _heed_removal(run: Run, engine: Engine) -> None:
    """Have a registry that runs know who may use it now."""
    container = engine.find(run.settings.container)
    runs = container and container.role == Role.TLS and container.state == "running"
    if container and runs and not users.is_login_required(run.settings.folder):
        _open(run, container, engine)
        return
    contents.share_users(run, engine)
    if container and runs:
        with registry.temporary_login(run, engine) as login:
            # A registry that accepts this new login has read the file without the removed user.
            _check_login_taken(run, container, login, engine)


def _open(run: Run, container: Container, engine: Engine) -> None:
    """Replace a registry whose last user went by one that asks for no login.

    Until that one takes over, the user is still let in: otherwise every request would be refused meanwhile. Where none
    takes over, nobody is let in.
    """
    try:
        running.reload(run, container, engine)
    except BaseException:
        contents.share_users(run, engine)
        raise
    run.console.warn("the registry was restarted: everybody may push and pull now")


def show(run: Run) -> None:
    """Print the names of the users, one a line."""
    known = users.read(run.settings.folder)
    for name, hashed in known.items():
        refused = "" if users.is_read(hashed) else " (refused: its hash is not bcrypt; add this user again)"
        run.console.say(f"{name}{refused}")
    if not known:
        state = "lets nobody in" if users.is_login_required(run.settings.folder) else "asks nobody for a login"
        run.console.say(f"users: none; the registry {state}")


def _check_login_taken(run: Run, container: Container, login: users.Login | None, engine: Engine) -> None:
    met = front.as_met(container, run.settings, engine)
    at = probe.Endpoint(met.listen or run.settings.address, met.port or run.settings.port)
    tls = probe.context(issue.trust_anchor(run.settings.folder).path)
    if login and not RegistryClient(at, tls, login).admits():
        cure = pasteable(["docker", "restart", run.settings.container])
        raise RegistryError(f"{at} does not accept the users as they are now.", cure=cure)
