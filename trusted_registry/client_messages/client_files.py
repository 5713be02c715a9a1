"""Messages about files of the client's own under certs.d, with which every pull fails."""

from __future__ import annotations

from trusted_registry.client_messages.cures import TRUST
from trusted_registry.client_messages.message import Step, client

_NAMES_THE_FILE = Step("./inv doctor", "names the file, wherever it lies", instead=True)
_FILE_AWAY = Step("sudo mv /etc/docker/certs.d/{registry}/{file} /etc/docker/certs.d/{registry}/{file}.unused")

MESSAGES = (
    client(
        "stray-key",
        (r"[Mm]issing (?:client )?certificate \S+ for key (?P<file>\S+)",),
        "docker, podman, skopeo, buildah",
        "A private key lies in the directory of {registry} under certs.d: then it is taken for a client's, and every "
        "pull fails. Only ca.crt belongs there.",
        (_FILE_AWAY, _NAMES_THE_FILE),
        ("certs.d",),
    ),
    client(
        "stray-cert",
        (r"[Mm]issing key \S+ for client certificate (?P<file>[^\s.]+(\.[^\s.]+)*)",),
        "docker, podman, skopeo, buildah",
        "The authority's certificate under certs.d ends in .cert, which means a client's; an authority's ends in .crt.",
        (_FILE_AWAY, TRUST, _NAMES_THE_FILE),
        ("certs.d",),
    ),
    client(
        "dangling",
        (
            (
                r"(?:open|stat|read) (?P<path>/\S+certs\.d/(?P<registry>[^/\s]+)/\S+): (?:no such file"
                r"|too many levels of symbolic links)"
            ),
        ),
        "docker, podman, skopeo, buildah",
        "{path} is a link to a file that is not there, or has been removed: then every pull fails.",
        (Step("sudo rm --force {path}"), TRUST),
        ("certs.d",),
    ),
    client(
        "no-file",
        (r"read (?P<path>/\S+certs\.d/(?P<registry>[^/\s]+)/\S+): is a directory",),
        "docker, podman, skopeo, buildah",
        "{path} is a folder, and is called as an authority's file is: then every pull fails.",
        (Step("sudo mv {path} {path}.unused"), TRUST),
        ("certs.d",),
    ),
    client(
        "client-pair",
        (
            r"failed to find any PEM data in (?:certificate|key) input|failed to find PEM block with type ending in",
            r"tls: private key does not match public key|tls: failed to parse (?:private key|\S+ PEM data)",
            r"PEM data in \S+ input, but did find|found a certificate rather than a key|PEM inputs may have been",
        ),
        "docker, podman, skopeo, buildah",
        "A client's certificate lies in the directory of {registry} under certs.d, and it or its key is no PEM, has a "
        "passphrase, or belongs to another: then every pull fails. The registry's own files are not meant.",
        (
            Step(
                "cd '{certs_d}/{registry}' && sudo mkdir unused && sudo mv client.cert client.key unused",
                "whatever the two are called; this project's registry asks for none",
            ),
            _NAMES_THE_FILE,
        ),
        ("certs.d",),
        beside=r"response from daemon|docker://|[Pp]inging (?:container|docker) registry|certs\.d/",
    ),
)
