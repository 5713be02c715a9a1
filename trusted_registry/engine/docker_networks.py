"""Networks of a Docker Engine, in which a front and its registries know each other."""

from __future__ import annotations

from trusted_registry.engine import responses
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.connection import Connection, errors_explained
from trusted_registry.installation import LABEL


class DockerNetworks(Connection):
    """The networks of a Docker Engine; none if the engine does not answer."""

    def network(self, name: str) -> engine_types.Network | None:
        """Return the network of this name, whoever made it, or None."""
        found = self._found(f"The network {name}", lambda client: client.networks.get(name))
        with errors_explained(f"The network {name} could not be looked at"):
            network = responses.network(found.attrs) if found else None
        return network if network and network.name == name else None  # the engine takes the begin of an id, too

    def make_network(self, name: str, installation: str) -> None:
        """Make a network that carries the id of its installation; that installation's own is left alone."""
        there = self.network(name)
        if there and there.installation != installation:
            raise engine_types.foreign_network(name)
        if there:
            return
        self._console.command(["docker", "network", "create", "--label", f"{LABEL}={installation}", name])
        if not self._console.dry:
            with errors_explained(f"The network {name} could not be made"):
                self._require_client().networks.create(name, driver="bridge", labels={LABEL: installation})

    def remove_network(self, name: str) -> None:
        """Remove a network; an absent one is no error."""
        command = ["docker", "network", "rm", name]
        self._remove(f"The network {name}", command, lambda client: client.networks.get(name).remove())
