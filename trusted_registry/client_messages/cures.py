"""Steps of cures that messages share."""

from __future__ import annotations

import functools

from trusted_registry.client_messages.message import REGISTRY, Step

at_registry = functools.partial(Step, at=REGISTRY)

REACH = Step("./inv doctor --remote {registry}", "looks at the whole way from here")
LISTENERS = "sudo ss --listening --tcp --numeric --processes"
OFFER = "./inv trust.serve"
OFFERED = "paste here the line that it prints; what is in certs/ here stays"
"""How a machine that has an authority of its own comes to trust another's: nothing may be put over its ca.crt."""
AUTHORITY_COPIED = (
    "with certs/ca.crt of the registry's machine in certs/ here, where that holds no keys of its own; "
    f"else, there: {OFFER}, and {OFFERED}"
)
TRUST = Step("./inv trust.linux{where}", away=AUTHORITY_COPIED)
TRUST_FOR_SYSTEM = Step("./inv trust.linux --only system{where}", away=AUTHORITY_COPIED)
RENEW = at_registry("./inv cert.renew")
_AUTHORITY = at_registry("./inv cert --force && ./inv registry.tls", "makes a new authority")
PUSH_AGAIN = at_registry("docker restart {container}", "where a garbage collection ran: then push again", instead=True)
TRUST_ANEW = Step("./inv trust.linux{where}", "with the new certs/ca.crt; the same on every other client")
ANEW = (_AUTHORITY, TRUST_ANEW)
ANEW_FOR_SYSTEM = (
    _AUTHORITY,
    Step("./inv trust.linux --system{where}", "with the new certs/ca.crt; then start browsers again"),
)
"""Cure for programs that read the system's store, or a store of their own that --system writes too."""
