"""The table of trust stores: their clients, the signs of these on a machine, the contents, and the step after a change.

Everything about trust derives from this table: the files that `trust.linux` writes and those that the kit writes on a
machine without Python, the page, the trust of nodes, the list, and the removal. The folder of each client is from the
client's own documentation, linked at the entry.
"""

from __future__ import annotations

from functools import partial

from trusted_registry.trust import contents
from trusted_registry.trust.model import MACHINE, MACOS, USER, WINDOWS, Database, Refresh, RestartHint, Signs, Store

_DESKTOP = "copies the certificates into its machine when it starts"


def _system(family: str, folder: str, suffix: str, refresh: Refresh) -> Store:
    """Return the store of an operating system's authorities, one per file.

    The folder is the family's sign, since the program's name may be another family's too.
    """
    return Store(
        key=f"system-{family}",
        name="system",
        clients="curl, git, helm, oras, crane, Python",
        scope=MACHINE,
        signs=Signs(paths=(folder,)),
        files=partial(contents.certificate_file, folder, suffix),
        refresh=refresh,
        on_request=True,
    )


def _rancher(name: str, clients: str, restart: str) -> Store:
    """Return the store of a distribution of Rancher's.

    The folder of its configuration alone is no sign: other programs use that too, and the distribution may be gone.
    """
    folder = f"/etc/rancher/{name}"
    return Store(
        key=name,
        name=name,
        clients=clients,
        scope=MACHINE,
        signs=Signs(
            paths=(f"{folder}/config.yaml", f"{folder}/registries.yaml", f"/var/lib/rancher/{name}"), programs=(name,)
        ),
        files=partial(contents.certificates_file, folder),
        blocks=partial(contents.k3s, folder),
        restart=RestartHint("reads registries.yaml when it starts", restart, name),
    )


def _on_mac(key: str, clients: str, signs: Signs, restart: str = "") -> Store:
    """Return the store of an engine for a Mac; all of them share one folder."""
    return Store(
        key=f"macos-{key}",
        name="docker",
        clients=clients,
        scope=USER,
        signs=signs,
        files=partial(contents.certs_d, "{home}/.docker/certs.d"),
        restart=RestartHint(_DESKTOP, restart) if restart else None,
        system=MACOS,
    )


def _keychain(key: str, whose: str, scope: str, database: Database) -> Store:
    return Store(
        key=f"macos-{key}",
        name="keychain",
        clients=f"Safari, Chrome, curl, git and Go programs, of {whose}",
        scope=scope,
        signs=Signs(programs=("security",)),
        database=database,
        system=MACOS,
        on_request=True,
    )


def _windows(whose: str, scope: str, *flags: str) -> Store:
    return Store(
        key=f"windows-{scope}",
        name="windows",
        clients=f"Docker Desktop, Edge, Chrome, curl, .NET and Go programs, of {whose}",
        scope=scope,
        signs=Signs(programs=("certutil",)),
        database=contents.root_store(*flags),
        restart=RestartHint(_DESKTOP, "docker desktop restart"),
        system=WINDOWS,
        on_request=True,
    )


STORES: tuple[Store, ...] = (
    # docs.docker.com/engine/security/certificates
    Store(
        key="docker",
        name="docker",
        clients="Docker Engine",
        scope=MACHINE,
        signs=Signs(paths=("/run/docker.sock", "/var/run/docker.sock", "/var/lib/docker")),
        files=partial(contents.docker, "/etc/docker/certs.d"),
    ),
    # docs.docker.com/engine/security/rootless
    Store(
        key="docker-rootless",
        name="docker-rootless",
        clients="Docker Engine without root",
        scope=USER,
        signs=Signs(paths=("{run}/docker.sock", "{data}/docker")),
        files=partial(contents.docker, "{config}/docker/certs.d"),
    ),
    # docs.docker.com/desktop/features/networking; Desktop on Linux reads the same folder as on a Mac
    Store(
        key="docker-desktop",
        name="docker",
        clients="Docker Desktop",
        scope=USER,
        signs=Signs(paths=("{home}/.docker/desktop",)),
        files=partial(contents.certs_d, "{home}/.docker/certs.d"),
        restart=RestartHint(_DESKTOP, "systemctl --user restart docker-desktop"),
    ),
    # github.com/containers/image, docs/containers-certs.d.5.md: the first folder that exists, never two of them
    Store(
        key="containers",
        name="podman",
        clients="podman, skopeo, buildah, CRI-O",
        scope=MACHINE,
        signs=Signs(paths=("/etc/crio",), programs=("podman", "skopeo", "buildah", "crio")),
        files=contents.containers,
        shadowed_by=("{home}/.config/containers/certs.d",),
    ),
    Store(
        key="containerd",
        name="containerd",
        clients="containerd: nerdctl, ctr --hosts-dir, Kubernetes",
        scope=MACHINE,
        signs=Signs(
            paths=("/etc/containerd/certs.d",),
            programs=("nerdctl", "kubelet"),  # not crictl, which k3s brings
            alone=("containerd",),  # beside an engine it is that engine's own, and k3s and its like have another
            unless=("dockerd", "k3s", "rke2", "microk8s"),
        ),
        files=partial(contents.hosts_toml, "/etc/containerd/certs.d"),
    ),
    _rancher("k3s", "k3s, k3d", "systemctl restart k3s || systemctl restart k3s-agent"),
    # docs.rke2.io/install/private_registry
    _rancher("rke2", "RKE2", "systemctl restart rke2-server || systemctl restart rke2-agent"),
    # microk8s.io/docs/registry-private; its containerd is told of this folder, and reads it at each pull
    Store(
        key="microk8s",
        name="microk8s",
        clients="MicroK8s",
        scope=MACHINE,
        signs=Signs(paths=("/var/snap/microk8s",), programs=("microk8s",)),
        files=partial(contents.hosts_toml, "/var/snap/microk8s/current/args/certs.d"),
    ),
    # docs.docker.com/build/buildkit/configure: the default file of `docker buildx create`
    Store(
        key="buildx",
        name="buildkit",
        clients="docker buildx, container driver",
        scope=USER,
        signs=Signs(paths=("{docker}/buildx/instances",)),
        files=partial(contents.certificates_file, "{docker}/buildx"),
        blocks=partial(contents.buildkit, "{docker}/buildx", "buildkitd.default.toml"),
        restart=RestartHint(
            "copies the certificates into a builder when that is made",
            "docker buildx rm --keep-state BUILDER && docker buildx create --name BUILDER",
        ),
    ),
    Store(
        key="buildkit",
        name="buildkit",
        clients="buildkitd",
        scope=MACHINE,
        signs=Signs(paths=("/etc/buildkit",), programs=("buildkitd",)),
        files=partial(contents.certificates_file, "/etc/buildkit"),
        blocks=partial(contents.buildkit, "/etc/buildkit", "buildkitd.toml"),
        restart=RestartHint("reads buildkitd.toml when it starts", "systemctl restart buildkit", "buildkitd"),
    ),
    # A hook of update-ca-certificates adds certificates to Java's keystore, and removes none; so this adds ours before,
    # under the hook's own alias, and removes the entry (ca-certificates 20230311, ca-certificates-java 20230710)
    Store(
        key="system-debian-java",
        name="system",
        clients="Java, through the system store",
        scope=MACHINE,
        signs=Signs(paths=("/etc/ca-certificates/update.d/jks-keystore",)),
        database=contents.keystore("debian:{name}.pem"),
        restart=RestartHint("reads its certificates when it starts", "start your Java programs again"),
        on_request=True,
    ),
    _system(
        "debian",
        "/usr/local/share/ca-certificates",
        ".crt",
        Refresh(
            ("update-ca-certificates",), ("update-ca-certificates", "--fresh"), "/etc/ssl/certs/ca-certificates.crt"
        ),
    ),
    _system("rhel", "/etc/pki/ca-trust/source/anchors", ".pem", Refresh(("update-ca-trust", "extract"))),
    _system("arch", "/etc/ca-certificates/trust-source/anchors", ".crt", Refresh(("trust", "extract-compat"))),
    _system("suse", "/etc/pki/trust/anchors", ".pem", Refresh(("update-ca-certificates",))),
    Store(
        key="nss",
        name="nss",
        clients="Firefox, Chromium",
        scope=USER,
        signs=Signs(programs=("certutil",)),
        database=contents.NSS,
        restart=RestartHint("reads its certificates when it starts", "close the browser and open it again"),
        on_request=True,
    ),
    Store(
        key="java",
        name="java",
        clients="Java",
        scope=MACHINE,
        signs=Signs(programs=("keytool",)),
        database=contents.keystore("{name}"),
        restart=RestartHint("reads its certificates when it starts", "start your Java programs again"),
        on_request=True,
    ),
    # docs.docker.com/desktop/troubleshoot-and-support/faqs/macfaqs; it also takes what the keychains trust
    _on_mac(
        "docker-desktop",
        "Docker Desktop",
        Signs(paths=("/Applications/Docker.app", "{home}/Applications/Docker.app")),
        "osascript -e 'quit app \"Docker\"' && open -a Docker",
    ),
    # github.com/abiosoft/colima, environment/vm/lima/certs.go
    _on_mac(
        "colima",
        "Colima",
        Signs(paths=("{home}/.colima", "{config}/colima"), programs=("colima",)),
        "colima restart",
    ),
    # github.com/orbstack/orbstack/issues/340: its engine's folder is a link to this one
    _on_mac("orbstack", "OrbStack", Signs(paths=("/Applications/OrbStack.app", "{home}/.orbstack"), programs=("orb",))),
    _keychain("system", "all users", MACHINE, contents.keychain("/Library/Keychains/System.keychain", "-d")),
    _keychain("login", "this user", USER, contents.keychain("{home}/Library/Keychains/login.keychain-db")),
    # docs.docker.com/desktop/troubleshoot-and-support/faqs/windowsfaqs: Docker Desktop takes what these trust
    _windows("all users", MACHINE),
    _windows("this user", USER, "-user"),
)
"""The stores, in the order in which they are written and shown."""

NAMES = tuple(dict.fromkeys(store.name for store in STORES))
"""Names of stores, as --only and --skip take them."""


def find(key: str) -> Store | None:
    """Return the store of a key, or None if unknown.

    A key from a newer version of the table is unknown.
    """
    return next((it for it in STORES if it.key == key), None)


def store(key: str) -> Store:
    """Return the store of a key that is known to be in the table.

    Raises:
        KeyError: The table has no such key.
    """
    found = find(key)
    if found is None:
        raise KeyError(key)
    return found
