"""A registry in another's place: the same images, behind whatever certificates a scenario has it show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests import forge
from tests.e2e.steps import CERTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.hosts import Host
    from tests.forge import Forged

STOLEN = ("issuer.crt", "issuer.key", "domain.crt", "domain.key")
FOLDER = "/srv/impostor"
CONFIG = """version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http:
  addr: ":5000"
"""
TLS = "  tls:\n    certificate: /impostor/domain.crt\n    key: /impostor/domain.key\n"
CLIENTS = "    clientcas: [/impostor/clients.crt]\n"


@dataclass
class Impostor:
    """A host on which all that can be stolen was stolen, and where an impostor listens in the registry's place."""

    registry: Host
    folder: Path

    @property
    def issuer(self) -> Forged:
        """The issuer with its key, which never leaves the registry's machine; nobody has the root's."""
        return forge.load(self.folder, "issuer")

    @property
    def server(self) -> Forged:
        """The server's certificate with its key, which stands in the registry's container."""
        return forge.load(self.folder, "domain")

    def take_over(self) -> None:
        """Steal keys and certificates, and stop the registry whose place is taken."""
        for name in STOLEN:
            (self.folder / name).write_text(self.registry.read(f"{CERTS}/{name}"))
        self.registry.inv("registry.stop")
        self.registry.does("mkdir", "--parents", FOLDER)

    def show(self, *chain: Forged, clients: str = "") -> None:
        """Have the impostor show a certificate, and what vouches for it; none is plain HTTP.

        Args:
            chain: The server's certificate first.
            clients: Authority, as PEM, by which whoever connects must have a certificate; empty asks for none.
        """
        self.registry.silently("docker", "rm", "--force", "impostor")
        config = CONFIG + (TLS if chain else "") + (CLIENTS if clients else "")
        self.registry.write(f"{FOLDER}/config.yml", config)
        self.registry.write(f"{FOLDER}/clients.crt", clients)
        if chain:
            shown = b"".join(forge.save(it, self.folder, "shown").read_bytes() for it in chain)
            self.registry.write(f"{FOLDER}/domain.crt", shown)
            self.registry.write(f"{FOLDER}/domain.key", forge.pem(chain[0].key))
        run = ["docker", "run", "--detach", "--name", "impostor", "--publish", "443:5000"]
        run += ["--volume", "trusted-registry:/var/lib/registry", "--volume", f"{FOLDER}:/impostor"]
        self.registry.does(*run, "registry:2", "serve", "/impostor/config.yml")
        self.registry.wait_for("the impostor listens", self._listens)

    def _listens(self) -> bool:
        """Whether the impostor does, which its log says: a proxy of the engine takes connections before that."""
        return "listening on" in self.registry.silently("docker", "logs", "impostor").said

    def heard(self, client: Host) -> list[str]:
        """Return a client's requests, in the impostor's own log."""
        lines = self.registry.silently("docker", "logs", "impostor").said.splitlines()
        return [line for line in lines if f'http.request.remoteaddr="{client.address}:' in line]
