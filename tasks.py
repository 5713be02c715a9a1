"""A private Docker registry over TLS on an IP address, chapter by chapter: see README.md, or `invoke --list`."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import task as invoke_task

from trusted_registry import invoking
from trusted_registry.defaults import DEFAULTS
from trusted_registry.run import Run

if TYPE_CHECKING:
    from invoke.context import Context

    from trusted_registry.settings import Settings
    from trusted_registry.terminal import Terminal

ROOT = Path(__file__).resolve().parent

# A parameter would otherwise take a short flag by its first letter, and `hostname` the help's -h.
task = partial(invoke_task, auto_shortflags=False)

UNSAID = "\0"
"""Default of a flag that was not typed: no command line can hold NUL, and an empty flag takes back the saved one."""

ADDRESS = {"address": "Address that clients type, instead of this machine's own."}
NAMES = {"names": "Further addresses and names, separated by commas."}
PORT = {"port": "Port of the TLS registry."}
WHERE = ADDRESS | NAMES | PORT
STAYS = {
    "address": 'Address that clients type, instead of this machine\'s own; it stays until --address "".',
    "names": 'Further addresses and names, separated by commas; they stay until --names "".',
}
STAYS_WITH_PORT = STAYS | {"port": 'Port of the TLS registry; it stays until --port "".'}
WHICH = {
    "only": "Only these stores, by name, separated by commas: docker, podman, containerd, k3s, buildkit, system, …",
    "skip": "All but these.",
}
SYSTEM = {"system": "Also the operating system's store, the browsers' and Java's."}
YES = {"yes": "Answer every question with yes."}


# The only effect of importing this file: nothing else runs before Invoke reads its settings and the command line.
invoking.install_error_handling()


def _terminal(c: Context, *, yes: bool = False, quiet: bool = False) -> Terminal:
    from trusted_registry.terminal import Terminal

    return Terminal(dry=c.config["run"]["dry"], yes=yes, quiet=quiet)


def _settings(c: Context, **flags: str) -> Settings:
    """Load all settings, overridden by the flags of one task (`port`, `address`, `names`)."""
    from trusted_registry import address, saved_flags, settings

    sections = {name: value if isinstance(value, str) else dict(value or {}) for name, value in c.config.items()}
    settings.check_keys(sections, os.environ)
    chosen = {name: dict(c.config[name]) for name in DEFAULTS}
    over = {f"registry.{flag}": value for flag, value in flags.items() if value != UNSAID}
    return settings.load(
        chosen,
        root=ROOT,
        find_address=address.own_address,
        flags=over,
        find_saved_flags=saved_flags.read,
        environ=os.environ,
    )


# Before the document: an engine


@task(help=YES)
def engine(c: Context, yes: bool = False) -> None:
    """Say which Docker Engine answers; install and start one if none."""
    from trusted_registry.tasks import registry

    registry.engine(_terminal(c, yes=yes))


# The document's first part: a registry without TLS


@task(help={"lan": "Listen on every address, not on loopback alone: anyone on the network may push."})
def registry_basic(c: Context, lan: bool = False) -> None:
    """Run the document's first registry: plain HTTP on localhost:5000."""
    from trusted_registry.tasks import registry

    registry.basic(Run(_settings(c), _terminal(c)), lan=lan)


@task(help={"image": "Image to push; a tiny one is made if none.", "lan": "With plain HTTP: by the LAN address."})
def registry_test(c: Context, image: str = "", lan: bool = False) -> None:
    """Push an image, remove it, pull it back, and compare the digests."""
    from trusted_registry.tasks import registry

    registry.test(Run(_settings(c), _terminal(c)), image=image, lan=lan)


@task(help={"remove": "Take that back, and no trust."})
def trust_insecure(c: Context, remove: bool = False) -> None:
    """Let this engine use plain HTTP on the LAN address."""
    from trusted_registry.tasks import trust

    trust.insecure(Run(_settings(c), _terminal(c)), remove=remove)


# The document's second part: certificates for an IP address, and the registry that serves them


@task(help=ADDRESS | NAMES | {"self_signed": "For the document's single certificate."})
def cert_config(c: Context, self_signed: bool = False, address: str = UNSAID, names: str = UNSAID) -> None:
    """Render openssl.cnf with this machine's names in [alt_names]."""
    from trusted_registry.tasks import cert

    cert.config(Run(_settings(c, address=address, names=names), _terminal(c)), self_signed=self_signed)


@task(
    help=STAYS
    | {
        "self_signed": "The document's single certificate: rsa:4096, 365 days, trusted by itself.",
        "force": "Replace keys and certificates that are there; clients must trust the new ones.",
        "tool": "openssl or cryptography; openssl by default where it is installed.",
    }
)
def cert_make(
    c: Context,
    self_signed: bool = False,
    force: bool = False,
    tool: str = "",
    address: str = UNSAID,
    names: str = UNSAID,
) -> None:
    """Make the authority and the server certificate that it signs."""
    from trusted_registry.tasks import cert

    settings = _settings(c, address=address, names=names)
    cert.make(Run(settings, _terminal(c)), self_signed=self_signed, force=force, tool=tool)


@task
def cert_show(c: Context) -> None:
    """Show the server certificate: openssl's text, then what matters."""
    from trusted_registry.tasks import cert

    cert.show(Run(_settings(c), _terminal(c)))


@task
def cert_check(c: Context) -> None:
    """Check the certificates against the rules of every client."""
    from trusted_registry.tasks import cert

    cert.check(Run(_settings(c), _terminal(c)))


@task(help=STAYS | {"if_expiring": "Only when fewer than so many days are left."})
def cert_renew(c: Context, if_expiring: str = "", address: str = UNSAID, names: str = UNSAID) -> None:
    """Make a new server certificate under the same authority."""
    from trusted_registry.tasks import cert

    cert.renew(Run(_settings(c, address=address, names=names), _terminal(c)), if_expiring=if_expiring)


@task(help=STAYS_WITH_PORT)
def registry_tls(c: Context, address: str = UNSAID, names: str = UNSAID, port: str = UNSAID) -> None:
    """Run the registry over TLS, and stop it again if the proof fails."""
    from trusted_registry.engine.engine import connect
    from trusted_registry.tasks import registry

    t = _terminal(c)
    registry.alone(Run(_settings(c, address=address, names=names, port=port), t), connect(t))


@task(help=YES | {"purge": "Remove the images too."})
def registry_stop(c: Context, purge: bool = False, yes: bool = False) -> None:
    """Stop the registry; its images stay, unless purged."""
    from trusted_registry.tasks import registry

    registry.stop(Run(_settings(c), _terminal(c, yes=yes)), purge=purge)


@task(help={"follow": "Go on until Ctrl-C.", "lines": "How many of the last lines."})
def registry_logs(c: Context, follow: bool = False, lines: str = "50") -> None:
    """Show the last lines of the registry's log."""
    from trusted_registry.tasks import registry

    registry.logs(Run(_settings(c), _terminal(c)), follow=follow, lines=lines)


NAME = {"name": "The user's name: letters, digits, . _ @ + -"}


@task(help=NAME)
def user_add(c: Context, name: str) -> None:
    """Add a user, with a password from a prompt or standard input."""
    from trusted_registry.tasks import registry_users

    registry_users.add(Run(_settings(c), _terminal(c)), name=name)


@task(help=NAME | YES)
def user_remove(c: Context, name: str, yes: bool = False) -> None:
    """Remove a user; asks before the last one goes."""
    from trusted_registry.tasks import registry_users

    registry_users.remove(Run(_settings(c), _terminal(c, yes=yes)), name=name)


@task
def user_list(c: Context) -> None:
    """Name the users; without any, the registry asks for no login."""
    from trusted_registry.tasks import registry_users

    registry_users.show(Run(_settings(c), _terminal(c)))


# The document's third part: trust


@task(
    help=WHERE
    | WHICH
    | SYSTEM
    | {"rebuild_builders": "Make builders of docker buildx anew, so that they trust; what they have cached stays."}
)
def trust_linux(
    c: Context,
    address: str = UNSAID,
    names: str = UNSAID,
    port: str = UNSAID,
    only: str = "",
    skip: str = "",
    system: bool = False,
    rebuild_builders: bool = False,
) -> None:
    """Have every client on this machine trust the registry."""
    from trusted_registry.tasks import trust

    selection = trust.selection(only, skip, system=system)
    settings = _settings(c, address=address, names=names, port=port)
    trust.linux(Run(settings, _terminal(c)), selection, builders=rebuild_builders)


@task(help=WHERE | WHICH | {"json": "Print JSON, for programs."})
def trust_list(
    c: Context,
    address: str = UNSAID,
    names: str = UNSAID,
    port: str = UNSAID,
    only: str = "",
    skip: str = "",
    json: bool = False,
) -> None:
    """Say what each client on this machine trusts."""
    from trusted_registry.tasks import trust

    t, selection = _terminal(c, quiet=json), trust.selection(only, skip, system=True)
    settings = _settings(c, address=address, names=names, port=port)
    if json:
        sys.stdout.write(trust.as_json(Run(settings, t), selection))
    else:
        t.table(*trust.table(Run(settings, t), selection))


@task(help=WHERE | {"keychain": "system (all users, asks for a password) or login (this user, asks in a window)."})
def trust_macos(
    c: Context, keychain: str = "system", address: str = UNSAID, names: str = UNSAID, port: str = UNSAID
) -> None:
    """Have this Mac trust the registry: a keychain, and Docker Desktop."""
    from trusted_registry.tasks import trust

    trust.on_macos(Run(_settings(c, address=address, names=names, port=port), _terminal(c)), keychain=keychain)


@task(help=WHERE | {"user": "For one user alone, who is no administrator."})
def trust_windows(
    c: Context, user: bool = False, address: str = UNSAID, names: str = UNSAID, port: str = UNSAID
) -> None:
    """Print PowerShell commands that have Windows trust the registry."""
    from trusted_registry.tasks import trust_serve as serve

    serve.windows(Run(_settings(c, address=address, names=names, port=port), _terminal(c)), user=user)


@task(help=WHERE | {"minutes": "After so many it ends by itself.", "at": "Port to offer it on, by plain HTTP."})
def trust_serve(
    c: Context, minutes: str = "10", at: str = "8000", address: str = UNSAID, names: str = UNSAID, port: str = UNSAID
) -> None:
    """Offer kit, page and certificate to the LAN for some minutes."""
    from trusted_registry.tasks import trust_serve as serve

    settings = _settings(c, address=address, names=names, port=port)
    serve.serve(Run(settings, _terminal(c)), minutes=minutes, at=at)


@task(
    help=WHERE
    | {
        "only": "These clients and no others, and they must trust, asked to or not: docker, podman, curl, …",
        "json": "Print JSON, for programs.",
    }
)
def trust_check(
    c: Context, address: str = UNSAID, names: str = UNSAID, port: str = UNSAID, only: str = "", json: bool = False
) -> None:
    """Prove trust with a pull by each client on this machine."""
    from trusted_registry.tasks import trust_check as check

    t, settings = _terminal(c, quiet=json), _settings(c, address=address, names=names, port=port)
    rows = check.check_pulls(Run(settings, t), only)
    if json:
        sys.stdout.write(check.as_json(rows))
    elif rows:
        t.table(*check.table(rows, settings))
        for remark in check.remarks(rows):
            t.say(remark)
    if rows:
        check.insist(rows)


@task(help=WHERE | {"out": "Folder to write into, instead of the certificates' own."})
def trust_kit(c: Context, address: str = UNSAID, names: str = UNSAID, port: str = UNSAID, out: str = "") -> None:
    """Write a script that has any Linux machine trust the registry."""
    from trusted_registry.tasks import trust_kit as kit

    kit.write(Run(_settings(c, address=address, names=names, port=port), _terminal(c)), out=out)


@task(help={"all": "What other checkouts wrote, too."})
def trust_remove(c: Context, all: bool = False) -> None:  # noqa: A002 - the flag's name
    """Take back the trust that this checkout wrote on this machine."""
    from trusted_registry.tasks import trust

    trust.remove(Run(_settings(c), _terminal(c)), everyone=all)


@task(
    help=WHERE
    | {
        "inventory": "Which machines, in Ansible's form: a file with a host on each line will do.",
        "limit": "Only these hosts or groups of it.",
        "forks": "Hosts at a time.",
        "user": "Who logs in there.",
        "check": "Only say what would change.",
        "remove": "Take the trust away again.",
        "system": "The operating systems' own stores too.",
        "ask_become_pass": "Ask once for the password that sudo wants there.",
    }
)
def trust_hosts(
    c: Context,
    inventory: str = "",
    limit: str = "",
    forks: str = "25",
    user: str = "",
    check: bool = False,
    remove: bool = False,
    system: bool = False,
    ask_become_pass: bool = False,
    address: str = UNSAID,
    names: str = UNSAID,
    port: str = UNSAID,
) -> None:
    """Have many machines trust the registry, over SSH, by Ansible."""
    from trusted_registry.tasks import trust_hosts as hosts
    from trusted_registry.trust.remote.hosts import HostOptions, checked, table

    t = _terminal(c)
    wanted = checked(HostOptions(inventory, limit, user, forks, check, remove, system, ask_become_pass))
    found = hosts.trust(Run(_settings(c, address=address, names=names, port=port), t), wanted)
    if found:
        t.table(*table(found))
        hosts.insist(found)


@task(
    help=WHERE
    | {
        "label": "Only containers with this label, as KEY=VALUE or KEY, instead of kind's, k3d's and the like.",
        "remove": "Take the trust away again.",
        "check": "Only say which nodes trust.",
        "restart": "Restart the nodes that read it only when they start: those of k3s.",
    }
)
def trust_nodes(
    c: Context,
    label: str = "",
    remove: bool = False,
    check: bool = False,
    restart: bool = False,
    address: str = UNSAID,
    names: str = UNSAID,
    port: str = UNSAID,
) -> None:
    """Have nodes that are containers trust the registry: kind, k3d."""
    from trusted_registry.engine.engine import connect
    from trusted_registry.tasks import trust_nodes as nodes
    from trusted_registry.trust.remote.nodes import insist, table

    t, options = _terminal(c), nodes.NodeOptions(label, remove=remove, check=check, restart=restart)
    found = nodes.trust(
        Run(_settings(c, address=address, names=names, port=port), t), connect(t, anywhere=True), options
    )
    if found:
        t.table(*table(found))
        insist(found)


# All of it at once


@task(help=STAYS_WITH_PORT | {"adopt": "Take a volume that is there, and no other installation's, with its images."})
def up(c: Context, address: str = UNSAID, names: str = UNSAID, port: str = UNSAID, adopt: bool = False) -> None:
    """Do it all: certificate, registry, trust, and the proof."""
    from trusted_registry.tasks import lifecycle

    lifecycle.up(Run(_settings(c, address=address, names=names, port=port), _terminal(c)), adopt=adopt)


@task(help={"json": "Print JSON, for programs."})
def status(c: Context, json: bool = False) -> None:
    """Say how things stand: certificate, registry, trust."""
    from trusted_registry import status as statuses
    from trusted_registry.engine.engine import connect_if_available

    t = _terminal(c, quiet=json)
    status = statuses.find(_settings(c), connect_if_available(t), dry=t.dry)
    if json:
        sys.stdout.write(statuses.as_json(status))
    else:
        t.table(*statuses.as_table(status))


@task(
    klass=invoking.TextOrInputTask,
    help={"text": "The message; without it, standard input is read.", "json": "Print JSON, for programs."},
)
def explain(c: Context, text: str = "", json: bool = False) -> None:
    """Say what an error message means, and what cures it."""
    from trusted_registry.tasks import doctor

    t = _terminal(c, quiet=json)
    found = doctor.recognise(Run(_settings(c), t), text)
    if json:
        sys.stdout.write(doctor.as_json(found))
    doctor.explain(t, found)


@task(
    help=YES
    | {
        "client": "Only what concerns one client's store: docker, podman, containerd, system, …",
        "fix": "Do what is safe about it, and ask before the rest.",
        "json": "Print JSON, for programs.",
        "remote": "Another machine's registry instead, as its clients here see it: NAME or NAME:PORT.",
    }
)
def doctor(
    c: Context, client: str = "", remote: str = "", fix: bool = False, json: bool = False, yes: bool = False
) -> None:
    """Check the whole way to the registry; report each fault."""
    from trusted_registry.tasks import doctor

    t = _terminal(c, yes=yes, quiet=json)
    found = doctor.examine(Run(_settings(c), t), client=client, remote=remote, fix=fix)
    if json:
        sys.stdout.write(doctor.as_json(found))
    doctor.report(t, found)


@task(help=YES | {"purge": "Remove images, trust and certificates too."})
def down(c: Context, purge: bool = False, yes: bool = False) -> None:
    """Stop the registry; with --purge, take images, trust and keys away too."""
    from trusted_registry.tasks import lifecycle

    lifecycle.down(Run(_settings(c), _terminal(c, yes=yes)), purge=purge)


# The project itself


@task(help={"sessions": "Sessions to run instead of the default ones, separated by commas."})
def test(c: Context, sessions: str = "") -> None:
    """Check this checkout: style, types, tests, and a real registry."""
    from trusted_registry import program

    # From here: a file of the folder that a person stands in is no module of these.
    nox = ["-I", "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), "--session", *sessions.split(",")]
    code = program.interactive(
        [sys.executable, *(nox if sessions else ["-m", "tests.sessions"])], _terminal(c), cwd=ROOT
    )
    if code:
        raise Exit(code=code)


def _chapter(name: str, default: str = "", **tasks: Any) -> Collection:  # noqa: ANN401 - Invoke's tasks are generic
    made = Collection(name)
    for short, body in tasks.items():
        made.add_task(body, name=short, default=short == default)
    return made


ns = Collection(engine, up, status, explain, doctor, down, test)
ns.add_collection(
    _chapter("cert", "make", make=cert_make, config=cert_config, show=cert_show, check=cert_check, renew=cert_renew)
)
registry = _chapter(
    "registry", basic=registry_basic, test=registry_test, tls=registry_tls, stop=registry_stop, logs=registry_logs
)
registry.add_collection(_chapter("user", add=user_add, remove=user_remove, list=user_list))
ns.add_collection(registry)
ns.add_collection(
    _chapter(
        "trust",
        linux=trust_linux,
        hosts=trust_hosts,
        nodes=trust_nodes,
        list=trust_list,
        check=trust_check,
        macos=trust_macos,
        windows=trust_windows,
        kit=trust_kit,
        serve=trust_serve,
        insecure=trust_insecure,
        remove=trust_remove,
    )
)
ns.configure(DEFAULTS)
