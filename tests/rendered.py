"""Rendered texts: the lines that are not their templates' own, and whole scripts for `python -m tests.rendered FOLDER`.

A golden file of a template that only puts values in holds those lines: a change of the rest shows in the template.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

from tests.trust import sample
from trusted_registry.instance import mirror_role, roles
from trusted_registry.instance.model import Image
from trusted_registry.kubernetes import manifests
from trusted_registry.swarm import machines
from trusted_registry.templates import FOLDER
from trusted_registry.trust.model import Mirror
from trusted_registry.trust.remote import kit

OWN = "0a" * 16
IMAGES = (Image("registry:3", "sha256:0a"), Image("haproxy:lts", "sha256:0b"))
_INCLUDED = re.compile(r'\{% include "(.*?)" -?%\}')


def rendered(text: str, template: str) -> str:
    """Return the lines of a text that do not stand so in templates/TEMPLATE.j2 and the files that it includes."""
    own = set(_source(f"{template}.j2").splitlines())
    return "".join(line for line in text.splitlines(keepends=True) if line.rstrip("\n") not in own)


def _source(name: str) -> str:
    """Return a template's text, and after it those that it includes."""
    text = (FOLDER / name).read_text()
    return "\n".join([text, *map(_source, _INCLUDED.findall(text))])


def write(folder: Path) -> None:
    """Write the scripts that are rendered, for a linter to read as a shell does."""
    (folder / "trust.sh").write_bytes(kit.render(sample.anchor(), "192.168.0.12"))
    mirrored = dataclasses.replace(sample.anchor(), mirrors=(Mirror("docker.io", "192.168.0.12:5500"),))
    (folder / "trust-mirrors.sh").write_bytes(kit.render(mirrored, "192.168.0.12"))
    (folder / "start.sh").write_bytes(roles._start_script().content)
    (folder / "keep.sh").write_bytes(manifests.keep_script())
    (folder / "mirror.sh").write_bytes(mirror_role._script().content)
    hosts = ("192.168.0.12", "192.168.0.13")
    (folder / "swarm-inspect.sh").write_bytes(machines.inspection(IMAGES, (443, 5443), OWN))
    (folder / "swarm-join.sh").write_bytes(machines.join(hosts, hosts[0], "SWMTKN-1-x-y"))
    for name, virtual in (("take", ""), ("give", "192.168.0.10")):
        (folder / f"swarm-{name}.sh").write_bytes(machines.give_address(virtual, hosts, 443, "0" * 32, "1" * 32))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
