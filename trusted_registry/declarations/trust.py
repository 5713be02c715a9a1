"""Trust, on this machine and on others."""

from __future__ import annotations

from trusted_registry.declarations.flag import (
    BECOME,
    JSON,
    MIRRORS,
    REMOVE,
    SYSTEM,
    THIS_REGISTRY,
    USER,
    WHICH,
    Flag,
    switch,
    words,
)
from trusted_registry.declarations.task import Task

linux = Task(
    "trust.linux",
    "Make the clients on this machine trust the registry.",
    "trust.linux",
    *THIS_REGISTRY,
    *WHICH,
    SYSTEM,
    switch("rebuild_builders", "Recreate builders of docker buildx, which trust only then; their cache stays."),
    example="./inv trust.linux --only podman,containerd",
)
list_ = Task(
    "trust.list",
    "Show which clients on this machine trust it.",
    "trust_list.show",
    *THIS_REGISTRY,
    *WHICH,
    JSON,
    example="./inv trust.list --only docker",
)
macos = Task(
    "trust.macos",
    "Make this Mac and Docker Desktop trust the registry.",
    "trust.on_macos",
    Flag(
        "keychain",
        "system (all users, asks for a password) or login (this user, asks in a window).",
        "system",
        choices="trust.specifics.macos.KEYCHAINS",
    ),
    *THIS_REGISTRY,
    example="./inv trust.macos --keychain login",
)
windows = Task(
    "trust.windows",
    "Print what to paste into PowerShell on Windows.",
    "trust_serve.windows",
    switch("user", "Only for one user, who is no administrator."),
    *THIS_REGISTRY,
    example="./inv trust.windows --user",
)
serve = Task(
    "trust.serve",
    "Offer a page and a script to other machines.",
    "trust_serve.serve",
    Flag("minutes", "Ends by itself after this many.", "10"),
    Flag("at", "Port to offer it on, by plain HTTP.", "8000", value="PORT"),
    MIRRORS,
    *THIS_REGISTRY,
    example="./inv trust.serve --minutes 30",
)
check = Task(
    "trust.check",
    "Prove trust by a pull with each client here.",
    "trust_check.check_pulls",
    *THIS_REGISTRY,
    words(
        "only",
        "Only these clients, and each must trust the registry: docker, podman, curl, …",
        value="CLIENT,CLIENT",
        choices="trust.specifics.pulls.NAMES",
    ),
    JSON,
    example="./inv trust.check --only docker,curl",
)
kit = Task(
    "trust.kit",
    "Write a script for other Linux machines.",
    "trust_kit.write",
    *THIS_REGISTRY,
    Flag("out", "Folder to write into, instead of the certificates' own.", value="FOLDER"),
    MIRRORS,
    example="./inv trust.kit --out /media/usb",
)
insecure = Task(
    "trust.insecure",
    "Allow this engine plain HTTP on the LAN address.",
    "trust_insecure.allow",
    switch("remove", "Undo it; certificates stay trusted."),
    example="./inv trust.insecure --remove",
)
remove = Task(
    "trust.remove",
    "Undo what trust.linux or up did on this machine.",
    "trust.remove",
    switch("all", "Also what other checkouts wrote."),
    example="./inv trust.remove --all",
)
hosts = Task(
    "trust.hosts",
    "Make many machines trust it, over SSH with Ansible.",
    "trust_hosts.on_hosts",
    Flag("inventory", "Ansible inventory of the machines; a file with one host on each line will do.", value="FILE"),
    Flag("limit", "Only these hosts or groups of it.", value="HOSTS"),
    Flag("forks", "Hosts at a time.", "25", value="NUMBER"),
    USER,
    switch("check", "Only say what would change."),
    REMOVE,
    switch("system", "The operating systems' own stores too."),
    BECOME,
    MIRRORS,
    *THIS_REGISTRY,
    example="./inv trust.hosts --inventory hosts.ini --limit web",
)
nodes = Task(
    "trust.nodes",
    "Make the nodes of kind and k3d trust the registry.",
    "trust_nodes.on_nodes",
    Flag(
        "label",
        "Only containers with this label, as KEY=VALUE or KEY, instead of kind's, k3d's and the like.",
        value="KEY=VALUE",
    ),
    REMOVE,
    switch("check", "Only say which nodes trust."),
    switch("restart", "Restart the nodes that read it only at start (k3s)."),
    MIRRORS,
    *THIS_REGISTRY,
    example="./inv trust.nodes --restart",
)
