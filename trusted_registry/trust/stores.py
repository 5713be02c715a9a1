"""One table of the stores of trust: who reads them, how to see that they are here, what goes in, and what comes after.

Everything about trust derives from it: what `trust.linux` writes, what the kit writes on a machine without Python,
what the page says, what nodes get, what is listed and what is taken away. Where each client looks is said by its own
documentation, linked at its row.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AUTHORITY = "ca.crt"
"""Docker, podman and their kin read `*.crt` as authorities and ignore `*.pem`; with a `*.key` in the folder every pull
fails (moby/moby, registry/registry.go)."""

MACHINE, USER = "machine", "user"
LINUX, MACOS, WINDOWS = "Linux", "Darwin", "Windows"


def der(text: str) -> bytes:
    """Return the first certificate in a text, as DER.

    Raises:
        ValueError: There is none.
    """
    begin = text.index(ssl.PEM_HEADER)
    return ssl.PEM_cert_to_DER_cert(text[begin : text.index(ssl.PEM_FOOTER, begin)] + ssl.PEM_FOOTER)


@dataclass(frozen=True)
class Subject:
    """What is to be trusted, and by which names.

    Args:
        content: The certificate, as PEM.
        fingerprint: Its SHA-256 in lower-case hex, of the DER.
        spellings: Every registry part of a reference that means the registry: `address.spellings`.
        file: Where the certificate lies, for programs that are handed it.
    """

    content: bytes
    fingerprint: str
    spellings: tuple[str, ...]
    file: str = ""

    @property
    def name(self) -> str:
        """What it is called in stores that hold many: by its fingerprint, so that removal finds exactly it."""
        return f"trusted-registry-{self.fingerprint[:16]}"

    @property
    def der(self) -> bytes:
        """The certificate alone, as DER: whatever else its file says is left out."""
        return der(self.content.decode("ascii", errors="replace"))

    @property
    def sha1(self) -> str:
        """What a Mac's keychain and Windows call it: SHA-1 in upper-case hex; a name, and no proof of anything."""
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest().upper()


@dataclass(frozen=True)
class File:
    """A file that is ours alone. Its path may begin with a place in braces; a spelling of "" means all of them."""

    path: str
    content: bytes
    spelling: str = ""


@dataclass(frozen=True)
class Block:
    """Lines in a file that belongs to others too, after the line `under`, or at the end where that is "".

    Args:
        path: The file; it may begin with a place in braces.
        under: The key at the left margin that the lines belong to, such as "mirrors:".
        spelling: Whom they are about; with `under`, what they are known by.
        lines: Without the margin of what stands beside them.
        claims: How a line of somebody else's about the same registry would begin, with either quotes and any blanks.
    """

    path: str
    under: str
    spelling: str
    lines: tuple[str, ...]
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Database:
    """A store that only its own program changes; in the commands {place}, {name}, {file} and {sha1} are filled in.

    Args:
        places: Folders, with * for any name; one counts where it holds `mark`. None: the program knows its own.
            With no `mark`, the database's own file.
        look: Succeeds where the certificate is in.
        add: Puts it in.
        remove: Takes it out, one command after the other.
        mark: A file that tells a database from other folders; NSS's alone has one.
        shown: What `look` is asked with besides, so that it writes the certificate as PEM.
        proof: Succeeds where the certificate of a name is trusted for TLS.
    """

    look: tuple[str, ...]
    add: tuple[str, ...]
    remove: tuple[tuple[str, ...], ...]
    places: tuple[str, ...] = ()
    mark: str = ""
    shown: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refresh:
    """What makes a change count, once for all changes of a store; after a removal another command may be needed.

    `bundle` is the file that it makes of all certificates, where that shows whether it was run.
    """

    command: tuple[str, ...]
    after_removal: tuple[str, ...] = ()
    bundle: str = ""


@dataclass(frozen=True)
class Restart:
    """What reads the store only when it starts: said, never done unasked.

    Args:
        why: What it does when it starts, after its name.
        command: What starts it anew.
        process: The program's name among the processes; empty where that tells nothing.
    """

    why: str
    command: str
    process: str = ""


@dataclass(frozen=True)
class Signs:
    """How to see that a store's readers are on a machine: any of these paths, or any of these programs.

    Args:
        paths: Each may begin with a place in braces.
        programs: Found on PATH.
        alone: Programs that count only where none of `unless` is on PATH.
        unless: See `alone`.
    """

    paths: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


def _no_files(_: Subject) -> tuple[File, ...]:
    return ()


def _no_blocks(_: Subject) -> tuple[Block, ...]:
    return ()


@dataclass(frozen=True)
class Store:
    """One row.

    Args:
        key: Unique; what the ledger knows it by.
        name: What --only and --skip take; several rows may share one.
        clients: Whose trust it is, for people.
        scope: MACHINE, which takes root to write, or USER.
        signs: How to see that it is needed here.
        files: What it holds for a subject.
        blocks: What it adds to shared files for a subject.
        database: The store itself, where it is no file.
        refresh: What makes a change count.
        restart: What must be started anew, where something must.
        hidden_by: Folders by spelling, read instead of this store's where they exist, even empty.
        system: LINUX, MACOS or WINDOWS.
        on_request: Only with --system, or by its name.
    """

    key: str
    name: str
    clients: str
    scope: str
    signs: Signs
    files: Callable[[Subject], tuple[File, ...]] = _no_files
    blocks: Callable[[Subject], tuple[Block, ...]] = _no_blocks
    database: Database | None = None
    refresh: Refresh | None = None
    restart: Restart | None = None
    hidden_by: tuple[str, ...] = ()
    system: str = LINUX
    on_request: bool = False


@dataclass(frozen=True)
class Where:
    """What the braces stand for, and what PATH leads to.

    Args:
        home: This user's home folder, and so on.
        programs: The folders where programs are.
        root: What "/" is: another folder where a machine's disk is looked at from outside.
    """

    home: Path
    config: Path
    data: Path
    run: Path
    docker: Path
    programs: tuple[Path, ...] = ()
    root: Path = Path("/")

    def path(self, template: str) -> Path:
        """Return the path that a template means here."""
        folders = {"home": self.home, "config": self.config, "data": self.data, "run": self.run, "docker": self.docker}
        path = Path(template.format_map(folders))
        return path if template.startswith("{") else self.root / path.relative_to("/")

    def block(self, block: Block) -> Block:
        """Return a block whose lines say the paths that they mean here, as whoever reads them sees those."""
        folders = {name: str(getattr(self, name)) for name in ("home", "config", "data", "run", "docker")}
        lines = []
        for line in block.lines:
            for name, folder in folders.items():
                line = line.replace(f"{{{name}}}", folder)  # noqa: PLW2901 - one brace after the other
            lines.append(line)
        return replace(block, lines=tuple(lines))


def here(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Where:
    """Return this user's folders (XDG Base Directory specification; DOCKER_CONFIG)."""
    home = home or Path.home()

    def folder(variable: str, default: Path) -> Path:
        configured = environ.get(variable, "")
        return Path(configured) if configured.startswith("/") else default

    searched = environ.get("PATH", os.defpath).split(os.pathsep)
    return Where(
        home=home,
        config=folder("XDG_CONFIG_HOME", home / ".config"),
        data=folder("XDG_DATA_HOME", home / ".local" / "share"),
        run=folder("XDG_RUNTIME_DIR", Path(f"/run/user/{os.getuid()}")),
        docker=folder("DOCKER_CONFIG", home / ".docker"),
        # where an ordinary user's PATH seldom leads, and system programs are
        programs=(*(Path(part) for part in searched if part), Path("/usr/sbin"), Path("/sbin")),
    )


def present(signs: Signs, where: Where) -> bool:
    """Whether any of the signs is seen."""
    if any(seen(where.path(path)) for path in signs.paths) or any(program(it, where) for it in signs.programs):
        return True
    return any(program(it, where) for it in signs.alone) and not any(program(it, where) for it in signs.unless)


def seen(path: Path) -> bool:
    """Whether something is at a path, as far as this user may look."""
    try:
        return path.exists()
    except PermissionError:  # such as what is another user's
        return False


def program(name: str, where: Where) -> Path | None:
    """Return where a program is, or None where it is not installed."""
    return next((folder / name for folder in where.programs if os.access(folder / name, os.X_OK)), None)


def _certs_d(folder: str) -> Callable[[Subject], tuple[File, ...]]:
    """Return the rule `FOLDER/REGISTRY/ca.crt`, one folder for each spelling."""

    def files(subject: Subject) -> tuple[File, ...]:
        return tuple(File(f"{folder}/{it}/{AUTHORITY}", subject.content, it) for it in subject.spellings)

    return files


def _hosts_toml(folder: str) -> Callable[[Subject], tuple[File, ...]]:
    """Return containerd's rule: `hosts.toml` hides every `.crt` that it does not name, so both are written.

    Some versions read the keys at the top, some the table, so each says it
    (github.com/containerd/containerd, docs/hosts.md).
    """

    def files(subject: Subject) -> tuple[File, ...]:
        found = []
        for it in subject.spellings:
            authority = f"{folder}/{it}/{AUTHORITY}"
            text = (
                f'server = "https://{it}"\nca = "{authority}"\n\n[host."https://{it}"]\n'
                f'  capabilities = ["pull", "resolve", "push"]\n  ca = "{authority}"\n'
            )
            found += [File(authority, subject.content, it), File(f"{folder}/{it}/hosts.toml", text.encode(), it)]
        return tuple(found)

    return files


def _beside(folder: str) -> Callable[[Subject], tuple[File, ...]]:
    """Return the rule for a store whose configuration names the certificate's file."""

    def files(subject: Subject) -> tuple[File, ...]:
        return (File(f"{folder}/{subject.name}.crt", subject.content),)

    return files


def _k3s(folder: str) -> Callable[[Subject], tuple[Block, ...]]:
    """Return what registries.yaml needs (docs.k3s.io/installation/private-registry)."""

    def blocks(subject: Subject) -> tuple[Block, ...]:
        path, found = f"{folder}/registries.yaml", []
        for it in subject.spellings:
            mirror = (f'"{it}":', "  endpoint:", f'    - "https://{it}"')
            config = (f'"{it}":', "  tls:", f'    ca_file: "{folder}/{subject.name}.crt"')
            claims = (f'"{it}":', f"{it}:")
            found += [Block(path, "mirrors:", it, mirror, claims), Block(path, "configs:", it, config, claims)]
        return tuple(found)

    return blocks


def _buildkit(folder: str, file: str) -> Callable[[Subject], tuple[Block, ...]]:
    """Return what buildkitd.toml needs (github.com/moby/buildkit, docs/buildkitd.toml.md).

    Its reader ends a table's name at the first `]`, quoted or not, and refuses the whole file (github.com/pelletier/
    go-toml 1.9, lexer.go): an IPv6 address cannot be named, and buildx could not create any builder.
    """

    def blocks(subject: Subject) -> tuple[Block, ...]:
        authority = f"{folder}/{subject.name}.crt"
        found = []
        for it in subject.spellings:
            if "]" in it:
                continue
            names = [f'registry."{it}"', *([] if set(it) & set(".:") else [f"registry.{it}"])]
            claims = tuple(claim for name in names for claim in (f"[{name}]", f"[{name}.", f"[[{name}."))
            lines = (f'[registry."{it}"]', f'  ca = ["{authority}"]')
            found.append(Block(f"{folder}/{file}", "", it, lines, claims))
        return tuple(found)

    return blocks


def _anchor(folder: str, suffix: str) -> Callable[[Subject], tuple[File, ...]]:
    """Return the rule for an operating system's folder of further authorities: one certificate a file."""

    def files(subject: Subject) -> tuple[File, ...]:
        return (File(f"{folder}/{subject.name}{suffix}", subject.content),)

    return files


_DESKTOP = "copies the certificates into its machine when it starts"
_MAC_CERTS_D = "{home}/.docker/certs.d"
_PROGRAMS = "curl, git, helm, oras, crane, Python"
_NSS = Database(
    places=(
        "{home}/.pki/nssdb",
        "{data}/pki/nssdb",
        "{home}/snap/chromium/current/.pki/nssdb",
        "{home}/.mozilla/firefox/*",
        "{config}/mozilla/firefox/*",
        "{home}/snap/firefox/common/.mozilla/firefox/*",
        "{home}/.var/app/org.mozilla.firefox/.mozilla/firefox/*",
    ),
    mark="cert9.db",
    look=("certutil", "-L", "-d", "sql:{place}", "-n", "{name}"),
    shown=("-a",),
    proof=("certutil", "-V", "-u", "L", "-d", "sql:{place}", "-n", "{name}"),
    add=("certutil", "-A", "-d", "sql:{place}", "-t", "C,,", "-n", "{name}", "-i", "{file}"),
    remove=(("certutil", "-D", "-d", "sql:{place}", "-n", "{name}"),),
)


def _keystore(alias: str) -> Database:
    """Return what Java trusts, and what the certificate is called in it."""
    named = ("-cacerts", "-storepass", "changeit", "-alias", alias)
    return Database(
        look=("keytool", "-list", *named),
        shown=("-rfc",),
        add=("keytool", "-importcert", "-noprompt", *named, "-file", "{file}"),
        remove=(("keytool", "-delete", *named),),
    )


def _keychain(place: str, *domain: str) -> Database:
    """Return a keychain; `-d` is the trust settings of all users, whatever keychain is named (security(1)).

    Trusted for TLS; and for `basic`, by which an authority is asked about: the rules for TLS are a server's.
    """
    return Database(
        places=(place,),
        look=("security", "verify-cert", "-q", "-l", "-L", "-p", "basic", "-c", "{file}"),
        add=(
            *("security", "add-trusted-cert", *domain, "-r", "trustRoot", "-p", "ssl", "-p", "basic"),
            *("-k", "{place}", "{file}"),
        ),
        remove=(
            ("security", "remove-trusted-cert", *domain, "{file}"),
            ("security", "delete-certificate", "-Z", "{sha1}", "{place}"),
        ),
    )


def _root_store(*whose: str) -> Database:
    """Return a root store of Windows (learn.microsoft.com, certutil)."""
    return Database(
        look=("certutil", *whose, "-store", "ROOT", "{sha1}"),
        add=("certutil", *whose, "-addstore", "-f", "ROOT", "{file}"),
        remove=(("certutil", *whose, "-delstore", "ROOT", "{sha1}"),),
    )


STORES: tuple[Store, ...] = (
    # docs.docker.com/engine/security/certificates
    Store(
        key="docker",
        name="docker",
        clients="Docker Engine",
        scope=MACHINE,
        signs=Signs(paths=("/run/docker.sock", "/var/run/docker.sock", "/var/lib/docker")),
        files=_certs_d("/etc/docker/certs.d"),
    ),
    # docs.docker.com/engine/security/rootless
    Store(
        key="docker-rootless",
        name="docker-rootless",
        clients="Docker Engine without root",
        scope=USER,
        signs=Signs(paths=("{run}/docker.sock", "{data}/docker")),
        files=_certs_d("{config}/docker/certs.d"),
    ),
    # docs.docker.com/desktop/features/networking; Desktop on Linux reads the same folder as on a Mac
    Store(
        key="docker-desktop",
        name="docker",
        clients="Docker Desktop",
        scope=USER,
        signs=Signs(paths=("{home}/.docker/desktop",)),
        files=_certs_d("{home}/.docker/certs.d"),
        restart=Restart(_DESKTOP, "systemctl --user restart docker-desktop"),
    ),
    # github.com/containers/image, docs/containers-certs.d.5.md: the first folder that exists, never two of them
    Store(
        key="containers",
        name="podman",
        clients="podman, skopeo, buildah, CRI-O",
        scope=MACHINE,
        signs=Signs(paths=("/etc/crio",), programs=("podman", "skopeo", "buildah", "crio")),
        files=_certs_d("/etc/containers/certs.d"),
        hidden_by=("{home}/.config/containers/certs.d",),
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
        files=_hosts_toml("/etc/containerd/certs.d"),
    ),
    Store(
        key="k3s",
        name="k3s",
        clients="k3s, k3d",
        scope=MACHINE,
        signs=Signs(paths=("/etc/rancher/k3s", "/var/lib/rancher/k3s"), programs=("k3s",)),
        files=_beside("/etc/rancher/k3s"),
        blocks=_k3s("/etc/rancher/k3s"),
        restart=Restart(
            "reads registries.yaml when it starts", "systemctl restart k3s || systemctl restart k3s-agent", "k3s"
        ),
    ),
    # docs.docker.com/build/buildkit/configure: what `docker buildx create` takes where no other file is named
    Store(
        key="buildx",
        name="buildkit",
        clients="docker buildx, container driver",
        scope=USER,
        signs=Signs(paths=("{docker}/buildx/instances",)),
        files=_beside("{docker}/buildx"),
        blocks=_buildkit("{docker}/buildx", "buildkitd.default.toml"),
        restart=Restart(
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
        files=_beside("/etc/buildkit"),
        blocks=_buildkit("/etc/buildkit", "buildkitd.toml"),
        restart=Restart("reads buildkitd.toml when it starts", "systemctl restart buildkit", "buildkitd"),
    ),
    # The operating system's own: each family's folder is its sign, since its program's name may be another family's too
    # update-ca-certificates tells Java of what comes, by a hook, and not of what goes; so this puts it in beforehand,
    # under the hook's own name for it, and takes it out again (ca-certificates 20230311, ca-certificates-java 20230710)
    Store(
        key="system-debian-java",
        name="system",
        clients="Java, told by the system",
        scope=MACHINE,
        signs=Signs(paths=("/etc/ca-certificates/update.d/jks-keystore",)),
        database=_keystore("debian:{name}.pem"),
        restart=Restart("reads its certificates when it starts", "start your Java programs again"),
        on_request=True,
    ),
    Store(
        key="system-debian",
        name="system",
        clients=_PROGRAMS,
        scope=MACHINE,
        signs=Signs(paths=("/usr/local/share/ca-certificates",)),
        files=_anchor("/usr/local/share/ca-certificates", ".crt"),
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
        files=_anchor("/etc/pki/ca-trust/source/anchors", ".pem"),
        refresh=Refresh(("update-ca-trust", "extract")),
        on_request=True,
    ),
    Store(
        key="system-arch",
        name="system",
        clients=_PROGRAMS,
        scope=MACHINE,
        signs=Signs(paths=("/etc/ca-certificates/trust-source/anchors",)),
        files=_anchor("/etc/ca-certificates/trust-source/anchors", ".crt"),
        refresh=Refresh(("trust", "extract-compat")),
        on_request=True,
    ),
    Store(
        key="system-suse",
        name="system",
        clients=_PROGRAMS,
        scope=MACHINE,
        signs=Signs(paths=("/etc/pki/trust/anchors",)),
        files=_anchor("/etc/pki/trust/anchors", ".pem"),
        refresh=Refresh(("update-ca-certificates",)),
        on_request=True,
    ),
    Store(
        key="nss",
        name="nss",
        clients="Firefox, Chromium",
        scope=USER,
        signs=Signs(programs=("certutil",)),
        database=_NSS,
        restart=Restart("reads its certificates when it starts", "close the browser and open it again"),
        on_request=True,
    ),
    Store(
        key="java",
        name="java",
        clients="Java",
        scope=MACHINE,
        signs=Signs(programs=("keytool",)),
        database=_keystore("{name}"),
        restart=Restart("reads its certificates when it starts", "start your Java programs again"),
        on_request=True,
    ),
    # docs.docker.com/desktop/troubleshoot-and-support/faqs/macfaqs; it also takes what the keychains trust
    Store(
        key="macos-docker-desktop",
        name="docker",
        clients="Docker Desktop",
        scope=USER,
        signs=Signs(paths=("/Applications/Docker.app", "{home}/Applications/Docker.app")),
        files=_certs_d(_MAC_CERTS_D),
        restart=Restart(_DESKTOP, "osascript -e 'quit app \"Docker\"' && open -a Docker"),
        system=MACOS,
    ),
    # github.com/abiosoft/colima, environment/vm/lima/certs.go
    Store(
        key="macos-colima",
        name="docker",
        clients="Colima",
        scope=USER,
        signs=Signs(paths=("{home}/.colima", "{config}/colima"), programs=("colima",)),
        files=_certs_d(_MAC_CERTS_D),
        restart=Restart(_DESKTOP, "colima restart"),
        system=MACOS,
    ),
    # github.com/orbstack/orbstack/issues/340: its engine's folder is a link to this one
    Store(
        key="macos-orbstack",
        name="docker",
        clients="OrbStack",
        scope=USER,
        signs=Signs(paths=("/Applications/OrbStack.app", "{home}/.orbstack"), programs=("orb",)),
        files=_certs_d(_MAC_CERTS_D),
        system=MACOS,
    ),
    Store(
        key="macos-system",
        name="keychain",
        clients="Safari, Chrome, curl, git and Go programs, of all users",
        scope=MACHINE,
        signs=Signs(programs=("security",)),
        database=_keychain("/Library/Keychains/System.keychain", "-d"),
        system=MACOS,
        on_request=True,
    ),
    Store(
        key="macos-login",
        name="keychain",
        clients="Safari, Chrome, curl, git and Go programs, of this user",
        scope=USER,
        signs=Signs(programs=("security",)),
        database=_keychain("{home}/Library/Keychains/login.keychain-db"),
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
        database=_root_store(),
        restart=Restart(_DESKTOP, "docker desktop restart"),
        system=WINDOWS,
        on_request=True,
    ),
    Store(
        key="windows-user",
        name="windows",
        clients="Docker Desktop, Edge, Chrome, curl, .NET and Go programs, of this user",
        scope=USER,
        signs=Signs(programs=("certutil",)),
        database=_root_store("-user"),
        restart=Restart(_DESKTOP, "docker desktop restart"),
        system=WINDOWS,
        on_request=True,
    ),
)
"""The order is the one in which they are written and shown."""

NAMES = tuple(dict.fromkeys(store.name for store in STORES))
"""What --only and --skip take."""
