"""A server that gives one answer to all questions, as no real store does: another time, a list that is cut short."""

from __future__ import annotations

import contextlib
import email.utils
import http.server
import threading
import time
from typing import TYPE_CHECKING

from trusted_registry.bucket.client import Bucket
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.bucket.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

EMPTY = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


def bucket(endpoint: str, prefix: str = "lan") -> Bucket:
    """Return a bucket whose server is waited for one second, once."""
    return Bucket(Location("images", prefix, endpoint), Credentials("KEY", "secret"), 1)


@contextlib.contextmanager
def served(answer: str = EMPTY, ahead: float = 0.0) -> Iterator[Bucket]:
    """Yield a bucket of a server.

    Args:
        answer: Body of its answers.
        ahead: Seconds that its clock is ahead of this machine's.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", email.utils.formatdate(time.time() + ahead, usegmt=True))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield bucket(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
