"""Reach of a mirror: whether its upstream answers, and if not, why."""

from __future__ import annotations

import enum
import http.client
import json
import re
import secrets
import time
from dataclasses import dataclass

from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import AnswerError, RegistryError
from trusted_registry.images import history
from trusted_registry.instance import mirror_role
from trusted_registry.instance.model import SHELL
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.registry import probe
from trusted_registry.registry.api import RegistryClient
from trusted_registry.registry.probe import Request

PATIENCE = 60.0
"""Further seconds that a mirror has for an answer, since it asks its upstream first."""

_SOME = "library/nosuch"
_LINES = 300
_PAUSES = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Seconds between looks for a line of the log, which is written after the answer."""
_SHOWN = 200
"""Characters of a reason that are shown."""


class State(str, enum.Enum):
    """State of an upstream from its mirror's view, in a word for JSON."""

    ANSWERS = "answers"
    UNSURE = "unsure"
    LOGIN = "login"
    LIMIT = "limit"
    ERROR = "error"
    STRANGE = "strange"
    DISTRUST = "distrust"
    AWAY = "away"

    def __str__(self) -> str:
        """Return the word."""
        return self.value


_SIGNS = (
    (State.DISTRUST, r"x509|certificate|UnknownAuthority"),
    (State.LIMIT, r"(?i:toomanyrequests|too many requests)|\b429\b"),
    (State.LOGIN, r"(?i:unauthorized|authentication required|denied|insufficient_scope|no basic auth credentials)"),
    (State.LOGIN, r"HTTP 40[13]|\"StatusCode\":40[13]"),
    (State.ERROR, r"\b5\d\d [A-Z]|HTTP 5\d\d|\"StatusCode\":5\d\d"),
    (State.STRANGE, r"invalid character|does not match digest|content-type|server gave HTTP"),
)
_WORDS = {
    State.ANSWERS: "answers",
    State.UNSURE: "answers; whether it gives images to everybody, a pull shows",
    State.LOGIN: "wants a login, and a mirror has none",
    State.LIMIT: "has given enough for now (status 429)",
    State.ERROR: "has an error of its own",
    State.STRANGE: "is no registry by what answers in its place, a proxy or a portal perhaps",
    State.DISTRUST: "shows a certificate that is not trusted here",
    State.AWAY: "does not answer",
}
_STILL = "what the mirror holds is served"
_CURES = {
    State.LOGIN: "Pull what needs a login from it directly, by a name that no mirror stands in for.",
    State.LIMIT: "Wait, and fetch ahead when it gives again: ./inv mirror.fill REFERENCE",
    State.ERROR: "Wait until it is well again; ./inv mirror.list says so.",
    State.STRANGE: "Log in to the portal, or name the proxy: HTTPS_PROXY=http://PROXY:PORT ./inv mirror.up {name}",
    State.DISTRUST: "Put your company's authority into this machine's store (sudo update-ca-certificates), then: "
    "./inv mirror.up {name}",
    State.AWAY: "Is there a network? Behind a proxy: HTTPS_PROXY=http://PROXY:PORT ./inv mirror.up {name}",
}


@dataclass(frozen=True)
class Reach:
    """Answer of an upstream to its mirror.

    Args:
        upstream: The upstream.
        state: Whether the upstream answers, or the kind of trouble.
        reason: The mirror's own words for that; "" if there are none.
    """

    upstream: Upstream
    state: State
    reason: str = ""

    @property
    def is_up(self) -> bool:
        """Whether the upstream gives images, as far as is known."""
        return self.state in {State.ANSWERS, State.UNSURE}

    @property
    def words(self) -> str:
        """The state in a sentence without its end."""
        if self.is_up:
            return _WORDS[self.state]
        said = f" ({self.reason})" if self.reason else ""
        return f"{_WORDS[self.state]}{said}; {_STILL}"

    @property
    def cure(self) -> str:
        """Way to mend the trouble."""
        return _CURES.get(self.state, "").format(name=self.upstream.name)


def absence(reference: str, found: Reach) -> RegistryError:
    """Return the error of an image that a mirror does not give: its upstream has none, or cannot be asked."""
    if found.is_up:
        wrong = f"{found.upstream.name} has no {reference}, or does not give it to everybody."
        return RegistryError(wrong, cure="Look at its name and tag there; a mirror gives nothing that needs a login.")
    wrong = f"{reference} is not in the mirror, and {found.upstream.name} {found.words}."
    return RegistryError(wrong, cure=found.cure)


def find(upstream: Upstream, client: RegistryClient, name: str, engine: Engine) -> Reach:
    """Ask a mirror a question that its upstream alone can answer.

    Args:
        upstream: Its upstream.
        client: Client of the mirror.
        name: The mirror's container, whose log has the reason.
        engine: The engine that runs the mirror.

    Raises:
        AnswerError: The answer is not that of a mirror.
        OSError, http.client.HTTPException: The mirror does not answer.
    """
    if _is_held(client):
        return Reach(upstream, *_judged(_trial(name, engine)))
    # Only the upstream can tell that it has no such content (distribution, proxyblobstore.go); nobody else asks for it.
    path = f"/v2/{upstream.sample.repository if upstream.sample else _SOME}/blobs/sha256:{secrets.token_hex(32)}"
    answer = probe.send(probe.connect(client.at, client.tls), client.at, Request("GET", path, patience=PATIENCE))
    if answer.status == http.client.NOT_FOUND:
        return Reach(upstream, State.ANSWERS)
    if answer.status == http.client.OK:
        return Reach(upstream, State.STRANGE)
    if answer.status != http.client.INTERNAL_SERVER_ERROR:
        wrong = f"{client.at} answers with status {answer.status}, as no mirror does."
        raise AnswerError(wrong, cure="./inv mirror.list", status=answer.status)
    state, reason = _judged(_logged(path, name, engine) or _said(answer.body), answer.body)
    if state is State.LOGIN and not upstream.sample:  # of a repository that nobody knows, open ones say that too
        return Reach(upstream, State.UNSURE)
    return Reach(upstream, state, reason)


def _is_held(client: RegistryClient) -> bool:
    """Whether the registry that stands in for a mirror answers: only one without changes names the allowed methods."""
    asked = Request("POST", f"/v2/{_SOME}/blobs/uploads/")
    answer = probe.send(probe.connect(client.at, client.tls), client.at, asked)
    return answer.status == http.client.METHOD_NOT_ALLOWED and "allow" in answer.headers


def _judged(reason: str, said: bytes = b"") -> tuple[State, str]:
    text = f"{reason} {said[:4096].decode(errors='replace')}"
    state = next((state for state, sign in _SIGNS if re.search(sign, text)), State.AWAY)
    return state, reason[:_SHOWN]


def _trial(name: str, engine: Engine) -> str:
    """Return why the last registry that asked the upstream did not start; "" if no reason was logged."""
    said = engine.execute(name, [SHELL, "-c", 'cat "$1"', "sh", mirror_role.TRIAL_OUTPUT])
    return _panic(engine.log(name, lines=_LINES) if said.code else said.out)  # none was tried beside it yet


def _panic(output: str) -> str:
    found = re.findall(r"^panic: (?:unable to configure \S+ )?(.*)$", output, re.MULTILINE)
    return _shortened(found[-1]) if found else ""


def _logged(path: str, name: str, engine: Engine) -> str:
    """Return the reason in a mirror's log for its answer to a question; "" if none comes soon."""
    for pause in _PAUSES:
        time.sleep(pause)
        if said := _detail(path, engine.log(name, lines=_LINES)):
            return said
    return ""


def _detail(path: str, log: str) -> str:
    """Return the reason that the mirror's log has for its answer to a question."""
    for line in reversed(log.splitlines()):
        if path in line and (said := history.fields(line).get("err.detail")):
            return _shortened(said.replace('\\"', '"'))
    return ""


def _said(body: bytes) -> str:
    """Return an answer's words about the connection that failed; "" if none are for people."""
    try:
        (error, *_) = json.loads(body)["errors"]
        found = error["detail"]
        words = [found.get("Op"), found.get("URL"), found.get("code"), found.get("message"), found.get("Status")]
        return _shortened(" ".join(it for it in words if isinstance(it, str)))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""


def _shortened(text: str) -> str:
    """Return a reason without the request at its beginning, which says no more than the upstream's name."""
    return re.sub(r'^(?:Get|Head|Post) "[^"]*": ', "", text.strip())[:_SHOWN]
