"""SECURITY.md's table of what a stolen issuer's key can do: an answer for each certificate and each client."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent.parent / "SECURITY.md"
HEADING = "## A stolen issuer's key"

PRIVATE, LOCAL = "a server at a private address", "a server by a `.local` name"
PUBLIC, WILDCARD, COMMON = (
    "a server by a public name",
    "a server by a wildcard of one",
    "a server by one in its CN alone",
)
IPV4, IPV6 = "a server at a public IPv4 address", "a server at a public IPv6 address"
FURTHER, MISUSED = "a further authority, which signs a server's", "a client, shown by a server"
CLIENT, CODE, MAIL = "a client, to a server", "a program", "mail"
SERVERS = (PRIVATE, LOCAL, PUBLIC, WILDCARD, COMMON, IPV4, IPV6, FURTHER, MISUSED)
USES = (CLIENT, CODE, MAIL)

ACCEPTED, REFUSED, NOT_ASKED = "accepted", "refused", "-"
MEANT = (PRIVATE, LOCAL)
"""What the key is for: accepted by everybody."""


def table() -> dict[str, dict[str, str]]:
    """Return the answers of the table, by its rows and the clients of its columns."""
    section = PAGE.read_text().partition(HEADING)[2].partition("\n## ")[0]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in _lines(section)]
    found: dict[str, dict[str, str]] = {}
    for name, *cells in rows:
        answers = zip(head[1:], cells, strict=True)
        found[name] = {client: cell.strip("*") for clients, cell in answers for client in clients.split(", ")}
    return found


def _lines(section: str) -> list[str]:
    return [line for line in section.splitlines() if line.startswith("|")]
