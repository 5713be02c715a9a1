"""The table of trust stores: their clients, the signs of these on a machine, the contents, and the step after a change.

Everything about trust derives from this table: the files that `trust.linux` writes and those that the kit writes on a
machine without Python, the page, the trust of nodes, the list, and the removal. The folder of each client is from the
client's own documentation, linked at the entry.
"""

from __future__ import annotations

from trusted_registry.trust import contents
from trusted_registry.trust.model import MACHINE, MACOS, USER, WINDOWS, Refresh, RestartHint, Signs, Store

_DESKTOP = "copies the certificates into its machine when it starts"
_MAC_CERTS_D = "{home}/.docker/certs.d"
_PROGRAMS = "curl, git, helm, oras, crane, Python"

STORES: tuple[Store, ...] = (
    # docs.docker.com/engine/security/certificates
    Store(
        key="docker",
        name="docker",
        clients="Docker Engine",
        scope=MACHINE,
        signs=Signs(paths=("/run/docker.sock", "/var/run/docker.sock", "/var/lib/docker")),
        files=contents.certs_d("/etc/docker/certs.d"),
    ),
    # docs.docker.com/engine/security/rootless
    Store(
        key="docker-rootless",
        name="docker-rootless",
        clients="Docker Engine without root",
        scope=USER,
        signs=Signs(paths=("{run}/docker.sock", "{data}/docker")),
        files=contents.certs_d("{config}/docker/certs.d"),
    ),
    # docs.docker.com/desktop/features/networking; Desktop on Linux reads the same folder as on a Mac
    Store(
        key="docker-desktop",
        name="docker",
        clients="Docker Desktop",
        scope=USER,
        signs=Signs(paths=("{home}/.docker/desktop",)),
        files=contents.certs_d("{home}/.docker/certs.d"),
        restart=RestartHint(_DESKTOP, "systemctl --user restart docker-desktop"),
    ),
    # github.com/containers/image, docs/containers-certs.d.5.md: the first folder that exists, never two of them
    Store(
        key="containers",
        name="podman",
        clients="podman, skopeo, buildah, CRI-O",
        scope=MACHINE,
        signs=Signs(paths=("/etc/crio",), programs=("podman", "skopeo", "buildah", "crio")),
        files=contents.certs_d("/etc/containers/certs.d"),
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
            alone=("containerd",),  # beside an engine it is that engine's own, and k3s has another in it
            unless=("dockerd", "k3s"),
        ),
        files=contents.hosts_toml("/etc/containerd/certs.d"),
    ),
    Store(
        key="k3s",
        name="k3s",
        clients="k3s, k3d",
        scope=MACHINE,
        # not the configuration's folder alone: other programs use that too, and k3s may be gone
        signs=Signs(
            paths=("/etc/rancher/k3s/config.yaml", "/etc/rancher/k3s/registries.yaml", "/var/lib/rancher/k3s"),
            programs=("k3s",),
        ),
        files=contents.certificate_file("/etc/rancher/k3s"),
        blocks=contents.k3s("/etc/rancher/k3s"),
        restart=RestartHint(
            "reads registries.yaml when it starts", "systemctl restart k3s || systemctl restart k3s-agent", "k3s"
        ),
    ),
    # docs.docker.com/build/buildkit/configure: the default file of `docker buildx create`
    Store(
        key="buildx",
        name="buildkit",
        clients="docker buildx, container driver",
        scope=USER,
        signs=Signs(paths=("{docker}/buildx/instances",)),
        files=contents.certificate_file("{docker}/buildx"),
        blocks=contents.buildkit("{docker}/buildx", "buildkitd.default.toml"),
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
        files=contents.certificate_file("/etc/buildkit"),
        blocks=contents.buildkit("/etc/buildkit", "buildkitd.toml"),
        restart=RestartHint("reads buildkitd.toml when it starts", "systemctl restart buildkit", "buildkitd"),
    ),
    # The operating system's own: each family's folder is its sign, since its program's name may be another family's too
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
    Store(
        key="system-debian",
        name="system",
        clients=_PROGRAMS,
        scope=MACHINE,
        signs=Signs(paths=("/usr/local/share/ca-certificates",)),
        files=contents.system_store("/usr/local/share/ca-certificates", ".crt"),
        refresh=Refresh(
            ("update-ca-certificates",), ("update-ca-certificates", "--fresh"), "/etc/ssl/certs/ca-certificates.crt"
        ),
        on_request=True,
    ),
    Store(
        key="system-rhel",
        name="system",
        clients=_PROGRAMS,
        scope=MACHINE,
        signs=Signs(paths=("/etc/pki/ca-trust/source/anchors",)),
        files=contents.system_store("/etc/pki/ca-trust/source/anchors", ".pem"),
        refresh=Refresh(("update-ca-trust", "extract")),
        on_request=True,
    ),
    Store(
        key="system-arch",
        name="system",
        clients=_PROGRAMS,
        scope=MACHINE,
        signs=Signs(paths=("/etc/ca-certificates/trust-source/anchors",)),
        files=contents.system_store("/etc/ca-certificates/trust-source/anchors", ".crt"),
        refresh=Refresh(("trust", "extract-compat")),
        on_request=True,
    ),
    Store(
        key="system-suse",
        name="system",
        clients=_PROGRAMS,
        scope=MACHINE,
        signs=Signs(paths=("/etc/pki/trust/anchors",)),
        files=contents.system_store("/etc/pki/trust/anchors", ".pem"),
        refresh=Refresh(("update-ca-certificates",)),
        on_request=True,
    ),
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
    Store(
        key="macos-docker-desktop",
        name="docker",
        clients="Docker Desktop",
        scope=USER,
        signs=Signs(paths=("/Applications/Docker.app", "{home}/Applications/Docker.app")),
        files=contents.certs_d(_MAC_CERTS_D),
        restart=RestartHint(_DESKTOP, "osascript -e 'quit app \"Docker\"' && open -a Docker"),
        system=MACOS,
    ),
    # github.com/abiosoft/colima, environment/vm/lima/certs.go
    Store(
        key="macos-colima",
        name="docker",
        clients="Colima",
        scope=USER,
        signs=Signs(paths=("{home}/.colima", "{config}/colima"), programs=("colima",)),
        files=contents.certs_d(_MAC_CERTS_D),
        restart=RestartHint(_DESKTOP, "colima restart"),
        system=MACOS,
    ),
    # github.com/orbstack/orbstack/issues/340: its engine's folder is a link to this one
    Store(
        key="macos-orbstack",
        name="docker",
        clients="OrbStack",
        scope=USER,
        signs=Signs(paths=("/Applications/OrbStack.app", "{home}/.orbstack"), programs=("orb",)),
        files=contents.certs_d(_MAC_CERTS_D),
        system=MACOS,
    ),
    Store(
        key="macos-system",
        name="keychain",
        clients="Safari, Chrome, curl, git and Go programs, of all users",
        scope=MACHINE,
        signs=Signs(programs=("security",)),
        database=contents.keychain("/Library/Keychains/System.keychain", "-d"),
        system=MACOS,
        on_request=True,
    ),
    Store(
        key="macos-login",
        name="keychain",
        clients="Safari, Chrome, curl, git and Go programs, of this user",
        scope=USER,
        signs=Signs(programs=("security",)),
        database=contents.keychain("{home}/Library/Keychains/login.keychain-db"),
        system=MACOS,
        on_request=True,
    ),
    # docs.docker.com/desktop/troubleshoot-and-support/faqs/windowsfaqs: Docker Desktop takes what these trust
    Store(
        key="windows-machine",
        name="windows",
        clients="Docker Desktop, Edge, Chrome, curl, .NET and Go programs, of all users",
        scope=MACHINE,
        signs=Signs(programs=("certutil",)),
        database=contents.root_store(),
        restart=RestartHint(_DESKTOP, "docker desktop restart"),
        system=WINDOWS,
        on_request=True,
    ),
    Store(
        key="windows-user",
        name="windows",
        clients="Docker Desktop, Edge, Chrome, curl, .NET and Go programs, of this user",
        scope=USER,
        signs=Signs(programs=("certutil",)),
        database=contents.root_store("-user"),
        restart=RestartHint(_DESKTOP, "docker desktop restart"),
        system=WINDOWS,
        on_request=True,
    ),
)
"""The stores, in the order in which they are written and shown."""

NAMES = tuple(dict.fromkeys(store.name for store in STORES))
"""Names of stores, as --only and --skip take them."""


def find(key: str) -> Store | None:
    """Return the store of a key, or None if unknown.

    A key from a newer version of the table is unknown.
    """
    return next((store for store in STORES if store.key == key), None)


def store(key: str) -> Store:
    """Return the store of a key that is known to be in the table.

    Raises:
        KeyError: The table has no such key.
    """
    found = find(key)
    if found is None:
        raise KeyError(key)
    return found
