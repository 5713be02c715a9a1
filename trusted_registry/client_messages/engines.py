"""Messages of engines, and about this machine's sockets, settings and files, which they and other clients read."""

from __future__ import annotations

from trusted_registry.client_messages.cures import TRUST, at_registry
from trusted_registry.client_messages.message import Step, client, server, service

_OPENED = r"(?:open|stat|lstat|read|scandir) (?P<path>/[^\s:]+/certs\.d/(?P<registry>[^/\s]+?)(?:/[^\s:]+)?"

MESSAGES = (
    service(
        "engine-tls",
        (
            (
                r"(?:error during connect|error occurred trying to connect): .{0,300}(?:x509: |tls: |bad certificate"
                r"|malformed HTTP)"
            ),
            r"https?://[^\s/\"]+/v1\.\d+/\S{0,300} (?:x509: |remote error|net/http: HTTP/1)",
            r"Are you trying to connect to a TLS-enabled daemon without TLS|server probably has client authentication",
        ),
        "docker, docker-machine",
        "The engine's own API is not trusted here, not a registry: DOCKER_HOST or the context names an engine over "
        "TLS, whose certificates are in DOCKER_CERT_PATH.",
        (
            Step("docker context ls", "names the engine that is asked; DOCKER_HOST goes before it"),
            Step("unset DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH", "for this machine's own engine", instead=True),
        ),
        ("engine",),
        unless=r"dial unix",
    ),
    client(
        "daemon-json-twice",
        (r"specified both as a flag and in the configuration file",),
        "the engine",
        "The engine does not start: daemon.json says something that a flag of dockerd says too.",
        (
            Step(
                "systemctl cat docker.service; cat /etc/default/docker",
                "shows the flags, after ExecStart= or in DOCKER_OPTS",
            ),
            Step("sudo editor /etc/docker/daemon.json", "remove what is named from here, or its flag from there"),
            Step("sudo systemctl restart docker"),
        ),
        ("insecure",),
    ),
    client(
        "daemon-json",
        (r"unable to configure the Docker daemon with file",),
        "the engine",
        "The engine does not start: its daemon.json is not JSON, or has a word that this engine does not know.",
        (
            Step("sudo python3 -m json.tool /etc/docker/daemon.json", "names the line that is not JSON"),
            Step("sudo editor /etc/docker/daemon.json"),
            Step("sudo systemctl restart docker"),
        ),
    ),
    service(
        "engine-refuses-user",
        (
            r"permission denied while trying to connect to the [Dd]ocker|Got permission denied.*docker",
            r"docker\.sock: (?:connect: )?permission denied|[Pp]ermission denied:? \S{0,200}docker\.sock",
        ),
        "docker",
        "You may not use Docker yet: its socket belongs to the group docker, and you are not in it.",
        (Step("sudo usermod --append --groups docker $USER", "then log in again"),),
        ("engine",),
    ),
    service(
        "no-engine",
        (
            r"Cannot connect to the Docker daemon|Is the docker daemon running|No Docker Engine answers",
            r"docker\.sock: (?:connect: )?no such file",
        ),
        "docker",
        "No engine answers on this machine, or the one that DOCKER_HOST or the context names.",
        (Step("./inv engine", "installs and starts one"),),
        ("engine",),
    ),
    service(
        "no-containerd",
        (r"failed to dial \"?/run/\S*containerd\.sock", r"/run/\S*containerd\.sock: (connect: )?no such file"),
        "ctr, crictl, nerdctl",
        "No containerd answers at that socket; Docker may run one of its own elsewhere, below /run/docker.",
        (Step("sudo systemctl enable --now containerd"),),
        ("containerd",),
    ),
    client(
        "login-file",
        (r"(containers|docker)/\S*(auth|config)\.json: permission denied",),
        "podman, skopeo, buildah",
        "The file with this user's logins is another's: after su or sudo, XDG_RUNTIME_DIR is not this user's.",
        (Step('export XDG_RUNTIME_DIR="/run/user/$(id -u)"', "or log in as that user: sudo machinectl shell USER@"),),
    ),
    client(
        "containerd-mirrors",
        (r"mirrors. cannot be set when .config_path. is provided",),
        "containerd",
        "containerd's config.toml has registry.mirrors beside config_path: then it loads no images at all.",
        (
            Step("sudo editor /etc/containerd/config.toml", "remove the tables registry.mirrors"),
            Step("sudo systemctl restart containerd"),
        ),
        ("containerd",),
    ),
    client(
        "toml-twice",
        (r"duplicated tables|[Tt]able .{1,100} already (?:exists|defined)|duplicate keys?\b",),
        "containerd",
        "containerd does not start: its config.toml has a table twice; one was probably added by hand.",
        (
            Step("sudo editor /etc/containerd/config.toml", "join the two; the message's first number is the line"),
            Step("sudo systemctl restart containerd"),
        ),
        ("containerd",),
        beside=r"(?i:toml|containerd)",
    ),
    service(
        "no-cri",
        (r"unknown service runtime\.v1(alpha2)?\.(Image|Runtime)Service",),
        "crictl, Kubernetes",
        "containerd runs without the part that Kubernetes talks to: Docker's package switches it off "
        "(disabled_plugins), or its configuration kept it from loading.",
        (
            Step("sudo editor /etc/containerd/config.toml", 'remove "cri" from disabled_plugins'),
            Step("sudo systemctl restart containerd"),
        ),
        ("containerd",),
    ),
    client(
        "unreadable-key",
        (rf"{_OPENED}\.key): permission denied",),
        "podman, skopeo, buildah, docker manifest",
        "{path} is a client's private key, which its owner alone may read, and this user is another. It is for "
        "registries that ask for a client's certificate, which this project's does not.",
        (
            Step("sudo mv {path} {path}.unused", "and the .cert beside it: where {registry} asks for none"),
            Step('sudo chown "$USER" {path}', "where it does, and this user alone pulls", instead=True),
        ),
        ("certs.d",),
    ),
    client(
        "unreadable",
        (rf"{_OPENED}): permission denied", r"certs\.d.{0,200}permission denied"),
        "podman, skopeo, buildah, docker manifest",
        "This user may not read a certificate, or its folder; they are public, and everyone may.",
        (Step("sudo chmod go+rX {paths}"), TRUST),
        ("certs.d",),
    ),
    server(
        "key-unreadable",
        (r"open (/config|/certs)/domain\.(key|crt): (permission denied|no such file or directory)",),
        "the registry's own log",
        "The registry's container may not read its key, or it is not there.",
        (at_registry("./inv registry.tls", "recreates the container with what it needs"),),
        ("files", "container"),
    ),
)
