"""The Docker Engine behind the protocol: typed answers, errors with a cure, and no failure lost in a stream."""

from __future__ import annotations

from typing import Any

from trusted_registry.engine import connection, responses
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.docker_containers import DockerContainers
from trusted_registry.engine.docker_images import DockerImages
from trusted_registry.engine.docker_networks import DockerNetworks
from trusted_registry.engine.docker_volumes import DockerVolumes


class DockerEngine(DockerContainers, DockerVolumes, DockerNetworks, DockerImages):
    """A Docker Engine, asked by Docker's SDK."""

    _info: engine_types.EngineInfo | None = None

    def info(self, *, fresh: bool = False) -> engine_types.EngineInfo:
        """Return the engine's description of itself; asked once unless `fresh`."""
        if fresh or self._info is None:
            with connection.errors_explained("The engine did not say what it is"):
                client = self._require_client()
                said: dict[str, Any] = client.info()
                at = str(client.api.base_url).replace("http+docker://localhost", connection.socket(client))
                self._info = responses.info(said, at)
        return self._info
