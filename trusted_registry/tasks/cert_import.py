"""A certificate of one's own: signed by another authority, such as a company's, and served by the registry here."""

from __future__ import annotations

from pathlib import Path

from trusted_registry import address, installation, values
from trusted_registry.certificate import changeover, foreign_files, imported, importing, issue, rules, signer
from trusted_registry.certificate.issue import Issued
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import run_lock, running
from trusted_registry.run import Run
from trusted_registry.tasks import cert

_EXAMPLE = "./inv cert.import --certificate server.crt --key server.key --authority company-root.crt --chain chain.crt"


def import_(  # noqa: PLR0913 - a certificate is in as many files
    run: Run, *, certificate: str, key: str, authority: str, chain: str, force: bool
) -> None:
    """Take a certificate, its key, those that signed it and the root from files, and have a registry serve them.

    Args:
        run: The settings, whose address and names the certificate must carry, and the console.
        certificate: File of the certificate; it may hold all the others too.
        key: File of its key, if that is another one.
        authority: File of the root that clients are to trust, if that is another one.
        chain: File of the certificates between the two, if that is another one.
        force: Whether to replace certificates of another authority, which clients trust.

    Raises:
        RegistryError: A part is missing or does not fit, or clients would refuse it.
        SettingError: No file was named.
    """
    paths = {flag: values.path(f"--{flag}", text) for flag, text in _flags(certificate, key, authority, chain).items()}
    if "certificate" not in paths:
        raise SettingError("No certificate was named.", cure=_EXAMPLE)
    folder = run.settings.folder
    for source, name in (("certificate", "domain.crt"), ("key", "domain.key"), ("authority", "ca.crt")):
        if source in paths:
            mode = "0600" if source == "key" else "0644"
            run.console.command(["install", "-m", mode, str(paths[source]), str(folder / name)])
    if run.console.dry:
        return
    # Before the lock: nobody is kept waiting by a passphrase that is not typed.
    contents = foreign_files.read(paths.values(), lambda question: run.console.secret(question, known=True))
    found = importing.find(contents, paths.get("authority"))
    run = _named(run, found.issued(folder))
    _check(run, found.issued(folder))
    with run_lock.held(run):
        installation.read(folder)
        _check_place(found.issued(folder), folder, force=force)
        cert.adopt(run)
        importing.save(found, folder)
        changeover.forget(run)
        installation.ensure(folder, run.console)
        cert.keep(run)
        cert.say_certificate(run, "imported", names=True)
        if running.restart(run):
            cert.say_done(run.console, "registry: serves it")
    cert.say_done(
        run.console, "next: ./inv up  # runs the registry with it, has this machine trust it, and proves that"
    )


def _flags(certificate: str, key: str, authority: str, chain: str) -> dict[str, str]:
    named = {"certificate": certificate, "key": key, "authority": authority, "chain": chain}
    return {flag: text for flag, text in named.items() if text}


def _named(run: Run, issued: Issued) -> Run:
    """Return the run with an address that the certificate names, where nobody chose one.

    Raises:
        RegistryError: The certificate does not name what was chosen, or nothing that can be chosen by itself.
    """
    server, settings = issued.server, run.settings
    missing = server.missing(settings.hosts)
    if not missing:
        return run
    named = ", ".join((*server.dns, *server.addresses)) or "nothing"
    chosen = "address" in settings.saved_flags or settings.address != address.own_address()
    usable = [it for it in server.dns if not it.startswith("*") and it != "localhost" and _is_host(it)]
    usable += [it for it in server.addresses if it in address.own_addresses()]
    if missing != (settings.address,) or chosen or not usable:
        wrong = f"The certificate names {named}, and not {', '.join(missing)}."
        raise RegistryError(wrong, cure=f"Name the registry as it does: {_EXAMPLE} --address NAME")
    flags = {**settings.saved_flags, "address": usable[0]}
    run.console.say(f"address: {usable[0]}, as the certificate has it; another of its names: --address NAME")
    return run.with_settings(address=usable[0], saved_flags=flags)


def _is_host(name: str) -> bool:
    try:
        return values.reachable("the certificate", name) == name.lower()
    except SettingError:
        return False


def _check(run: Run, issued: Issued) -> None:
    """Warn of rules that some clients have, and refuse what nobody accepts.

    Raises:
        RegistryError: Every client would refuse the certificate.
    """
    broken = importing.refusals(issued, run.settings.hosts)
    for violation in broken:
        run.console.warn(rules.told(violation))
    if fatal := [it for it in broken if it.clients.startswith(rules.EVERY_CLIENT)]:
        wrong = f"Clients would refuse it: it {fatal[0].rule}. Nothing was changed."
        raise RegistryError(wrong, cure="Ask your authority for another one.")


def _check_place(new: Issued, folder: Path, *, force: bool) -> None:
    """Insist that nothing is replaced which clients trust, unless that is meant.

    Raises:
        RegistryError: The folder has another authority.
    """
    try:
        present = issue.find(folder)
    except RegistryError:
        if force or not signer.keeps_key(folder):  # what does not fit together, an import puts in order
            return
        raise
    if present is None or force or present.anchor.fingerprint == new.anchor.fingerprint:
        return
    whose = "another authority" if imported.is_foreign(present) else "the authority that was made here"
    wrong = f"{folder} holds certificates of {whose}, {present.anchor.subject}, which clients trust."
    raise RegistryError(
        wrong, cure="The same command with --force replaces it; then every client must trust the new one."
    )
