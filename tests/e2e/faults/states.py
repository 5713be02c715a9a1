"""The states that trials begin in, and how a host is brought into them. Runs on a host of the lab, as root."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

CHECKOUT = Path("/home/dev/trusted-registry")
CERTS = CHECKOUT / "certs"
KEPT = Path("/srv/kills")
HOMES = {"root": Path("/root"), "dev": Path("/home/dev")}
STORES = tuple(Path(f"/etc/{it}") for it in ("docker", "containers", "containerd", "rancher", "buildkit"))
STATES = tuple(home / ".local" / "state" / "trusted-registry" for home in HOMES.values())
"""Where the ledgers are, by the order of the users."""
OTHERS = {
    "/etc/rancher/k3s/registries.yaml": 'mirrors:\n  "docker.io":\n    endpoint:\n      - "https://mirror.example"\n',
    "/etc/buildkit/buildkitd.toml": 'debug = true\n\n[registry."docker.io"]\n  mirrors = ["mirror.example"]\n',
    "/etc/containerd/certs.d/docker.io/hosts.toml": 'server = "https://docker.io"\n',
}
"""What other people have in the stores."""

FRESH = ("up", "cert")
"""Tasks that begin with nothing; the others with a registry that runs."""

Tree = dict[str, tuple[int, "str | None"]]
"""Mode and content by path; of a folder, no content. Bytes stand as the characters of their numbers."""


def state_folder(user: str) -> Path:
    """Return the folder of a user's ledger."""
    return HOMES[user] / ".local" / "state" / "trusted-registry"


def read(path: Path) -> str:
    """Return what a file holds."""
    return path.read_bytes().decode("latin-1")


def tree(*roots: Path) -> Tree:
    """Return everything below folders."""
    found: Tree = {}
    for root in roots:
        for path in [root, *sorted(root.rglob("*"))] if root.is_dir() else []:
            if not path.is_symlink():
                found[str(path)] = (path.stat().st_mode & 0o7777, None if path.is_dir() else read(path))
    return found


def restore(wanted: Tree) -> None:
    """Bring the stores back to what they were."""
    for root in STORES:
        shutil.rmtree(root, ignore_errors=True)
    for path, (mode, content) in wanted.items():
        if content is None:
            Path(path).mkdir()
        else:
            Path(path).write_bytes(content.encode("latin-1"))
        Path(path).chmod(mode)


def inv(
    *words: str, user: str = "root", seconds: float = 60, more: dict[str, str] | None = None, typed: str = ""
) -> tuple[int, str]:
    """Run tasks to their end, or until they are killed after so many seconds; return exit status and what was said."""
    groups = ["docker", "sudo"] if user != "root" else []
    process = subprocess.Popen(
        [str(CHECKOUT / "inv"), *words],
        cwd=CHECKOUT,
        env={**os.environ, "HOME": str(HOMES[user]), "PYTHONDONTWRITEBYTECODE": "1", **(more or {})},
        user=user,
        group=user,
        extra_groups=groups,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = process.communicate(typed, timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
    return process.returncode, said


def docker(*words: str) -> list[str]:
    """Return the lines that the client of the engine answers."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False).stdout.split("\n")[:-1]


def keep(name: str) -> None:
    """Keep what the stores hold now."""
    (KEPT / name).write_text(json.dumps(tree(*STORES)))


def kept(name: str) -> Tree:
    """Return what they held then."""
    said = json.loads((KEPT / name).read_text())
    return {path: (mode, content) for path, (mode, content) in said.items()}


def nothing() -> None:
    """Bring the host back to before the first `up`: no container, no volume, no file."""
    for container in docker("ps", "--all", "--quiet"):
        docker("rm", "--force", container)
    for volume in docker("volume", "ls", "--quiet"):
        docker("volume", "rm", volume)
    shutil.rmtree(CERTS, ignore_errors=True)
    for folder in STATES:
        shutil.rmtree(folder, ignore_errors=True)
    restore(kept("pristine"))


def begin(task: str, user: str) -> None:
    """Bring the host into the state that a task begins in."""
    if task in FRESH:
        nothing()
        return
    stands(user)
    folder = state_folder(user)
    state = {"trust.linux": "pristine", "trust.remove": "trusted", "cert.renew": "up"}[task]
    restore(kept(state))
    for each in STATES:
        shutil.rmtree(each, ignore_errors=True)
    if state != "pristine":
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(KEPT / f"{state}.ledger", folder / "ledger.json")
        for path in (folder.parent.parent, folder.parent, folder, folder / "ledger.json"):
            shutil.chown(path, user, user)


def stands(user: str) -> None:
    """Have the registry run that the kept states are about, and no other one."""
    ours = (KEPT / "certs" / "ca.crt").read_bytes()
    if not (CERTS / "ca.crt").exists() or (CERTS / "ca.crt").read_bytes() != ours:
        nothing()
        shutil.copytree(KEPT / "certs", CERTS)
        shutil.chown(CERTS, user, user)
        for path in CERTS.iterdir():
            shutil.chown(path, user, user)
        inv("up", user=user)


def prepare(user: str) -> dict[str, list[str]]:
    """Make the states that trials begin in, and return the points of each task."""
    KEPT.mkdir(exist_ok=True)
    if (KEPT / "pristine").exists():
        nothing()
    for path, content in OTHERS.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content)
    keep("pristine")
    points = {}
    for task in ("cert", "up", "trust.linux", "trust.remove", "cert.renew"):
        begin(task, user)
        listing = KEPT / f"{task}.points"
        code, said = inv(task, user=user, more={"KILL_LIST": str(listing)} if user == "root" else {})
        if code:
            raise SystemExit(f"{task} fails though nobody kills it: {said}")
        points[task] = listing.read_text().splitlines() if listing.exists() else []
        state = {"up": "up", "trust.linux": "trusted"}.get(task)
        if state:
            keep(state)
            shutil.copytree(CERTS, KEPT / "certs", dirs_exist_ok=True)
            shutil.copy2(state_folder(user) / "ledger.json", KEPT / f"{state}.ledger")
    if inv("up", user=user)[0]:
        raise SystemExit("up fails though nobody killed anything")
    return points
