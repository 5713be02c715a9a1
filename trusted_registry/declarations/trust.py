"""Trust, on this machine and on others."""

from __future__ import annotations

from trusted_registry.declarations.flag import JSON, REMOVE, SYSTEM, WHERE, WHICH, Flag, switch, words
from trusted_registry.declarations.task import Task

linux = Task(
    "trust.linux",
    "Have every client on this machine trust the registry.",
    "trust.linux",
    *WHERE,
    *WHICH,
    SYSTEM,
    switch("rebuild_builders", "Make builders of docker buildx anew, so that they trust; what they have cached stays."),
)
list_ = Task("trust.list", "Say what each client on this machine trusts.", "trust_list.show", *WHERE, *WHICH, JSON)
macos = Task(
    "trust.macos",
    "Have this Mac trust the registry: a keychain, and Docker Desktop.",
    "trust.on_macos",
    Flag("keychain", "system (all users, asks for a password) or login (this user, asks in a window).", "system"),
    *WHERE,
)
windows = Task(
    "trust.windows",
    "Print PowerShell commands that have Windows trust the registry.",
    "trust_serve.windows",
    switch("user", "For one user alone, who is no administrator."),
    *WHERE,
)
serve = Task(
    "trust.serve",
    "Offer kit, page and certificate to the LAN for some minutes.",
    "trust_serve.serve",
    Flag("minutes", "After so many it ends by itself.", "10"),
    Flag("at", "Port to offer it on, by plain HTTP.", "8000"),
    *WHERE,
)
check = Task(
    "trust.check",
    "Prove trust with a pull by each client on this machine.",
    "trust_check.check_pulls",
    *WHERE,
    words("only", "These clients and no others, and they must trust, asked to or not: docker, podman, curl, …"),
    JSON,
)
kit = Task(
    "trust.kit",
    "Write a script that has any Linux machine trust the registry.",
    "trust_kit.write",
    *WHERE,
    Flag("out", "Folder to write into, instead of the certificates' own."),
)
insecure = Task(
    "trust.insecure",
    "Let this engine use plain HTTP on the LAN address.",
    "trust.insecure",
    switch("remove", "Take that back, and no trust."),
)
remove = Task(
    "trust.remove",
    "Take back the trust that this checkout wrote on this machine.",
    "trust.remove",
    switch("all", "What other checkouts wrote, too."),
)
hosts = Task(
    "trust.hosts",
    "Have many machines trust the registry, over SSH, by Ansible.",
    "trust_hosts.on_hosts",
    Flag("inventory", "Which machines, in Ansible's form: a file with a host on each line will do."),
    Flag("limit", "Only these hosts or groups of it."),
    Flag("forks", "Hosts at a time.", "25"),
    Flag("user", "Who logs in there."),
    switch("check", "Only say what would change."),
    REMOVE,
    switch("system", "The operating systems' own stores too."),
    switch("ask_become_pass", "Ask once for the password that sudo wants there."),
    *WHERE,
)
nodes = Task(
    "trust.nodes",
    "Have nodes that are containers trust the registry: kind, k3d.",
    "trust_nodes.on_nodes",
    Flag("label", "Only containers with this label, as KEY=VALUE or KEY, instead of kind's, k3d's and the like."),
    REMOVE,
    switch("check", "Only say which nodes trust."),
    switch("restart", "Restart the nodes that read it only when they start: those of k3s."),
    *WHERE,
)
