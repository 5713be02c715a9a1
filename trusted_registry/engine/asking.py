"""Questions to the engine that end: by Docker's SDK, bounded in time and size, whatever answers there."""

from __future__ import annotations

import _thread
import contextlib
import functools
import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import TYPE_CHECKING, Any, TypeVar

import docker

if TYPE_CHECKING:
    import requests

FIRST = 15.0
"""Seconds for the answer to the first question; an engine takes milliseconds, and one that just starts some seconds."""
READ = 30.0
"""Seconds for an answer that changes nothing; work, such as a stop, has the seconds of its own call."""
AGAIN = 3.0
"""Seconds for a look after one that had no answer: many in a row end soon, and a stalled engine is asked again."""
MOST = 1 << 24
"""Bytes of an answer; a list of a thousand containers has a tenth of that."""
_LOG = 1 << 28
"""Bytes of a log; 100,000 lines are far fewer."""
_EVENT = 1 << 20
"""Bytes of an event in a stream, which is one line."""
_PIECE = 1 << 16

_Answer = TypeVar("_Answer")


def within(seconds: float | None, ask: Callable[[], _Answer]) -> _Answer:
    """Return the answer to a question, or leave the question alone with its thread after some seconds.

    A socket's own timeout begins anew with every byte.

    Raises:
        TimeoutError: There is no whole answer yet.
    """
    if seconds is None:
        return ask()
    answer: Future[_Answer] = Future()
    _thread.start_new_thread(_wait, (answer, ask))  # threading's own waits until it runs: long, for a short answer
    try:
        return answer.result(seconds)
    except Late as late:
        raise TimeoutError(f"no answer within {seconds:.0f} seconds") from late
    finally:
        del answer  # an error knows this frame: in a circle its sockets would stay open


def _wait(answer: Future[_Answer], ask: Callable[[], _Answer]) -> None:
    try:
        answer.set_result(ask())
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        answer.set_exception(error)
    finally:
        del answer  # as above


class Client(docker.DockerClient):
    """Docker's client, with the bounds of `Api`."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - the SDK's own
        self.api = Api(*args, **options)


class Api(docker.APIClient):
    """Docker's API, each answer of which ends; after a silent one, the next is not waited for as long."""

    _patience: float | None = None
    """Seconds for the next look; those of the first question while there is None."""

    def version(self, api_version: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - the SDK's own
        """Return the engine's versions; before that of its API is known, that alone, by a ping.

        Docker's own client asks for a ping first as well: for all its versions an engine runs programs.
        """
        if not api_version:
            pong = self._get(self._url("/_ping", versioned_api=False))  # type: ignore[attr-defined]  # not in types-docker
            if number := pong.headers.get("Api-Version"):
                return {"ApiVersion": number}
        return super().version(api_version)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 - the SDK's own
        """Send a request, and return its answer: whole, or its headers where a stream is asked for.

        Raises:
            OSError: No answer in time, or no connection.
            ValueError: The answer is too long.
        """
        seconds, looks = options["timeout"], request.method == "GET"
        if looks:
            seconds = min(seconds or READ, self._patience or FIRST)
        # Who does not even accept is told apart by half the time. A thread that is left alone ends a second later,
        # except by drops. An engine leads nowhere else, and requests would read without end what leads there.
        patience = {"timeout": seconds and (seconds / 2, seconds + 1), "allow_redirects": False}
        ask = functools.partial(super().send, request, **{**options, **patience, "stream": True})
        try:
            response = within(seconds, lambda: _received(ask(), seconds, streams=bool(options.get("stream"))))
        except TimeoutError:
            self._patience = AGAIN if looks else self._patience
            raise
        self._patience = READ
        return response

    def _stream_helper(self, response: requests.Response, decode: bool = False) -> Iterator[Any]:  # noqa: ARG002, FBT001, FBT002 - the SDK's own
        """Yield the events of a stream; the SDK's own method reads an event without end."""
        self._raise_for_status(response)  # type: ignore[attr-defined]  # not in types-docker
        raw: Any = response.raw._fp  # noqa: SLF001 - as the SDK does
        with contextlib.closing(response):
            while line := raw.readline(_EVENT):
                if len(line) == _EVENT:
                    raise ValueError("an event without end")
                event = json.loads(line) if line.strip() else None
                if isinstance(event, dict) and "error" in event:  # the last; whoever reads it may read no further
                    response.close()
                    yield event
                    return
                if event is not None:
                    yield event


def _received(response: requests.Response, seconds: float | None, *, streams: bool) -> requests.Response:
    """Return an answer that is here as a whole, unless streamed; errors are never streamed."""
    response.encoding = response.encoding or "utf-8"  # guessing it takes long
    if streams and response.ok and not response.is_redirect:
        return response
    try:
        response.raw = io.BytesIO(_body(response, time.monotonic() + (seconds or float("inf"))))
    except BaseException:
        response.close()
        raise
    if response.is_redirect:
        raise ValueError("an engine leads nowhere else")
    return response


def _body(response: requests.Response, end: float) -> bytes:
    most = _LOG if response.url.partition("?")[0].endswith("/logs") else MOST
    body = bytearray()
    while piece := response.raw.read(_PIECE, decode_content=True):
        body += piece
        if len(body) > most:
            raise ValueError("an answer without end")
        if time.monotonic() > end:
            raise TimeoutError("an answer that goes on and on")
    return bytes(body)
