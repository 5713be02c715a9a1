"""Full disks, read-only ones, too few open files, wrong clocks, engines that die: each is named and costs nothing.

Each fault is met wherever it can strike: a disk with room for nothing, for one page, for two, and so on until the task
has enough. Then the fault goes, and the same command succeeds.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.checkout import HOME
from tests.e2e.faults.survived import Trials, keep
from tests.e2e.steps import CERTS, pull, push

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Done, Host

LOG = logging.getLogger("lab")
STATE = "/home/dev/.local/state/trusted-registry"
CERTS_D = "/etc/docker/certs.d"
VOLUME = "/var/lib/docker/volumes/trusted-registry/_data"
MOST = 40
"""Trials of one fault, should it never end."""

LIST = r"""
cd "$1" 2>&- || exit 0
find . -mindepth 1 -not -name '.*lock' -not -name .unproved -not -name last-run.log -printf '%M %u %p\n' | sort
find . -type f -not -name '.*lock' -not -name .unproved -not -name last-run.log -exec sha256sum {} + | sort
"""
"""Every file and folder with its mode and owner, then every file with what is in it; but for locks, which hold nothing,
the note that an `up` did not come to its end, which the next one takes away, and the log of the last run."""

FILL = r"""
if mountpoint --quiet "$1"; then umount "$1"; fi
rm -rf /srv/kept
cp -a "$1" /srv/kept
mount -t tmpfs -o size=8m tmpfs "$1"
cp -a /srv/kept/. "$1"
chown --reference=/srv/kept "$1"
: > "$1/.filler.lock"
head -c "$((($(stat --file-system --format %a "$1") - $2) * 4096))" /dev/zero > "$1/.filler.lock"
"""
"""Puts a disk over a folder, with what is in that, and fills it but for some pages: a small file takes one."""


def contents(host: Host, folder: str) -> str:
    """Return what is in a folder, as text to be compared."""
    return host.silently("sh", "-c", LIST, "sh", folder).out


@dataclass(frozen=True)
class Place:
    """A folder that nothing can be written to, the task that would, and how what it did is taken back."""

    name: str
    folder: str
    task: tuple[str, ...]
    before: tuple[str, ...] = ()
    back: tuple[str, ...] = ()


TRUST = ("trust.linux", "--only", "docker")
PLACES = (
    Place("certs/, the first certificate", CERTS, ("cert",)),
    Place("certs/, a renewal", CERTS, ("cert.renew",), before=("cert",)),
    Place(
        "certs/, the document's certificate in place of an authority",
        CERTS,
        ("cert", "--self-signed", "--force"),
        before=("cert",),
    ),
    Place("certs.d", CERTS_D, TRUST, before=("cert",), back=("trust.remove",)),
    Place("the ledger", STATE, TRUST, before=("cert",), back=("trust.remove",)),
)


@pytest.fixture
def kinds(run: Run) -> Iterator[list[Trials]]:
    """What a scenario counts; kept when it ends, well or not."""
    made: list[Trials] = []
    yield made
    for trials in made:
        LOG.info("%s: %s", trials.kind, trials.said)
    keep(run, "disks", [trials.row() for trials in made if trials.failed])


def _all_well(kinds: list[Trials], at_least: int) -> None:
    for trials in kinds:
        assert not trials.lost, "\n".join([trials.kind, *trials.lost])
        assert trials.failed >= at_least, f"{trials.kind}: {trials.said}"


def test_a_disk_that_is_full_at_any_write_is_named_costs_nothing_and_is_forgotten_with_room(
    registry: Host, kinds: list[Trials]
) -> None:
    registry.does("mkdir", "--parents", STATE, user="dev")
    registry.does("mkdir", "--parents", CERTS_D)
    for place in PLACES:
        kinds.append(trials := Trials(f"full disk: {place.name}"))
        if place.before:
            registry.inv(*place.before)
        for pages in range(MOST):
            registry.does("sh", "-euc", FILL, "sh", place.folder, str(pages))
            before = contents(registry, place.folder)
            done = registry.run("./inv", *place.task, user="dev", env=registry.settings)
            after = contents(registry, place.folder)
            registry.does("rm", f"{place.folder}/.filler.lock")
            if done.code and place.back:  # what it had finished is known, and can be taken back
                registry.inv(*place.back)
                after = contents(registry, place.folder)
            if done.code:
                trials.take(done, before, after, f"{place.name}, {pages} pages")
                registry.inv(*place.task)
            if place.back:
                registry.inv(*place.back)
            if not done.code:
                break
        registry.does("umount", "--lazy", place.folder)
    _all_well(kinds, at_least=1)


def test_a_folder_that_is_read_only_is_named_and_costs_nothing(registry: Host, kinds: list[Trials]) -> None:
    registry.does("mkdir", "--parents", STATE, user="dev")
    registry.does("mkdir", "--parents", CERTS_D)
    for place in (*PLACES, Place("the whole checkout", HOME, ("up",), back=("down",))):
        kinds.append(trials := Trials(f"read-only: {place.name}"))
        if place.before:
            registry.inv(*place.before)
        before = contents(registry, place.folder)
        registry.does("mount", "--bind", place.folder, place.folder)
        registry.does("mount", "-o", "remount,bind,ro", place.folder)
        done = registry.run("./inv", *place.task, user="dev", env=registry.settings)
        trials.take(done, before, contents(registry, place.folder), place.name)
        registry.does("umount", "--lazy", place.folder)
        registry.inv(*place.task)
        if place.back:
            registry.inv(*place.back)
    _all_well(kinds, at_least=1)


def test_too_few_open_files_are_named_and_cost_nothing(registry: Host, kinds: list[Trials]) -> None:
    kinds.append(trials := Trials("too few open files: up"))
    limited = 'ulimit -n "$1"; shift; exec ./inv "$@"'
    for most in range(4, MOST):
        few = ("sh", "-c", limited, "sh", str(most))
        if registry.run(*few, "--version", user="dev").code:
            continue  # Python itself does not start
        before = contents(registry, CERTS)
        done = registry.run(*few, "up", user="dev", env=registry.settings)
        if done.code:
            after = contents(registry, CERTS)
            fine = _complete(after) or _but_first(after) == _but_first(before)
            trials.take(done, before, before if fine else after, f"{most} files")
            registry.inv("up")
            kept = [line for line in after.splitlines() if line.endswith(f"  ./{FIRST[0]}")]
            assert kept == [line for line in kept if line in contents(registry, CERTS)], "another installation's id"
        registry.inv("down", "--purge", "--yes")
        if not done.code:
            break
    _all_well(kinds, at_least=2)


FIRST = ("installation.json", "start.sh")
"""Files that `up` makes before certificates: the id that a volume carries from its first moment, and a script."""


def _but_first(listed: str) -> list[str]:
    return [line for line in listed.splitlines() if not line.endswith(tuple(f" ./{name}" for name in FIRST))]


def _complete(listed: str) -> bool:
    """Whether certificates were made, all of them, with nothing beside them and no key for others to read."""
    names = ("ca.crt", "issuer.crt", "issuer.key", "domain.crt", "domain.key", "openssl.cnf")
    private = all(f"-rw------- dev ./{name}" in listed for name in names if name.endswith(".key"))
    return private and all(f" ./{name}" in listed for name in names) and "staging" not in listed


SHIFT = """
import datetime, pathlib, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
folder, off = pathlib.Path(sys.argv[1]), datetime.timedelta(days=int(sys.argv[2]))
root = ec.generate_private_key(ec.SECP256R1())  # in the place of the one that nobody has
issuer = serialization.load_pem_private_key((folder / "issuer.key").read_bytes(), None)
for name, key, signer in (("ca", root, root), ("issuer", issuer, root), ("domain", None, issuer)):
    path = folder / f"{name}.crt"
    was = x509.load_pem_x509_certificate(path.read_bytes())
    begin, end = (moment.replace(tzinfo=None) for moment in (was.not_valid_before, was.not_valid_after))
    made = x509.CertificateBuilder(issuer_name=was.issuer, subject_name=was.subject,
        public_key=key.public_key() if key else was.public_key(),
        serial_number=was.serial_number, not_valid_before=begin + off, not_valid_after=end + off)
    ids = {x509.SubjectKeyIdentifier: x509.SubjectKeyIdentifier.from_public_key(key.public_key()) if key else None,
        x509.AuthorityKeyIdentifier: x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())}
    for extension in was.extensions:
        made = made.add_extension(ids.get(type(extension.value)) or extension.value, extension.critical)
    behind = (folder / "issuer.crt").read_bytes() if name == "domain" else b""
    path.write_bytes(made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + behind)
"""
"""Gives the certificates the dates of a clock that is some days off: the same as a clock that is off the other way."""


@pytest.mark.parametrize("days", [-4000, -1, 1, 4000])
def test_a_clock_that_is_wrong_is_named_and_costs_nothing(days: int, registry: Host, kinds: list[Trials]) -> None:
    registry.inv("up")
    pushed = push(registry, f"{registry.address}/app:1")
    registry.inv("down")
    kinds.append(trials := Trials(f"certificates of a clock that is {days} days off"))
    registry.does(f"{HOME}/.venv/bin/python", "-c", SHIFT, CERTS, str(days))
    before = contents(registry, CERTS)
    done = registry.run("./inv", "up", user="dev", env=registry.settings)
    if done.code:
        trials.take(done, before, contents(registry, CERTS), f"{days} days")
        assert ("clock" if days > 0 else "expired") in done.err
        registry.does(f"{HOME}/.venv/bin/python", "-c", SHIFT, CERTS, str(-days))
        registry.inv("up")
    assert done.code == 0 or days != -1, "a day ago is no fault: it is how every certificate looks tomorrow"
    assert pull(registry, f"{registry.address}/app:1") == pushed
    _all_well(kinds, at_least=0 if days == -1 else 1)


DYING = """
import subprocess, sys, time
up = subprocess.Popen(["./inv", "up", "--echo"], stdout=subprocess.PIPE, text=True)
steps = 0
for line in up.stdout:
    sys.stdout.write(line)
    steps += line.startswith("$ ")
    if line.startswith("$ ") and steps == int(sys.argv[1]):
        time.sleep(float(sys.argv[2]))
        subprocess.run(["sudo", "pkill", "-9", "-x", "dockerd"], check=True)
sys.exit(up.wait())
"""
"""Runs `up`, and kills the engine a moment after it showed a command of so-and-so many."""

DELAYS = ("0", "0.1")


def test_an_engine_that_dies_at_any_step_of_up_is_named_and_costs_nothing(registry: Host, kinds: list[Trials]) -> None:
    kinds.append(trials := Trials("an engine that dies during up"))
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    died, step = 0, 1
    while step < MOST:
        for delay in DELAYS:
            registry.inv("down")
            registry.inv("trust.remove")
            before = contents(registry, CERTS)
            env = {**registry.settings, "PYTHONUNBUFFERED": "1"}
            done = registry.run("python3", "-c", DYING, str(step), delay, user="dev", env=env)
            if len([line for line in done.out.splitlines() if line.startswith("$ ")]) < step:
                break  # it has no more steps than those before
            died += 1
            if done.code:
                trials.take(done, before, contents(registry, CERTS), f"at step {step} and {delay} s")
            _restart(registry)
            _up_again(registry)
            registry.does("test", "!", "-e", f"{CERTS}/.unproved")
            if pull(registry, reference) != pushed:
                trials.lost.append(f"at step {step} and {delay} s: the image is another one")
        else:
            step += 1
            continue
        break
    _all_well(kinds, at_least=6)
    assert died >= 10


def _restart(registry: Host, how: str = "start") -> None:
    registry.does("service", "docker", how)
    registry.wait()


def _up_again(registry: Host) -> None:
    """Have all well again by `up`, and by what it names where the engine did not get over its death itself."""
    for _ in range(3):
        done = registry.run("./inv", "up", user="dev", env=registry.settings)
        if not done.code:
            return
        registry.run("sh", "-c", "ss -ltnp; ps axf; ip -brief link")  # for the evidence: who holds port and address
        if "sudo service docker restart" in done.err:
            _restart(registry, "restart")
        else:
            _cure(registry, done)
    pytest.fail(f"This should have worked:\n{done}")


CURES = r"sudo kill -KILL [0-9 ]*[0-9]|docker volume rm registry-files-[0-9a-f]+"
"""What ends a container that the engine lost, or removes a volume that it died over before it wrote whose it is."""


def _cure(registry: Host, done: Done) -> None:
    """Run the command that a task named."""
    named = re.search(CURES, done.err)
    assert named, f"This should have worked:\n{done}"
    registry.does("sh", "-c", named[0], user="dev")


LOSES_A_CONTAINER = r"""
mkdir /srv/real
mv /usr/sbin/runc /srv/real/runc
printf '%s\n' '#!/bin/sh' 'case " $* " in *" start "*) pkill -KILL -x dockerd; sleep 2; exit 1; esac' \
    'exec /srv/real/runc "$@"' > /usr/sbin/runc
chmod 755 /usr/sbin/runc
"""
"""Has the engine killed as soon as a container is made and about to start."""

LEADS_TO_IT = r"""
mv -f /srv/real/runc /usr/sbin/runc
end=$(ip -brief link | grep --only-matching '^veth[^@]*')
set -- $(nsenter --net --target "$(pgrep -xf '.*runc init')" ip -brief link show eth0)
bridge fdb replace "$3" dev "$end" master static sticky
"""
"""Has the engine's bridge lead to the lost container, as it may or may not: the next one has the same two addresses."""


def test_a_container_that_the_engine_lost_in_its_start_is_named_with_what_ends_it(registry: Host) -> None:
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    registry.inv("down")
    registry.does("sh", "-euc", LOSES_A_CONTAINER)
    assert registry.run("./inv", "up", user="dev", env=registry.settings).code
    _restart(registry)
    registry.does("sh", "-euc", LEADS_TO_IT)
    registry.inv_fails("doctor", saying="lost it: process")
    _cure(registry, registry.inv_fails("up", saying="keeps an address that the registry gets too"))
    registry.inv("up")
    assert pull(registry, reference) == pushed
    registry.inv("doctor")


def test_a_registry_s_disk_that_is_full_is_named_and_what_was_pushed_is_there(
    registry: Host, kinds: list[Trials]
) -> None:
    kinds.append(trials := Trials("full disk: the registry's volume"))
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    for pages in (0, 3):
        registry.inv("down")
        registry.does("sh", "-euc", FILL, "sh", VOLUME, str(pages))
        before = contents(registry, CERTS)
        done = registry.run("./inv", "up", user="dev", env=registry.settings)
        trials.take(done, before, contents(registry, CERTS), f"{pages} pages")
        registry.does("rm", f"{VOLUME}/.filler.lock")
        registry.inv("up")
        if pull(registry, reference) != pushed:
            trials.lost.append(f"{pages} pages: the image is another one")
        registry.inv("down")
        registry.does("umount", VOLUME)
    _all_well(kinds, at_least=2)


def test_a_disk_that_is_full_where_images_are_carried_from_or_to_is_named_and_costs_nothing(
    registry: Host, kinds: list[Trials]
) -> None:
    kinds += [
        saved := Trials("full disk: images that are saved"),
        loaded := Trials("full disk: images that are loaded"),
    ]
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed, file, folder = push(registry, reference), f"{HOME}/images.tar", "/srv/archives"
    registry.inv("images.save", file)
    registry.does("install", "--directory", "--owner", "dev", folder)
    for pages in (0, 3, 60):
        registry.does("sh", "-euc", FILL, "sh", folder, str(pages))
        before = contents(registry, folder)
        done = registry.run("./inv", "images.save", f"{folder}/images.tar", user="dev", env=registry.settings)
        saved.take(done, before, contents(registry, folder), f"{pages} pages")
        registry.does("rm", f"{folder}/.filler.lock")
        registry.inv("images.save", f"{folder}/images.tar")
        registry.does("umount", folder)
    registry.inv("images.remove", "app:1", "--now", "--yes")
    registry.inv("down")
    registry.does("sh", "-euc", FILL, "sh", VOLUME, "60")
    registry.inv("up")
    done = registry.run("./inv", "images.load", file, user="dev", env=registry.settings)
    loaded.take(done, "", "", "60 pages")
    assert "nothing is broken" in registry.inv("images.check").out
    registry.does("rm", f"{VOLUME}/.filler.lock")
    registry.inv("images.load", file)
    assert pull(registry, reference) == pushed
    registry.inv("down")
    registry.does("umount", VOLUME)
    _all_well([saved], at_least=3)
    _all_well([loaded], at_least=1)
