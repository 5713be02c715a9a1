"""Lines of a mirror's log, as distribution writes them."""

from __future__ import annotations

import datetime


def line(  # noqa: PLR0913 - a line has so many parts
    uri: str,
    when: float,
    *,
    status: int = 200,
    method: str = "GET",
    program: str = "docker/20.10.24 go/1.19",
    duration: str = "1ms",
    message: str = "response completed",
) -> str:
    """Return the line of a request that was answered."""
    stamp = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
    return (
        f'time="{stamp:%Y-%m-%dT%H:%M:%S.%f}000Z" level=info msg="{message}" go.version=go1.19.8 '
        f'http.request.host="192.168.0.12:5500" http.request.method={method} '
        f'http.request.remoteaddr="192.168.0.13:49918" http.request.uri="{uri}" http.request.useragent="{program}" '
        f'http.response.contenttype="application/json" http.response.duration={duration} '
        f"http.response.status={status} http.response.written=2"
    )
