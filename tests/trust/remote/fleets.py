"""Many machines on loopback addresses: real sshds, a folder each for a disk, and an inventory."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.recorder import Recorder
from trusted_registry.tasks import trust_hosts
from trusted_registry.trust.remote.hosts import HostOptions, HostResult

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sshd import Farm

ADDRESSES = [f"127.0.71.{last}" for last in range(2, 7)]
PROGRAMS = (
    *("bash", "cat", "cut", "dirname", "grep", "mkdir", "mktemp", "mv", "rm", "sed", "sh", "sleep", "stat"),
    *("awk", "base64", "chmod", "cmp", "cp", "head", "id", "ln", "ls", "readlink", "rmdir"),
    *("sha256sum", "sort", "sync", "tail", "touch", "tr", "uname", "wc"),
    *("setpriv", "sudo"),
)
"""All that a session on a host can start: in particular no Python."""
STRANGER = "127.0.71.99"
"""An address at which no sshd listens."""

KIT = r"""
set -eu
at=$(echo "$SSH_CONNECTION" | cut -d' ' -f3)
disk=$DISKS/$at
mkdir -p "$disk"
echo "$0 $*" >> "$disk/runs"
stat -c %a "$0" "$(dirname "$0")" >> "$disk/modes"
if [ -e "$disk/foreign" ]; then
    echo "error: $disk holds another's certificate." >&2
    echo "   do: move it away" >&2
    echo 'trusted-registry: failed'
    exit 1
fi
if [ -e "$disk/hang" ]; then sleep 60; fi
if [ -e "$disk/die" ]; then
    rm "$disk/die"
    process=$PPID
    until grep -q '^Name:.*sshd' /proc/$process/status; do
        process=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$process/status)
    done
    kill -9 $process $$
fi
end() { echo "trusted-registry: $1"; exit 0; }
case " $* " in
    *' --remove '*) if [ -e "$disk/trust" ]; then rm "$disk/trust"; end changed; else end absent; fi ;;
esac
if [ -e "$disk/trust" ]; then end 'already trusted'; fi
case " $* " in *' --dry-run '*) end 'would change' ;; esac
echo trusted > "$disk/trust.part"
mv "$disk/trust.part" "$disk/trust"
end changed
"""
"""What keeps a kit's promises, with a folder of its own for each address: all of them are on one disk here."""


class Fleet:
    """Some of the farm's addresses under names, in an inventory, each with an empty disk."""

    def __init__(self, farm: Farm, folder: Path) -> None:
        self.farm = farm
        self.inventory = folder / "hosts.ini"
        self.console = Recorder()
        self.names: dict[str, str] = {}
        for path in farm.folder.glob("disks/*"):
            shutil.rmtree(path)
        farm.know(ADDRESSES)

    def disk(self, name: str) -> Path:
        """Return the folder that stands for a host's disk."""
        folder = self.farm.folder / "disks" / self.names[name].split()[0]
        folder.mkdir(exist_ok=True)
        return folder

    def has(self, **hosts: str) -> None:
        """Have hosts: addresses by name, further variables behind them."""
        self.names |= hosts
        self.farm.inventory(self.inventory, {name: f"ansible_host={at}" for name, at in self.names.items()})

    def trust(self, kit: bytes = KIT.encode(), **options: str | bool) -> dict[str, HostResult]:
        """Carry the kit to all of them."""
        wanted = HostOptions(str(self.inventory), **options)  # type: ignore[arg-type]
        return {it.host: it for it in trust_hosts.run_script("kit.sh", kit, self.console, wanted)}

    def states(self, kit: bytes = KIT.encode(), **options: str | bool) -> dict[str, str]:
        """Carry the kit to all of them, and return how it ended, in a word each."""
        return {name: it.state for name, it in self.trust(kit, **options).items()}


def others_are_fine(found: dict[str, HostResult]) -> bool:
    """Whether nothing of the third host's trouble reached the first two."""
    return found["one"].state == found["two"].state == "changed"
