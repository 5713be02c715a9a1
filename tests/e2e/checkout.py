"""The checkout as a host gets it: what git knows of the working tree, changed and new files included."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests import history
from tests.e2e.trouble import LabError

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

ROOT = Path(__file__).resolve().parents[2]
"""The checkout that this file belongs to."""

HOME = "/home/dev/trusted-registry"
"""Where it lies on a host."""

DEV = 1000
"""Number of the ordinary user on a host, the first that useradd gives."""


def files() -> list[str]:
    """Return the paths of the working tree that git tracks or would track, relative to the checkout.

    Raises:
        LabError: This is no git checkout, or git is not installed.
    """
    argv = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LabError(f"git cannot list the files of {ROOT}: {error}") from error
    return sorted(path for path in set(listed.split("\0")) if path and (ROOT / path).is_file())


def archive() -> bytes:
    """Return the checkout as a tar that unpacks in a host's root, owned by its ordinary user."""
    listed = files()
    folders = sorted({str(parent) for path in listed for parent in Path(path).parents} - {"."})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in (*folders, *listed):
            tar.add(ROOT / path, f"{HOME.lstrip('/')}/{path}", recursive=False, filter=_as_dev)
    return buffer.getvalue()


def earlier(commit: str = history.BEFORE_IDS) -> bytes:
    """Return an earlier version in the same way, by default the last one without ids of installations."""
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(history.archive(commit))) as old,
        tarfile.open(fileobj=buffer, mode="w") as tar,
    ):
        for member in old:
            content = old.extractfile(member)
            member.name = f"{HOME.lstrip('/')}/{member.name}"
            tar.addfile(_as_dev(member), content)
    return buffer.getvalue()


def _as_dev(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = DEV
    member.uname = member.gname = ""
    return member


CODE = ("trusted_registry", "templates", "tasks.py", "invoke.yaml", "inv", "pyproject.toml")
"""What of a checkout runs."""


def becomes(host: Host, version: bytes) -> None:
    """Put another version of the code into a host's checkout, as a git pull does."""
    host.does("rm", "-r", *(f"{HOME}/{name}" for name in CODE))
    assert host.container.put_archive("/", version)
