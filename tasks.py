"""A private Docker registry over TLS on an IP address, chapter by chapter: see README.md, or `invoke --list`.

The table of contents: each task is declared in `trusted_registry/declarations`, in the module of its collection.
"""

from __future__ import annotations

from trusted_registry import invoking
from trusted_registry.declarations import cert, images, kubernetes, lifecycle, mirror, registry, site, swarm, trust
from trusted_registry.declarations.task import collection

GROUPS = {
    "Begin": (
        lifecycle.up,
        lifecycle.down,
        registry.engine,
        registry.upgrade,
        registry.storage,
        registry.move,
        swarm.up,
        swarm.down,
        swarm.renew,
        registry.backup,
        registry.restore,
        site.pack,
        mirror.up,
        mirror.down,
        mirror.list_,
        mirror.fill,
        mirror.clean,
        kubernetes.manifests,
        kubernetes.check,
        registry.user_add,
        registry.user_remove,
        registry.user_list,
    ),
    "Look": (
        lifecycle.status,
        swarm.status,
        lifecycle.doctor,
        lifecycle.explain,
        trust.check,
        trust.list_,
        registry.logs,
        images.list_,
        images.show,
        images.usage,
        images.check,
        images.remove,
        images.clean,
        images.undo,
        images.save,
        images.load,
        lifecycle.test,
    ),
    "Other machines": (
        trust.serve,
        trust.kit,
        trust.hosts,
        trust.nodes,
        trust.linux,
        trust.macos,
        trust.windows,
        trust.remove,
    ),
    # In the order of the document that these follow
    "By hand": (
        registry.basic,
        registry.test,
        trust.insecure,
        cert.config,
        cert.make,
        cert.show,
        cert.check,
        cert.renew,
        cert.renew_authority,
        cert.import_,
        registry.tls,
        registry.stop,
    ),
}
"""Tasks by what they are for, the daily ones first, as `./inv` lists them."""

CONTENTS = tuple(task for tasks in GROUPS.values() for task in tasks)

# The only effect of importing this file: nothing else runs before Invoke reads its settings and the command line.
invoking.install(GROUPS)

ns = collection(CONTENTS)
