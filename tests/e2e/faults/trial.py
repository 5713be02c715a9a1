"""One trial, run on a host of the lab as root: a task is killed, all is looked at, and the next `up` must be right.

`prepare` brings the host into the states that trials begin in and says which points each task has; every other call is
a trial. Each answers with JSON. What is looked at: keys, stores, the ledger, the engine and the registry.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import signal
import socket
import ssl
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.faults.states import (
    CERTS,
    STATES,
    STORES,
    Tree,
    begin,
    docker,
    inv,
    kept,
    prepare,
    read,
    state_folder,
    tree,
)

TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - looked into, not written to

PART = re.compile(r"\..+\.[a-z-]*[0-9a-f]{12}|\.staging-[0-9a-f]{12}|\.ready")
NAMED = re.compile(r"trusted-registry-[0-9a-f]{16}")
KNOWN = {"ca.crt", "issuer.crt", "issuer.key", "domain.crt", "domain.key", "openssl.cnf", "registry.yml", "start.sh"}
KNOWN |= {".lock", ".up.lock", "installation.json", "last-run.log"}
SECRET = b"PRIVATE KEY"
LARGEST = 1 << 20
"""Bytes of a file that is looked into for a key."""


@dataclass
class Report:
    """What a trial found: losses, of which there may be none, and what is worth knowing besides."""

    task: str
    at: str
    killed: bool = False
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lost(self, what: str, *, when: bool) -> None:
        """Take note of a loss, when it is one."""
        if when:
            self.losses.append(what)


def readable_keys() -> list[str]:
    """Return the files with a key that others than the owner can read, wherever a task might leave one."""
    found = []
    for root in (CERTS, *TEMPORARY, *STORES, *STATES):
        for path in root.rglob("*") if root.is_dir() else []:
            if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
                continue
            open_to_others = path.stat().st_mode & 0o077 and all(it.stat().st_mode & 0o007 for it in path.parents)
            if open_to_others and SECRET in path.read_bytes():
                found.append(str(path))
    return found


def fits(key: Path, certificate: Path) -> bool:
    """Whether a key is the one of a certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        return False
    return True


def key(name: str) -> set[bytes]:
    """Return a key wherever it is: in its place, and on its way there."""
    return {path.read_bytes() for path in (CERTS / name, CERTS / ".ready" / name) if path.exists()}


def litter(*roots: Path) -> list[str]:
    """Return what a run leaves behind that did not come to its end."""
    return [path for path in tree(*roots) if PART.fullmatch(Path(path).name)]


def named_alike(found: Tree) -> Tree:
    """Return a tree in which every authority has the same name: whoever begins with nothing makes a new one."""
    same = [(NAMED.sub("", path), mode, content) for path, (mode, content) in found.items()]
    return {path: (mode, None if content is None else NAMED.sub("", content)) for path, mode, content in same}


def check_stores(report: Report, before: Tree, user: str) -> None:
    """Insist that whatever a client reads is whole: as it was before, or as a task that ends well leaves it."""
    pristine, golden, now = kept("pristine"), named_alike(kept("trusted")), tree(*STORES)
    parts = set(litter(*STORES))
    authority = [read(path) for path in (CERTS / "ca.crt", CERTS / ".ready" / "ca.crt") if path.exists()]
    entries = ledger(report, state_folder(user) / "ledger.json")
    for path, (mode, content) in now.items():
        if path in parts:
            continue
        ((alike, is_now),) = named_alike({path: (mode, content)}).items()
        new = (0o644, content) if path.endswith(".crt") and content in authority else golden.get(alike)
        whole = (mode, content) in (pristine.get(path), before.get(path)) or new in ((mode, content), is_now)
        report.lost(f"{path} is half-written, or has the mode {mode:04o}", when=not whole)
        ours = content is not None and pristine.get(path) != (mode, content)
        digest = hashlib.sha256((content or "").encode("latin-1")).hexdigest()
        known = any(it["path"] == path and (it["value"] or it["sha256"] == digest) for it in entries)
        report.lost(f"{path} is there, and the ledger does not know it", when=ours and not known)
    still = pristine if report.task == "trust.remove" else before
    for path in still.keys() - now.keys():
        report.lost(f"{path} is gone", when=True)


def ledger(report: Report, path: Path) -> list[dict[str, str]]:
    """Return the ledger's entries; a loss where it is damaged."""
    try:
        found: list[dict[str, str]] = json.loads(path.read_text())["entries"] if path.exists() else []
    except (ValueError, KeyError) as error:
        report.lost(f"the ledger is damaged: {error}", when=True)
        return []
    return found


def check_keys(report: Report) -> None:
    """Insist that no key can be read by others, and that an authority's two files are a pair."""
    for path in readable_keys():
        report.lost(f"others can read the key in {path}", when=True)
    both = (CERTS / "issuer.key").exists() and (CERTS / "issuer.crt").exists()
    own = not both or fits(CERTS / "issuer.key", CERTS / "issuer.crt")
    report.lost("issuer.key is not the key of issuer.crt", when=not own)


def check_up(report: Report, user: str) -> None:
    """Insist that the next `up` succeeds, serves what is on disk, and leaves nothing of the killed run."""
    code, said = inv("up", user=user)
    report.lost(f"the next up failed ({code}): {said}", when=code != 0)
    if code:
        return
    proved = "proof: pushed to" in said or "Nothing had to be changed" in said
    report.lost(f"the next up proved nothing: {said}", when=not proved)
    check_keys(report)
    report.lost("domain.key is not the key of domain.crt", when=not fits(CERTS / "domain.key", CERTS / "domain.crt"))
    report.lost("the registry does not serve domain.crt", when=not serves())
    left = [*litter(CERTS, *STORES, *STATES), *(str(it) for it in CERTS.iterdir() if it.name not in KNOWN)]
    report.lost(f"left behind after the next up: {left}", when=bool(left))
    running = docker("ps", "--all", "--format", "{{.Names}} {{.State}}")
    report.lost(f"containers: {running}", when=running != ["registry running"])
    images = docker("images", "--quiet", "--filter", "reference=*/trusted-registry-proof*")
    report.lost("an image of the proof was left behind", when=bool(images))


def serves() -> bool:
    """Whether the registry shows the certificate on disk, to somebody who trusts the authority alone."""
    address = socket.gethostbyname(socket.gethostname())
    trust = ssl.create_default_context(cafile=str(CERTS / "ca.crt"))
    wanted = ssl.PEM_cert_to_DER_cert((CERTS / "domain.crt").read_text().partition("-----END")[0] + ssl.PEM_FOOTER)
    try:
        with (
            socket.create_connection((address, 443), timeout=5) as plain,
            trust.wrap_socket(plain, server_hostname=address) as shown,
        ):
            return shown.getpeercert(binary_form=True) == wanted
    except OSError:
        return False


def check_removal(report: Report, user: str) -> None:
    """Insist that trust can be taken back to the last byte."""
    code, said = inv("trust.remove", user=user)
    report.lost(f"trust.remove failed ({code}): {said}", when=code != 0)
    pristine, now = kept("pristine"), tree(*STORES)
    other = sorted(path for path in pristine.keys() | now.keys() if pristine.get(path) != now.get(path))
    report.lost(f"trust.remove did not leave this as it was before: {other}", when=bool(other))


def trial(task: str, user: str, at: int, seconds: float) -> Report:
    """Kill a task at a point, or after a time, and return what was lost by that."""
    report = Report(task, str(at or seconds))
    begin(task, user)
    before, keys_before = tree(*STORES), {name: key(name) for name in ("issuer.key", "domain.key")}
    code, said = inv(task, user=user, seconds=seconds, more={"KILL_AT": str(at)} if at else {})
    report.killed = code == -signal.SIGKILL
    report.lost(f"{task} failed by itself ({code}): {said}", when=code not in (0, -signal.SIGKILL))
    if not at:
        time.sleep(0.3)  # what root does for a user goes on for a moment: sudo is not of the group that was killed
    check_keys(report)
    check_stores(report, before, user)
    keys = {name: key(name) for name in ("issuer.key", "domain.key")}
    report.lost("the authority's key is gone", when=not keys_before["issuer.key"] <= keys["issuer.key"])
    report.notes += ["a hidden part of a file lay there until the next run"] if litter(*STORES, *STATES) else []
    first_removed = task == "trust.remove" and at % 2
    if first_removed:
        check_removal(report, user)
    check_up(report, user)
    for name, held in keys.items():
        known = held | keys_before[name]
        report.lost(f"{name} is another one than before the up", when=bool(known) and not key(name) <= known)
    if task.startswith("trust") and not first_removed:
        check_removal(report, user)
    return report


def main(argv: list[str]) -> int:
    """Answer `prepare USER`, or `TASK USER POINT SECONDS`."""
    if argv[0] == "prepare":
        sys.stdout.write(json.dumps(prepare(argv[1])))
    else:
        report = trial(argv[0], argv[1], int(argv[2]), float(argv[3]))
        sys.stdout.write(json.dumps(dataclasses.asdict(report)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
