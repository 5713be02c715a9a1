"""containerd as a Kubernetes node has it, and what a kubelet asks of it.

No Debian release has a program that speaks CRI. A pull is one short message, though, and curl speaks what carries it:
HTTP/2 over a Unix socket (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md; kubernetes/cri-api, runtime.v1).
"""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.hosts import Done, Host

LOG = logging.getLogger("lab")
SOCKET = "/run/containerd/containerd.sock"
CONFIG = "/etc/containerd/config.toml"
CERTS_D = "/etc/containerd/certs.d"
CURL = ("curl", "--silent", "--show-error", "--http2-prior-knowledge", "--unix-socket", SOCKET)
GRPC = ("--header", "content-type: application/grpc", "--header", "te: trailers")

ONE = f'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "{CERTS_D}"\n'
TWO = f"version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n  config_path = '{CERTS_D}'\n"


def start(host: Host) -> None:
    """Run containerd as on a node, told by its configuration where hosts.toml files are."""
    two = "containerd/v2" in host.does("containerd", "--version").out
    host.write(CONFIG, TWO if two else ONE)
    host.begin("containerd", log="/srv/containerd.log")
    host.wait_for("containerd and its CRI", lambda: _status(_asked(host, "RuntimeService/Version", b"")) == "0")


def pull(host: Host, reference: str) -> None:
    """Have containerd pull as a kubelet would."""
    done = pulled(host, reference)
    assert done.code == 0, f"This should have worked:\n{done}"


def pull_fails(host: Host, reference: str) -> str:
    """Insist that containerd does not pull, and return what it says of that."""
    done = pulled(host, reference)
    assert done.code, f"This should have failed:\n{done}"
    return done.said


def pulled(host: Host, reference: str) -> Done:
    """Have containerd pull, to whatever end."""
    begun = time.monotonic()
    done = _asked(host, "ImageService/PullImage", _field(_field(reference.encode())))
    code = int(_status(done) != "0")
    argv = ("CRI", "PullImage", reference)
    LOG.info("%-11s %5.1f s  %s%s", host.name, time.monotonic() - begun, " ".join(argv), "  → 1" if code else "")
    done = dataclasses.replace(done, argv=argv, code=code)
    host.history.append(done)
    return done


def forget(host: Host, reference: str) -> None:
    """Have containerd remove an image; one that is not there is no error."""
    assert _status(_asked(host, "ImageService/RemoveImage", _field(_field(reference.encode())))) == "0"


def _asked(host: Host, method: str, message: bytes) -> Done:
    """Make one call, its message framed by a flag (not compressed) and its length."""
    host.write("/srv/message", b"\0" + len(message).to_bytes(4, "big") + message)
    where = f"http://cri/runtime.v1.{method}"
    answer = ("--output", "/dev/null", "--dump-header", "-")
    return host.silently(*CURL, *GRPC, "--data-binary", "@/srv/message", *answer, where)


def _field(content: bytes) -> bytes:
    """Return a protobuf message of one field, the first, which holds bytes."""
    assert len(content) < 128
    return b"\x0a" + bytes([len(content)]) + content


def _status(done: Done) -> str:
    """Return gRPC's own exit status: 0 is success."""
    lines = done.out.lower().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("grpc-status:")), "none")
