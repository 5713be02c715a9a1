"""Client of a registry's HTTP API, with no engine (OCI distribution specification).

Whatever a server sends, an answer ends in time and size, and meets the specification, or is an error: AnswerError,
LoginRequiredError, or one of `probe.NO_ANSWER` where there is no answer. Nothing is ever sent to another endpoint.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import re
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from trusted_registry.errors import AnswerError, LoginRequiredError
from trusted_registry.registry import probe
from trusted_registry.registry.body import Stream
from trusted_registry.registry.probe import Answer, Endpoint, Request
from trusted_registry.registry.users import Login

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
"""Media type that every client reads, the oldest too (distribution/distribution, docs/spec/manifest-v2-2)."""

MANIFESTS = (
    MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
"""Media types that are always asked for together: a registry that is not offered an index answers a tag with one of
that index's images, whose digest is not the tag's, or with 404."""

PAGE = 100
"""Names asked for at a time; a registry may refuse more than 1000, or fewer (catalog.maxentries)."""
MOST_PAGES = 10_000
"""Pages that are followed: a million names."""
LARGEST = 4 << 20
"""Bytes of a manifest, which is distribution's own limit, and of a page: version 2.8 sends all tags in one."""
_CHUNK = 1 << 16
_ADMITTED = 5.0
"""Seconds in which a registry sees a user file that was just changed."""

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?=.{{1,255}}\Z){_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_NEXT = re.compile(r"<([^<>]*)>\s*;\s*rel=\"?next\"?", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True)
class Manifest:
    """Manifest in a registry: media type, digest and bytes."""

    kind: str
    digest: str
    content: bytes


def digest(content: bytes) -> str:
    """Return the digest by which a registry knows a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class RegistryClient:
    """Client of the registry at one endpoint.

    Args:
        at: Endpoint that all requests go to.
        tls: TLS context that verifies the server; None for plain HTTP.
        login: Login to use; None for requests without one.
        patience: Further seconds for each answer, of a registry that asks another one first.
    """

    at: Endpoint
    tls: ssl.SSLContext | None
    login: Login | None = None
    patience: float = 0.0

    def ping(self) -> int:
        """Return the status of /v2/; `probe.READY_STATUSES` are those of a registry that is well."""
        return self._send(Request("GET", "/v2/")).status

    def admits(self) -> bool:
        """Return whether the registry takes the login; a user file that was just changed is given a moment."""
        end = time.monotonic() + _ADMITTED
        while True:
            with contextlib.suppress(*probe.NO_ANSWER):
                if self.ping() == http.client.OK:
                    return True
            if time.monotonic() > end:
                return False
            time.sleep(0.1)

    def catalog(self) -> Iterator[str]:
        """Yield the names of all repositories, those without a tag among them."""
        return self._listed("/v2/_catalog", "repositories", _REPOSITORY)

    def tags(self, repository: str) -> Iterator[str]:
        """Yield the tags of a repository."""
        return self._listed(f"/v2/{repository}/tags/list", "tags", _TAG)

    def _listed(self, path: str, key: str, valid: re.Pattern[str]) -> Iterator[str]:
        """Yield names page by page; of a link to the next page only the query is followed, which cannot lead away."""
        query, seen = f"n={PAGE}", set[str]()
        for _ in range(MOST_PAGES):
            answer = self._ask(Request("GET", f"{path}?{query}", limit=LARGEST + 1), f"list its {key}", http.client.OK)
            new = [name for name in self._names(answer, key, valid) if name not in seen]
            yield from new
            seen.update(new)
            following = _NEXT.search(answer.headers.get("link", ""))
            if not following:
                return
            if not new:
                break
            query = following[1].partition("#")[0].partition("?")[2]
        raise self._broken(f"list its {key}", "the list has no end")

    def _names(self, answer: Answer, key: str, valid: re.Pattern[str]) -> list[str]:
        found = _object(answer.body).get(key, "")
        names = [] if found is None else found  # distribution says null where it has none
        if not isinstance(names, list) or not all(isinstance(it, str) and valid.fullmatch(it) for it in names):
            raise self._broken(f"list its {key}", "the answer is no list of names")
        return list(names)

    def manifest(self, repository: str, reference: str) -> Manifest:
        """Return the manifest that a tag or a digest names."""
        deed = f"give the manifest {reference} of {repository}"
        asked = Request("GET", _manifest(repository, reference), {"Accept": ", ".join(MANIFESTS)}, limit=LARGEST + 1)
        answer = self._ask(asked, deed, http.client.OK)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        found = Manifest(kind, digest(answer.body), answer.body)
        if kind not in MANIFESTS or len(answer.body) > LARGEST:
            raise self._broken(deed, f"the answer is no manifest that is known ({kind[:100]})")
        named = {answer.headers.get("docker-content-digest", found.digest)}
        if named | ({reference} if ":" in reference else set()) != {found.digest}:
            raise self._broken(deed, f"what came is another one, {found.digest}")
        return found

    def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Give a manifest to the registry, under a tag or its digest."""
        headers = {"Content-Type": manifest.kind}
        asked = Request("PUT", _manifest(repository, reference), headers, manifest.content)
        self._ask(asked, "take an image", http.client.CREATED)

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Delete a manifest by its digest, with all its tags; return whether that succeeded."""
        try:
            return self._send(Request("DELETE", _manifest(repository, digest))).status == http.client.ACCEPTED
        except probe.NO_ANSWER:
            return False

    def blob_size(self, repository: str, digest: str) -> int:
        """Return the bytes of a blob that the registry says to have."""
        deed = f"tell the size of {digest}"
        answer = self._ask(Request("HEAD", f"/v2/{repository}/blobs/{digest}"), deed, http.client.OK)
        length = answer.headers.get("content-length", "")
        if not _LENGTH.fullmatch(length):
            raise self._broken(deed, "the answer has no length")
        return int(length)

    def blob(self, repository: str, digest: str, size: int) -> Iterator[bytes]:
        """Yield a blob of a known size in chunks; the last comes before an error where the digest is another."""
        deed, left, hashed = f"give the blob {digest}", size, hashlib.sha256()
        asked = self._named(Request("GET", f"/v2/{repository}/blobs/{digest}", limit=max(size, Request.limit)))
        with probe.answered(probe.connect(self.at, self.tls), self.at, asked) as answer:
            if answer.status != http.client.OK:
                self._check(probe.read(answer, asked), asked, deed, http.client.OK)
            while left > 0 and (chunk := answer.read(min(left, _CHUNK))):
                left -= len(chunk)
                hashed.update(chunk)
                yield chunk
            is_complete = not left and not answer.read(1)
        if not is_complete or f"sha256:{hashed.hexdigest()}" != digest:
            raise self._broken(deed, "what came is something else")

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a repository has a blob."""
        try:
            self.blob_size(repository, digest)
        except AnswerError as error:
            if error.status == http.client.NOT_FOUND:
                return False
            raise
        return True

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """Have a repository know a blob that another one has; return whether the registry did so."""
        start = f"/v2/{repository}/blobs/uploads/"
        answer = self._send(Request("POST", f"{start}?mount={digest}&from={source}"))
        if answer.status == http.client.ACCEPTED:  # the beginning of an upload in its place, which nobody wants
            path, query = self._place(start, answer.headers.get("location", ""))
            self._send(Request("DELETE", f"{path}?{query}"))
        return answer.status == http.client.CREATED

    def upload(self, repository: str, content: bytes) -> None:
        """Give a blob to the registry, in one piece."""
        self.upload_stream(repository, digest(content), len(content), [content])

    def upload_stream(self, repository: str, digest: str, size: int, chunks: Iterable[bytes]) -> None:
        """Give a blob to the registry, which checks the digest.

        Args:
            repository: The repository that is to have the blob.
            digest: Its digest.
            size: Its bytes.
            chunks: The blob.
        """
        start = f"/v2/{repository}/blobs/uploads/"
        begun = self._ask(Request("POST", start), "take an image", http.client.ACCEPTED)
        path, query = self._place(start, begun.headers.get("location", ""))
        query = "&".join(filter(None, (query, f"digest={digest}")))
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        asked = Request("PUT", f"{path}?{query}", headers, Stream(size, chunks))
        self._ask(asked, "take an image", http.client.CREATED)

    def is_read_only(self, repository: str) -> bool:
        """Ask for the deletion of a manifest that is in no repository: only a registry without changes forbids that."""
        nothing = f"sha256:{'0' * 64}"
        return self._send(Request("DELETE", _manifest(repository, nothing))).status == http.client.METHOD_NOT_ALLOWED

    def _place(self, start: str, location: str) -> tuple[str, str]:
        """Return path and query of the place for an upload; its host, which a proxy may get wrong, is ours."""
        try:
            place = urlsplit(urljoin(start, location))
        except ValueError:
            place = urlsplit("")
        if not location or not place.path.startswith("/"):
            raise self._broken("take an image", "the answer names no place for it")
        return place.path, place.query

    def _send(self, request: Request) -> Answer:
        return probe.send(probe.connect(self.at, self.tls), self.at, self._named(request))

    def _named(self, request: Request) -> Request:
        """Return a request with the login."""
        login = self.login.header if self.login else {}
        return replace(request, headers={**request.headers, **login}, patience=self.patience)

    def _ask(self, request: Request, deed: str, wanted: int) -> Answer:
        """Return an answer of the wanted status."""
        return self._check(self._send(request), request, deed, wanted)

    def _check(self, answer: Answer, request: Request, deed: str, wanted: int) -> Answer:
        if answer.status == http.client.UNAUTHORIZED:
            raise LoginRequiredError(f"{self.at} wants a login.", cure="docker login, or the like, for each client.")
        if answer.status != wanted:
            reason = answer.body.decode(errors="replace").strip()[:200]
            said = f"{request.method} was answered with status {answer.status} {reason}".rstrip()
            raise self._broken(deed, said, answer.status)
        return answer

    def _broken(self, deed: str, reason: str, status: int = 0) -> AnswerError:
        cure = "Is that a registry? On its machine: ./inv status; ./inv registry.logs"
        return AnswerError(f"{self.at} did not {deed}: {reason}", cure=cure, status=status)


def _manifest(repository: str, reference: str) -> str:
    return f"/v2/{repository}/manifests/{reference}"


def _object(body: bytes) -> dict[str, Any]:
    """Return a JSON object, or {} for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
