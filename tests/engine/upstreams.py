"""Upstreams that stand in for public registries: one that answers as a test likes, and a real one that can go away."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests import loopback
from trusted_registry.instance import roles
from trusted_registry.instance.model import Image
from trusted_registry.mirror.upstream import Sample, Upstream
from trusted_registry.registry import probe, upload
from trusted_registry.registry.api import digest
from trusted_registry.registry.probe import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.engine.protocol import Engine
    from trusted_registry.run import Run

SAMPLE = Sample("library/small", "1")

ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "well": (404, "application/json", b'{"errors":[{"code":"BLOB_UNKNOWN","message":"unknown"}]}'),
    "login": (401, "application/json", b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'),
    "denied": (403, "application/json", b'{"errors":[{"code":"DENIED","message":"access is denied"}]}'),
    "limit": (429, "application/json", b'{"errors":[{"code":"TOOMANYREQUESTS","message":"rate limit"}]}'),
    "broken": (503, "text/plain", b"unavailable"),
    "page": (200, "text/html", b"<html>Log in to this network</html>"),
    "elsewhere": (302, "text/html", b""),
}
PORTAL = "/portal"


class StandIn:
    """A server with a certificate of the run's authority that answers all questions in one way."""

    def __init__(self, run: Run) -> None:
        self.answer = ANSWERS["well"]
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_said: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                """Answer."""
                status, kind, body = stand_in.answer
                if self.path == PORTAL:
                    status, kind, body = ANSWERS["page"]
                if self.path == "/v2/" and status == ANSWERS["well"][0]:
                    status, body = 200, b"{}"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                if status == ANSWERS["elsewhere"][0]:
                    self.send_header("Location", f"{stand_in.upstream.url}{PORTAL}")
                if status == ANSWERS["login"][0]:
                    self.send_header("WWW-Authenticate", 'Basic realm="somewhere"')
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815 - http.server's own name

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(run.settings.folder / "domain.crt", run.settings.folder / "domain.key")
        self._server = http.server.ThreadingHTTPServer(("", 0), Handler)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.upstream = Upstream(f"{run.settings.address}:{self._server.server_port}")

    @contextlib.contextmanager
    def answering(self) -> Iterator[StandIn]:
        """Answer until the context ends."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


@dataclass
class Source:
    """A real registry as an upstream, with a certificate of the run's authority."""

    run: Run
    engine: Engine
    upstream: Upstream
    at: Endpoint

    def go_away(self) -> None:
        """Refuse every connection."""
        self.engine.retire(self.run.settings.container)

    def come_back(self) -> None:
        """Answer again."""
        self.engine.restart(self.run.settings.container)
        tls = probe.context(self.run.settings.folder / "ca.crt")
        probe.await_answer(lambda: probe.request(self.at, "GET", "/v2/", tls)[0], lambda: True)

    def put(self, repository: str, tag: str, *, size: int = 0) -> upload.Image:
        """Put a small image there, or one whose layer has a size, and return it."""
        made = upload.tiny()
        if size:
            layer = bytes(range(256)) * (size // 256)
            content = json.loads(made.manifest)
            content["layers"][0] |= {"size": len(layer), "digest": digest(layer)}
            made = upload.Image(made.config, layer, json.dumps(content).encode())
        tls = probe.context(self.run.settings.folder / "ca.crt")
        upload.put(made, self.at, repository, [tag], tls)
        return made


@contextlib.contextmanager
def source(run: Run, name_of_image: str, engine: Engine) -> Iterator[Source]:
    """Yield a registry that runs, and take it away with its volume in the end."""
    image = Image(name_of_image, engine.image_id(name_of_image) or "")
    entrypoint = engine.entrypoint(image.id, shell=True)  # noqa: S604 - no program
    name, port = f"{run.settings.container}-upstream", loopback.free_port()
    own = run.with_settings(container=name, volume=name, port=port)
    instance = dataclasses.replace(roles.tls(own.settings, image, entrypoint), installation="1" * 32)
    engine.make_volume(name, instance.installation)
    engine.fill(instance.files_volume, instance.installation, image.id, instance.files)
    made = Source(own, engine, Upstream(f"{run.settings.address}:{port}"), Endpoint(run.settings.address, port))
    try:
        engine.run(instance)
        made.come_back()
        yield made
    finally:
        engine.remove(name, at_once=True)
        engine.remove_volume(name)
        engine.remove_volume(instance.files_volume)
