"""A private Docker registry over TLS on an IP address, chapter by chapter: see README.md, or `invoke --list`."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Collection, Context, Executor, Exit
from invoke import task as invoke_task

from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.settings import DEFAULTS, check_keys

if TYPE_CHECKING:
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings
    from trusted_registry.terminal import Terminal

ROOT = Path(__file__).resolve().parent

# A parameter would otherwise take a short flag by its first letter, and `hostname` the help's -h.
task = partial(invoke_task, auto_shortflags=False)

_HELP = {
    "address": "Address that clients type, instead of this machine's own.",
    "names": "Further addresses and names, separated by commas.",
    "port": "Port of the TLS registry.",
    "yes": "Answer every question with yes.",
    "json": "Print JSON, for programs.",
}


def _help(*names: str, **others: str) -> dict[str, str]:
    return {name: _HELP[name] for name in names} | others


class Chapters(Executor):  # type: ignore[misc]  # Invoke is typed, its Executor's base is not
    """Runs tasks and shows what a person can mend as one line and a cure; invoke.yaml names this class."""

    def execute(self, *tasks: Any) -> Any:  # noqa: ANN401 - Invoke's own signature
        """Run tasks; end with 1 for what can be mended, 2 for a wrong setting, 130 for Ctrl-C."""
        from trusted_registry.terminal import explain

        try:
            return super().execute(*tasks)
        except RegistryError as error:
            raise Exit(explain(error), code=error.code) from error
        except KeyboardInterrupt:
            raise Exit("Stopped.", code=130) from None
        except ValueError as error:
            raise _bad_variable(error) or error from error


def _bad_variable(error: ValueError) -> Exit | None:
    """Invoke casts a variable to the type that invoke.yaml gives its key; an unquoted number makes that a number."""
    from trusted_registry.terminal import explain

    text = str(error).rpartition(": ")[2].strip("'")
    name = next((name for name in os.environ if name.startswith("INVOKE_") and os.environ[name] == text), None)
    return name and Exit(explain(SettingError(f"{name} is {text!r}.", cure="Use a whole number.")), code=2)


def _terminal(c: Context, *, yes: bool = False, quiet: bool = False) -> Terminal:
    from trusted_registry.terminal import Terminal

    return Terminal(dry=c.config.run.dry, yes=yes, quiet=quiet)


def _settings(c: Context, **flags: str) -> Settings:
    """Check all settings, with the flags of one task (`port`, `address`, `names`, `image`) over them."""
    from trusted_registry import address, settings

    sections = {name: dict(c.config[name]) if hasattr(c.config[name], "items") else c.config[name] for name in c.config}
    check_keys(sections, os.environ)
    chosen = {name: sections[name] for name in DEFAULTS}
    over = {f"registry.{flag}": value for flag, value in flags.items()}
    return settings.load(chosen, root=ROOT, find_address=address.own, flags=over)


def _engine(t: Terminal) -> Engine:
    from trusted_registry.registry import engine

    return engine.connect(t)


# Before the document: an engine


@task(help=_help("yes"))
def engine(c: Context, yes: bool = False) -> None:
    """Say which Docker Engine answers; install and start one where none does."""
    from trusted_registry.registry import install

    t = _terminal(c, yes=yes)
    install.ensure(t)
    found = _engine(t)
    if found.here:
        info = found.info()
        kind = "rootless" if info.rootless else "root"
        t.say(
            f"engine: {info.version}, {info.name}, {info.socket or os.environ.get('DOCKER_HOST')}, {kind}, {info.store} image store"
        )


# The document's first part: a registry without TLS


@task(help={"lan": "Listen on every address, not on loopback alone: anyone on the network may push."})
def registry_basic(c: Context, lan: bool = False) -> None:
    """Run the document's first registry: plain HTTP on localhost:5000."""
    from trusted_registry.registry import serve

    t, settings = _terminal(c), _settings(c)
    changed = serve.plain(settings, _engine(t), t, lan=lan)
    where = f"every address, port {settings.plain_port}" if lan else f"localhost:{settings.plain_port}"
    t.say(f"registry: {'running' if changed else 'already running'}, plain HTTP on {where}; try ./inv registry.test")


@task(
    help={"image": "Image to push; a tiny one is made when not given.", "lan": "With plain HTTP: by the LAN address."}
)
def registry_test(c: Context, image: str = "", lan: bool = False) -> None:
    """Push an image, remove it, pull it back, and compare the digests."""
    from trusted_registry import address
    from trusted_registry.registry import probe, prove

    t, settings = _terminal(c), _settings(c)
    running = _engine(t)
    found = running.find(settings.container)
    if found and found.role == "plain":
        host = settings.address if lan else "localhost"
        endpoint, tls = probe.Endpoint(host, settings.plain_port), None
        registry = address.reference(host, settings.plain_port)
    else:
        from trusted_registry.certificate import issue

        endpoint = probe.Endpoint(settings.address, settings.port)
        tls = None if t.dry else probe.context(issue.trusted(settings.folder).path)
        registry = address.reference(settings.address, settings.port)
    proof = prove.prove(registry, running, t, image=image)
    if proof:
        prove.forget(proof, endpoint, tls)
        t.say(f"proof: pushed to {registry} and pulled back, {proof.digest[:19]}… both times, in {proof.seconds:.1f} s")


@task(help=_help("yes"))
def trust_insecure(c: Context, yes: bool = False) -> None:
    """Let this engine use plain HTTP on the LAN address, as the document's first part needs."""
    from trusted_registry.errors import RegistryError
    from trusted_registry.trust import daemon

    t, settings = _terminal(c, yes=yes), _settings(c)
    registry = f"{settings.address}:{settings.plain_port}"
    changed = daemon.allow_plain(settings, _engine(t), t)
    t.say(
        f"trust: plain HTTP on {registry} is {'now' if changed else 'already'} allowed, and verified by nobody; ./inv trust.remove takes it back"
    )


# The document's second part: certificates for an IP address


@task(help=_help("address", "names") | {"self_signed": "For the document's single certificate."})
def cert_config(c: Context, self_signed: bool = False, address: str = "", names: str = "") -> None:
    """Render openssl.cnf with this machine's addresses and names in [alt_names]."""
    from trusted_registry.certificate import issue

    t, settings = _terminal(c), _settings(c, address=address, names=names)
    path = issue.write_config(settings, t, self_signed=self_signed)
    t.say(f"config: {path}; ./inv cert uses the same")


@task(
    help=_help("address", "names")
    | {
        "self_signed": "The document's single certificate: rsa:4096, 365 days, trusted by itself.",
        "force": "Replace keys and certificates that are there; clients must trust the new ones.",
        "tool": "openssl or cryptography; openssl by default where it is installed.",
    }
)
def cert_make(
    c: Context, self_signed: bool = False, force: bool = False, tool: str = "", address: str = "", names: str = ""
) -> None:
    """Make the authority and the server certificate that it signs."""
    from trusted_registry.certificate import issue

    t, settings = _terminal(c), _settings(c, address=address, names=names)
    changed = issue.ensure(_with_tool(settings, tool), t, self_signed=self_signed, force=force)
    if not t.dry:
        _say_certificate(settings, t, "made" if changed else "already there")


@task
def cert_show(c: Context) -> None:
    """Show the server certificate: openssl's text, then what matters in it."""
    from trusted_registry import run
    from trusted_registry.certificate import issue, openssl

    t, settings = _terminal(c), _settings(c)
    path = settings.folder / "domain.crt"
    argv = ["openssl", "x509", "-in", str(path), "-noout", "-text"]
    t.command(argv)
    if t.dry:
        return
    found = issue.find(settings.folder)
    if found is None:
        raise RegistryError("There is no certificate yet.", cure="./inv cert makes one.")
    if openssl.installed():
        t.say(run.look(argv).out)
    _say_certificate(settings, t, f"for {', '.join((*found.server.addresses, *found.server.dns))}")


@task
def cert_check(c: Context) -> None:
    """Check the certificates against every rule that some client insists on."""
    from trusted_registry.certificate import inspect, issue

    t, settings = _terminal(c), _settings(c)
    if t.dry:
        t.command(
            [
                "openssl",
                "verify",
                "-x509_strict",
                "-CAfile",
                str(settings.folder / "ca.crt"),
                str(settings.folder / "domain.crt"),
            ]
        )
        return
    found = issue.find(settings.folder)
    if found is None:
        raise RegistryError("There is no certificate yet.", cure="./inv cert makes one.")
    findings = inspect.check(found.server, found.authority, settings.hosts, inspect.now())
    for finding in findings:
        t.say(f"{finding.path.name} {finding.rule}; refused by: {finding.clients}")
    if findings:
        raise RegistryError(
            f"{len(findings)} rules are broken.", cure="./inv cert.renew, or ./inv cert --force for the authority."
        )
    t.say("certificate: nothing wrong with it, for any client known here")


@task(help={"if_expiring": "Only when fewer than so many days are left."})
def cert_renew(c: Context, if_expiring: str = "") -> None:
    """Make a new server certificate under the same authority; no client notices."""
    from trusted_registry.certificate import issue
    from trusted_registry.registry import serve
    from trusted_registry.settings import MAX_SERVER_DAYS, whole

    t, settings = _terminal(c), _settings(c)
    days = whole("--if-expiring", if_expiring, 0, MAX_SERVER_DAYS) if if_expiring else None
    if days is not None and not t.dry and not issue.due(settings, days):
        _say_certificate(settings, t, "not renewed")
        return
    issue.renew(settings, t)
    if not t.dry:
        _say_certificate(settings, t, "renewed")
    if serve.refresh(settings, t):
        t.say("registry: restarted, and serves it")


def _with_tool(settings: Settings, tool: str) -> Settings:
    import dataclasses

    from trusted_registry.settings import TOOLS, one_of

    return dataclasses.replace(settings, tool=one_of("--tool", tool, TOOLS)) if tool else settings


def _say_certificate(settings: Settings, t: Terminal, what: str) -> None:
    from trusted_registry.certificate import inspect, issue

    found = issue.find(settings.folder)
    if found:
        left = found.server.days_left(inspect.now())
        t.say(
            f"certificate: {found.server.path}, {what}; {left} days left, {found.server.key}, SHA-256 {found.server.fingerprint[:16]}…"
        )
        trust = f"authority: {found.anchor.path}" if found.authority else f"self-signed: {found.anchor.path}"
        t.say(f"{trust} is what clients trust, SHA-256 {found.anchor.fingerprint}")


# The document's second part: the registry that serves them


@task(help=_help("address", "names", "port"))
def registry_tls(c: Context, address: str = "", names: str = "", port: str = "") -> None:
    """Run the registry over TLS, and let it stand only if it proves itself."""
    from trusted_registry.registry import serve

    t, settings = _terminal(c), _settings(c, address=address, names=names, port=port)
    changed = serve.tls(settings, _engine(t), t)
    _say_registry(settings, t, "running" if changed else "already running")


def _say_registry(settings: Settings, t: Terminal, what: str) -> None:
    from trusted_registry import address

    where = f"on {settings.listen}" if settings.listen else "on every address of this machine"
    t.say(
        f"registry: {what}, https://{address.reference(settings.address, settings.port)}, listening {where}, port {settings.port}"
    )


@task(help=_help("yes", purge="Remove the images too."))
def registry_stop(c: Context, purge: bool = False, yes: bool = False) -> None:
    """Stop the registry; its images stay, unless purged."""
    from trusted_registry.registry import serve

    t, settings = _terminal(c, yes=yes), _settings(c)
    if purge and not t.ask(f"Remove the volume {settings.volume} and every image in it?"):
        raise RegistryError("Nothing was removed.", cure="./inv registry.stop without --purge keeps the images.")
    changed = serve.stop(settings, _engine(t), t, purge=purge)
    t.say(
        f"registry: {'stopped' if changed else 'was not running'}; images {'removed' if purge else f'kept in the volume {settings.volume}'}"
    )


@task(help={"follow": "Go on until Ctrl-C.", "lines": "How many of the last lines."})
def registry_logs(c: Context, follow: bool = False, lines: str = "50") -> None:
    """Show what the registry wrote."""
    from trusted_registry.settings import whole

    t, settings = _terminal(c), _settings(c)
    count = whole("--lines", lines, 1, 100000)
    t.command(["docker", "logs", *(["--follow"] if follow else []), "--tail", str(count), settings.container])
    running = _engine(t)
    if t.dry:
        return
    if not running.find(settings.container):
        raise RegistryError("No registry runs here.", cure="./inv registry.tls starts one.")
    t.say(running.log(settings.container, lines=count).rstrip())
    if follow:
        for text in running.follow(settings.container):
            t.say(text.rstrip())


# The document's third part: trust


@task(help=_help("address", "names", "port"))
def trust_linux(c: Context, address: str = "", names: str = "", port: str = "") -> None:
    """Have this machine's Docker Engine trust the registry, by every spelling."""
    from trusted_registry.trust import here

    t, settings = _terminal(c), _settings(c, address=address, names=names, port=port)
    here.check_platform("Linux", "trust.linux")
    _trust(settings, _engine(t), t)


def _trust(settings: Settings, running: Engine, t: Terminal) -> bool:
    from trusted_registry import address
    from trusted_registry.registry import prove
    from trusted_registry.trust import here

    changed = here.trust(settings, running, t)
    spellings = address.spellings(settings.hosts, settings.port)
    if t.dry:
        return changed
    t.say(f"trust: {'now' if changed else 'already'} in place for {', '.join(spellings)}; no restart needed")
    for spelling in here.unverified(settings, running):
        t.warn(
            f"{spelling} stands in insecure-registries, so the engine verifies nothing there; ./inv trust.remove takes it out"
        )
    refused = prove.refusal(spellings[0], running)
    if refused:
        t.warn(f"the engine does not accept it yet: {refused}")
    return changed


@task(help=_help(keychain="system (all users, asks for a password) or login (this user, asks in a window)."))
def trust_macos(c: Context, keychain: str = "system") -> None:
    """Have this Mac trust the registry: a keychain, and Docker Desktop."""
    from trusted_registry.settings import one_of
    from trusted_registry.trust import here, macos

    t, settings = _terminal(c), _settings(c)
    which = one_of("--keychain", keychain, macos.KEYCHAINS)
    if not t.dry:
        here.check_platform("Darwin", "trust.macos")
    here.keychain(settings, t, which)
    changed = here.trust_desktop(settings, t)
    if changed:
        t.say(
            "Docker Desktop reads certificates when it starts: "
            + "; ".join(" ".join(it) for it in macos.restart_desktop())
        )


@task
def trust_remove(c: Context) -> None:
    """Take back all trust that was written on this machine."""
    from trusted_registry.trust import here

    t, settings = _terminal(c), _settings(c)
    freed = here.remove(settings, _engine(t), t)
    for place in freed:
        t.say(f"removed: {place}")
    t.say("trust: taken back" if freed else "trust: there was none to take back")


# All of it at once


@task(help=_help("address", "names", "port"))
def up(c: Context, address: str = "", names: str = "", port: str = "") -> None:
    """Do it all: certificate, registry, trust, and the proof."""
    from trusted_registry import summary
    from trusted_registry.certificate import issue
    from trusted_registry.registry import probe, prove, serve

    t, settings = _terminal(c), _settings(c, address=address, names=names, port=port)
    running = _engine(t)
    changed = issue.bring_up_to_date(settings, t)
    if not t.dry:
        _say_certificate(settings, t, "made" if changed else "already there")
    started = serve.tls(settings, running, t)
    _say_registry(settings, t, "running" if started else "already running")
    trusted = _trust(settings, running, t)
    if changed or started or trusted:
        registry = summary.registry(settings)
        proof = prove.prove(registry, running, t)
        if proof:
            prove.forget(
                proof,
                probe.Endpoint(settings.address, settings.port),
                probe.context(issue.trusted(settings.folder).path),
            )
            t.say(
                f"proof: pushed to {registry} and pulled back, {proof.digest[:19]}… both times, in {proof.seconds:.1f} s"
            )
    else:
        t.say("Nothing had to be changed.")
    t.say(summary.after_up(settings))


@task(help=_help("json"))
def status(c: Context, json: bool = False) -> None:
    """Say how things stand: certificate, registry, trust."""
    from trusted_registry import summary

    t, settings = _terminal(c, quiet=json), _settings(c)
    found = summary.look(settings, _engine(t))
    if json:
        sys.stdout.write(summary.as_json(found))
    else:
        t.table(*summary.as_table(found))


@task(help=_help("yes", purge="Remove images, trust and certificates too."))
def down(c: Context, purge: bool = False, yes: bool = False) -> None:
    """Stop the registry; with --purge, leave nothing of it behind."""
    from trusted_registry.certificate import issue
    from trusted_registry.registry import serve
    from trusted_registry.trust import here

    t, settings = _terminal(c, yes=yes), _settings(c)
    if purge and not t.ask("Remove every image, this machine's trust, and all keys and certificates?"):
        raise RegistryError("Nothing was removed.", cure="./inv down without --purge only stops the registry.")
    running = _engine(t)
    stopped = serve.stop(settings, running, t, purge=purge)
    if purge:
        here.remove(settings, running, t)
        issue.purge(settings.folder, t)
        t.say(
            "Nothing of it is left here; other machines still trust the authority until ./inv trust.remove runs there."
        )
        return
    t.say(f"registry: {'stopped' if stopped else 'was not running'}; images, trust and certificates are kept")


# The project itself


@task(help={"sessions": "Sessions to run instead of the default ones, separated by commas."})
def test(c: Context, sessions: str = "") -> None:
    """Check this checkout: style, types, tests, and a real registry."""
    from trusted_registry import run

    chosen = ["--session", *sessions.split(",")] if sessions else []
    code = run.live([sys.executable, "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), *chosen], _terminal(c))
    if code:
        raise Exit(code=code)


ns = Collection(engine, up, status, down, test)
for name, tasks in {
    "cert": {"make": cert_make, "config": cert_config, "show": cert_show, "check": cert_check, "renew": cert_renew},
    "registry": {
        "basic": registry_basic,
        "test": registry_test,
        "tls": registry_tls,
        "stop": registry_stop,
        "logs": registry_logs,
    },
    "trust": {"linux": trust_linux, "macos": trust_macos, "insecure": trust_insecure, "remove": trust_remove},
}.items():
    chapter = Collection(name)
    for short, body in tasks.items():
        chapter.add_task(body, name=short, default=body is cert_make)
    ns.add_collection(chapter)
ns.configure(DEFAULTS)
