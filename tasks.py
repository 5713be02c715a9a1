"""A private Docker registry over TLS on an IP address, chapter by chapter: see README.md, or `invoke --list`.

The table of contents: each task is declared in `trusted_registry/declarations`, in the module of its collection.
"""

from __future__ import annotations

from trusted_registry import invoking
from trusted_registry.declarations import cert, lifecycle, registry, trust
from trusted_registry.declarations.task import collection

# The only effect of importing this file: nothing else runs before Invoke reads its settings and the command line.
invoking.install()

CONTENTS = (
    # Before the document: an engine
    registry.engine,
    # The document's first part: a registry without TLS
    registry.basic,
    registry.test,
    trust.insecure,
    # The document's second part: certificates for an IP address, and the registry that serves them
    cert.config,
    cert.make,
    cert.show,
    cert.check,
    cert.renew,
    cert.renew_authority,
    cert.import_,
    registry.tls,
    registry.stop,
    registry.logs,
    registry.upgrade,
    registry.user_add,
    registry.user_remove,
    registry.user_list,
    # The document's third part: trust, on this machine, then on others
    trust.linux,
    trust.list_,
    trust.macos,
    trust.check,
    trust.remove,
    trust.windows,
    trust.kit,
    trust.serve,
    trust.hosts,
    trust.nodes,
    # All of it at once
    lifecycle.up,
    lifecycle.status,
    lifecycle.explain,
    lifecycle.doctor,
    lifecycle.down,
    # The project itself
    lifecycle.test,
)

ns = collection(CONTENTS)
