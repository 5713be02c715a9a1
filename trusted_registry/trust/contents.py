"""Contents of each trust store: files and managed blocks that clients read, and commands of their programs."""

from __future__ import annotations

from trusted_registry.trust.model import Database, File, ManagedBlock, TrustAnchor

AUTHORITY = "ca.crt"
"""File name of the authority in a folder of `certs.d`.

Docker, podman and similar clients read `*.crt` as authorities and ignore `*.pem`; with a lone `*.key` in the folder
every pull fails (moby/moby, registry/registry.go)."""

NEXT_AUTHORITY = "ca-new.crt"
"""File name of the authority that a registry changes over to: a file of its own, since some readers take one
certificate from each."""

_DIAL_TIMEOUT = "2s"
"""Time after which Docker 28 and containerd 2 take a mirror for gone; older ones do not read it."""

_DROP_INS, _DROP_IN = "/etc/containers/registries.conf.d", "50-trusted-registry-mirror.conf"


def certs_d(folder: str, anchor: TrustAnchor) -> tuple[File, ...]:
    """Return `FOLDER/REGISTRY_HOST/ca.crt`, one folder for each host, and `ca-new.crt` during a changeover."""
    return tuple(file for it in anchor.hosts for file in _authorities(f"{folder}/{it}", it, anchor))


def docker(folder: str, anchor: TrustAnchor) -> tuple[File, ...]:
    """Return Docker's files: the same, and `hosts.toml` for each upstream that has a mirror.

    Docker 28 reads those, for the containerd store and for builds; older ones ignore them (moby/moby, daemon/hosts.go).
    """
    return (*certs_d(folder, anchor), *_mirrors_toml(folder, anchor))


def _mirrors_toml(folder: str, anchor: TrustAnchor) -> list[File]:
    """Return `hosts.toml` for each upstream; the upstream itself is asked where the mirror is gone.

    Not one for all: under its name another upstream's image would come (containerd, docs/hosts.md, "_default").
    """
    found = []
    for it in anchor.mirrors:
        quoted = [f'"{file.path}"' for file in _authorities(f"{folder}/{it.registry_host}", it.registry_host, anchor)]
        ca = quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"
        text = (
            f'[host."https://{it.registry_host}"]\n  capabilities = ["pull", "resolve"]\n  ca = {ca}\n'
            f'  dial_timeout = "{_DIAL_TIMEOUT}"\n'
        )
        found.append(File(f"{folder}/{it.upstream}/hosts.toml", text.encode(), it.registry_host))
    return found


def containers(anchor: TrustAnchor) -> tuple[File, ...]:
    """Return the files of podman and similar programs: the authorities, and a drop-in with the mirrors.

    The upstream itself is asked where the mirror is gone (containers-registries.conf(5)).
    """
    tables = [
        f'[[registry]]\nlocation = "{it.upstream}"\n\n[[registry.mirror]]\nlocation = "{it.registry_host}"\n'
        for it in anchor.mirrors
    ]
    dropped = [File(f"{_DROP_INS}/{_DROP_IN}", "\n".join(tables).encode())] if tables else []
    return (*certs_d("/etc/containers/certs.d", anchor), *dropped)


def _authorities(folder: str, registry_host: str, anchor: TrustAnchor) -> list[File]:
    names = (AUTHORITY, NEXT_AUTHORITY)
    return [File(f"{folder}/{name}", it.content, registry_host) for name, it in zip(names, anchor.all, strict=False)]


def hosts_toml(folder: str, anchor: TrustAnchor) -> tuple[File, ...]:
    """Return containerd's files: `ca.crt` and `hosts.toml` for each host.

    containerd ignores every `.crt` that `hosts.toml` does not name, so both are written. Some versions read the keys at
    the top, others the table, so each names the authority (github.com/containerd/containerd, docs/hosts.md).
    """
    found = []
    for it in anchor.hosts:
        authorities = _authorities(f"{folder}/{it}", it, anchor)
        quoted = [f'"{file.path}"' for file in authorities]
        ca = quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"
        text = (
            f'server = "https://{it}"\nca = {ca}\n\n[host."https://{it}"]\n'
            f'  capabilities = ["pull", "resolve", "push"]\n  ca = {ca}\n'
        )
        found += [*authorities, File(f"{folder}/{it}/hosts.toml", text.encode(), it)]
    return (*found, *_mirrors_toml(folder, anchor))


def certificate_file(folder: str, suffix: str, anchor: TrustAnchor) -> tuple[File, ...]:
    """Return the certificate by its name in a folder: of the system's authorities, or that a configuration names."""
    return tuple(File(f"{folder}/{it.name}{suffix}", it.content) for it in anchor.all)


def certificates_file(folder: str, anchor: TrustAnchor) -> tuple[File, ...]:
    """Return the file that a configuration names, with both authorities during a changeover.

    Its readers, k3s and BuildKit, take all certificates in there, so the lines that name the file stay as they are.
    """
    return (File(f"{folder}/{anchor.name}.crt", b"".join(it.content for it in anchor.all)),)


def k3s(folder: str, anchor: TrustAnchor) -> tuple[ManagedBlock, ...]:
    """Return the blocks of the registries.yaml of k3s and RKE2.

    The format is in docs.k3s.io/installation/private-registry.
    """
    path, found = f"{folder}/registries.yaml", []
    asked = {**{it: it for it in anchor.registry_hosts}, **{it.upstream: it.registry_host for it in anchor.mirrors}}
    for it, at in asked.items():
        mirror = (f'"{it}":', "  endpoint:", f'    - "https://{at}"')
        config = (f'"{at}":', "  tls:", f'    ca_file: "{folder}/{anchor.name}.crt"')
        found.append(ManagedBlock(path, "mirrors:", it, mirror, (f'"{it}":', f"{it}:")))
        found.append(ManagedBlock(path, "configs:", at, config, (f'"{at}":', f"{at}:")))
    return tuple(found)


def buildkit(folder: str, file: str, anchor: TrustAnchor) -> tuple[ManagedBlock, ...]:
    """Return the blocks of buildkitd.toml, IPv6 left out.

    The format is in github.com/moby/buildkit, docs/buildkitd.toml.md. BuildKit's TOML reader ends a table's name at the
    first `]`, quoted or not, and refuses the whole file (github.com/pelletier/go-toml 1.9, lexer.go): with the name of
    an IPv6 address in the file, buildx could not create any builder.
    """
    said = dict.fromkeys(anchor.hosts, f'ca = ["{folder}/{anchor.name}.crt"]')
    said |= {it.upstream: f'mirrors = ["{it.registry_host}"]' for it in anchor.mirrors if "]" not in it.registry_host}
    found = []
    for it, line in said.items():
        if "]" not in it:
            names = [f'registry."{it}"', *([] if set(it) & set(".:") else [f"registry.{it}"])]
            claims = tuple(claim for name in names for claim in (f"[{name}]", f"[{name}.", f"[[{name}]", f"[[{name}."))
            claims = (*claims, f'"{it}"=', f'"{it}".', *([f"{it}=", f"{it}."] if len(names) > 1 else []))
            found.append(ManagedBlock(f"{folder}/{file}", "", it, (f'[registry."{it}"]', f"  {line}"), claims))
    return tuple(found)


def keystore(alias: str) -> Database:
    """Return Java's keystore, with the certificate under an alias."""
    named = ("-cacerts", "-storepass", "changeit", "-alias", alias)
    return Database(
        find=("keytool", "-list", *named),
        as_pem=("-rfc",),
        add=("keytool", "-importcert", "-noprompt", *named, "-file", "{file}"),
        remove=(("keytool", "-delete", *named),),
    )


def keychain(place: str, *domain: str) -> Database:
    """Return a macOS keychain.

    `-d` means the trust settings of all users, for any keychain (security(1)). The certificate is trusted for TLS and
    for `basic`, the policy that verifies an authority: the policy of TLS is for servers.
    """
    return Database(
        places=(place,),
        find=("security", "verify-cert", "-q", "-l", "-L", "-p", "basic", "-c", "{file}"),
        add=(
            *("security", "add-trusted-cert", *domain, "-r", "trustRoot", "-p", "ssl", "-p", "basic"),
            *("-k", "{place}", "{file}"),
        ),
        remove=(
            ("security", "remove-trusted-cert", *domain, "{file}"),
            ("security", "delete-certificate", "-Z", "{sha1}", "{place}"),
        ),
    )


def root_store(*whose: str) -> Database:
    """Return a root store of Windows (learn.microsoft.com, certutil)."""
    return Database(
        find=("certutil", *whose, "-store", "ROOT", "{sha1}"),
        add=("certutil", *whose, "-addstore", "-f", "ROOT", "{file}"),
        remove=(("certutil", *whose, "-delstore", "ROOT", "{sha1}"),),
    )


NSS = Database(
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
    find=("certutil", "-L", "-d", "sql:{place}", "-n", "{name}"),
    as_pem=("-a",),
    proof=("certutil", "-V", "-u", "L", "-d", "sql:{place}", "-n", "{name}"),
    add=("certutil", "-A", "-d", "sql:{place}", "-t", "C,,", "-n", "{name}", "-i", "{file}"),
    remove=(("certutil", "-D", "-d", "sql:{place}", "-n", "{name}"),),
)
"""NSS databases of browsers, one in each profile."""
