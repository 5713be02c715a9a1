"""A changeover to another authority, on three machines: no pull fails behind a front, nothing of the old one is left.

Four kinds of clients pull all the while on the registry's host, three of them on two that were told by the kit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests import forge, history
from tests.e2e.checkout import becomes, earlier
from tests.e2e.impostor import Impostor
from tests.e2e.steps import CERTS, fingerprint, is_refused, offer, pull, push, served_fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite
    from tests.forge import Forged

CTR = ("ctr", "--address", "/run/docker/containerd/containerd.sock", "--namespace", "lab", "images")
CLIENTS = {
    "docker": ("docker", "pull", "--quiet", "{reference}"),
    "podman": ("podman", "pull", "--quiet", "{reference}"),
    "ctr": (*CTR, "pull", "--hosts-dir", "/etc/containerd/certs.d", "{reference}"),
    "curl": ("curl", "--silent", "--show-error", "--fail", "https://{host}/v2/"),
}
"""Of containerd's and the system's store: nothing but what was written there makes the last two succeed."""

STORES = "docker,podman,containerd,system"
LOOP = """
turn=0
while [ "$turn" -lt 600 ] && [ ! -e /srv/enough ]; do
    for script in /srv/pull-*; do
        if said=$(sh "$script" 2>&1); then echo "pulled"; else echo "failed $script: $(echo "$said" | tail -n 1)"; fi
    done
    turn=$((turn + 1))
done
echo ended
"""
"""Asks the registry again and again, by one client after another: an image that is there is asked for all the same."""

DARK = re.compile("connection refused|t connect to server|HTTP2 framing layer", re.IGNORECASE)
"""What a client says in the hundredths of a second in which one registry hands over to the next (docs/renewal.md).

The last is curl's of a connection that it got in that moment, and on which it had asked nothing yet.
"""
MOST_DARK = {"on": 0, "off": 3}
"""Pulls that may fall into that time with a front and without one, of all machines' hundreds."""

NOTES = ("ledger.json", "last-run.log")
"""This user's own: what was written before, and by which commands. No program reads a certificate from them."""
PLACES = ("/etc", "/home", "/root", "/usr/local", "/var/lib/trusted-registry", "/var/lib/docker/volumes")
KIT = re.compile(r"/var/lib/trusted-registry/trust-[\w.-]+\.sh")
KEYSTORE = "/etc/ssl/certs/java/cacerts"
FORMS = ["an authority of an earlier version", "a root"]


@dataclass
class Puller:
    """A host on which some clients pull all the while."""

    host: Host
    clients: tuple[str, ...]
    reference: str

    def begin(self) -> None:
        """Begin to pull."""
        words = {"reference": self.reference, "host": self.reference.partition("/")[0]}
        for name in self.clients:
            command = " ".join(CLIENTS[name]).format_map(words)
            self.host.write(f"/srv/pull-{name}", f"exec {command}\n")
        self.host.begin("sh", "-c", LOOP, log="/srv/pulls")
        self.goes_on()

    @property
    def pulls(self) -> list[str]:
        """How each pull ended, so far."""
        return [line for line in self.host.peek("/srv/pulls").splitlines() if line.startswith(("pulled", "failed"))]

    def goes_on(self) -> None:
        """Wait until each client has pulled twice more."""
        before, more = len(self.pulls), 2 * len(self.clients) + 1
        self.host.wait_for("each client pulls twice", lambda: len(self.pulls) >= before + more)

    def end(self) -> list[str]:
        """End the pulls, and return those that failed."""
        self.host.write("/srv/enough", "")
        self.host.wait_for("the last pull", lambda: "ended" in self.host.peek("/srv/pulls"))
        return [line for line in self.pulls if line.startswith("failed")]


@pytest.fixture
def others(lab: Lab, suite: Suite, client: Host) -> tuple[Host, Host]:
    """Two machines without a checkout of the registry's."""
    (second,) = lab.start({f"second-{client.name}": suite.name})  # a name that none had: removals take a while
    return client, second


@pytest.mark.parametrize(("form", "front"), [(FORMS[0], "on"), (FORMS[1], "off")])
def test_a_changeover_fails_no_pull_on_three_machines_and_leaves_nothing_of_the_old_authority(  # noqa: PLR0913, PLR0917 - fixtures
    form: str,
    front: str,
    registry: Host,
    others: tuple[Host, Host],
    bystander: Host,
    lab: Lab,
    run: Run,
    tmp_path: Path,
) -> None:
    reference = _set_up(registry, lab, form, front)
    stolen = _stolen(registry, "ca" if form == FORMS[0] else "issuer", tmp_path)
    old, shown = _traces(registry), served_fingerprint(registry, registry.address)
    _hand_out(registry, others, at=8001)
    assert _found(registry, old), "a search that finds nothing now would prove nothing later"
    pullers = [Puller(registry, tuple(CLIENTS), reference)]
    pullers += [Puller(host, ("curl", "docker", "podman"), reference) for host in others]
    for puller in pullers:
        puller.begin()

    _change_over(registry, others, pullers)

    failed = [line for puller in pullers for line in puller.end()]
    dark = [line for line in failed if DARK.search(line)]
    assert (failed, len(dark) <= MOST_DARK[front]) == (dark, True), failed
    run.notes.append(
        f"{len(failed)} of {sum(len(it.pulls) for it in pullers)} pulls failed in a changeover, front {front}"
    )
    is_refused(bystander, reference)
    assert served_fingerprint(bystander, registry.address) == fingerprint(registry, f"{CERTS}/domain.crt") != shown
    for host in (registry, *others):
        assert _found(host, old) == []
    registry.inv("doctor")
    for host in (registry, *others):  # as the last step says: an engine reads the system's store once
        host.does("service", "docker", "restart")
        host.wait()
    _poses_in_vain(Impostor(registry, tmp_path), stolen, (registry, *others), reference)


def _set_up(registry: Host, lab: Lab, form: str, front: str) -> str:
    """Have a registry run and its host's clients trust it, by a version of before or by this one; return an image."""
    if form == FORMS[0]:
        becomes(registry, earlier(history.BEFORE_ROOTS))
        registry.inv("up")
    else:
        registry.inv("up", "--front", front)
    registry.inv("trust.linux", "--only", STORES)
    push(registry, f"{registry.address}/app:1")
    if form == FORMS[0]:
        becomes(registry, lab.checkout)
        registry.inv("up", "--front", front)
        assert "issuer.crt" not in registry.does("ls", CERTS).out, "an up changes no authority"
    return f"{registry.address}/app:1"


def _hand_out(registry: Host, others: tuple[Host, Host], *, at: int) -> None:
    """Tell two machines what the registry's checkout hands out now: by the kit as a file, and by the line to type."""
    first, second = others
    registry.does("rm", "-rf", "/srv/kit")
    registry.does("install", "-d", "-o", "dev", "/srv/kit")
    registry.inv("trust.kit", "--out", "/srv/kit")
    first.write("/srv/trust.sh", registry.does("sh", "-c", "cat /srv/kit/*.sh").out)
    first.does("sh", "/srv/trust.sh", "--system")
    line = next(line for line in offer(registry, log=f"/srv/serve-{at}.log", at=at) if "&& curl" in line)
    second.does("sh", "-c", f"{line} --system")


def _change_over(registry: Host, others: tuple[Host, Host], pullers: list[Puller]) -> None:
    """Take each step while all pull, telling the others where a step says so; none may be left out."""
    registry.inv_fails("cert.renew-authority", "--switch", saying="No changeover has begun")
    registry.inv_fails("cert.renew-authority", "--finish", saying="no old root")
    for step, at in ((), 8002), (("--switch",), 8003), (("--finish",), 0):
        said = registry.inv("cert.renew-authority", *step).said
        for puller in pullers:
            puller.goes_on()
        if at:
            assert f"cert.renew-authority {'--finish' if step else '--switch'}" in said
            registry.inv_fails("doctor", saying="the authority is changed")
            _hand_out(registry, others, at=at)
            for puller in pullers:
                puller.goes_on()


def _traces(registry: Host) -> dict[str, str]:
    """Return texts by which the present authority is known: a line of its PEM, its fingerprint and their digests."""
    name = f"{CERTS}/ca.crt"
    known = fingerprint(registry, name)
    return {
        "PEM": registry.read(name).splitlines()[1],
        "fingerprint": known.replace(":", "").lower(),
        "name": known.replace(":", "").lower()[:16],
        "digest": registry.does("sha256sum", name).out.split()[0],
        "keystore": known,
    }


def _found(host: Host, traces: dict[str, str]) -> list[str]:
    """Return files of a host that hold one of these texts, and Java's store if it lists the certificate."""
    words = [f"--regexp={text}" for text in traces.values()]
    there = [place for place in PLACES if host.silently("test", "-e", place).code == 0]
    search = ["grep", "--recursive", "--files-with-matches", "--fixed-strings"]
    search += [f"--exclude={name}" for name in NOTES]
    files = host.run(*search, *words, *there).out.split()
    # The copy of the new root's kit names the old one, which it took away.
    files = [it for it in files if not KIT.fullmatch(it) or traces["name"] in it]
    listed = host.run("keytool", "-list", "-keystore", KEYSTORE, "-storepass", "changeit").out
    return [*files, *([KEYSTORE] if traces["keystore"] in listed else [])]


def _stolen(registry: Host, stem: str, folder: Path) -> Forged:
    for name in (f"{stem}.crt", f"{stem}.key"):
        (folder / name).write_text(registry.read(f"{CERTS}/{name}"))
    return forge.load(folder, stem)


def _poses_in_vain(impostor: Impostor, stolen: Forged, hosts: tuple[Host, ...], reference: str) -> None:
    """Insist that a key stolen before the changeover opens nothing any more, where one of today still does."""
    there = impostor.registry.address
    impostor.take_over()
    impostor.show(forge.server(stolen, names=(there,)), stolen)
    for host in hosts:
        is_refused(host, reference)
        host.fails("curl", "--silent", "--show-error", f"https://{there}/v2/", saying="SSL certificate")
    impostor.show(forge.server(impostor.issuer, names=(there,)), impostor.issuer)
    for host in hosts:
        pull(host, reference)
