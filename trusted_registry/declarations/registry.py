"""The engine, the registry on it, and the registry's users."""

from __future__ import annotations

from trusted_registry.declarations.flag import NAME, STAYS_WITH_PORT, YES, Flag, setting, switch
from trusted_registry.declarations.task import Task

engine = Task(
    "engine",
    "Say which Docker Engine answers; install and start one if none.",
    "registry.engine",
    YES,
    needs_settings=False,
)
basic = Task(
    "registry.basic",
    "Run the document's first registry: plain HTTP on localhost:5000.",
    "registry.basic",
    switch("lan", "Listen on every address, not on loopback alone: anyone on the network may push."),
)
test = Task(
    "registry.test",
    "Push an image, remove it, pull it back, and compare the digests.",
    "registry.test",
    Flag("image", "Image to push; a tiny one is made if none."),
    switch("lan", "With plain HTTP: by the LAN address."),
)
tls = Task(
    "registry.tls",
    "Run the registry over TLS, and stop it again if the proof fails.",
    "registry.alone",
    *STAYS_WITH_PORT,
)
stop = Task(
    "registry.stop",
    "Stop the registry; its images stay, unless purged.",
    "registry.stop",
    switch("purge", "Remove the images too."),
    YES,
)
logs = Task(
    "registry.logs",
    "Show the last lines of the registry's log.",
    "registry.logs",
    switch("follow", "Go on until Ctrl-C."),
    switch("front", "That of the front, which has the addresses of the clients."),
    Flag("lines", "How many of the last lines.", "50"),
)

upgrade = Task(
    "registry.upgrade",
    "Have the registry run another image, which must show the same images.",
    "registry_upgrade.upgrade",
    setting("image", 'Image of the registry, such as registry:3.1.1; it stays until --image "".'),
    switch("check", "Only compare: the registry that runs goes on."),
)
user_add = Task(
    "registry.user.add", "Add a user, with a password from a prompt or standard input.", "registry_users.add", NAME
)
user_remove = Task(
    "registry.user.remove", "Remove a user; asks before the last one goes.", "registry_users.remove", NAME, YES
)
user_list = Task(
    "registry.user.list", "Name the users; without any, the registry asks for no login.", "registry_users.show"
)
