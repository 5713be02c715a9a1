"""Messages of registries and engines: logins, images, disks, settings."""

from __future__ import annotations

from trusted_registry.client_messages.cures import PUSH_AGAIN, TRUST, at_registry
from trusted_registry.client_messages.message import Kind, Message, Step, client, login, server, service

IMAGES = (
    login(
        "no-registry-in-name",
        (
            r"(denied: )?requested access to the resource is denied|does not exist or no pull access",
            r"pull access denied for [\w-]+(/[\w./-]+)?,",
        ),
        "docker, podman",
        "The name does not begin with your registry, so the Docker Hub was asked: a first word without a dot or a port "
        "is a user there. Or your registry wants a login.",
        (
            Step("docker tag app {own}/app && docker push {own}/app", "with your image in place of app"),
            Step("docker login {own}", "where your registry wants one", instead=True),
        ),
        ("spelling",),
    ),
    server(
        "hash",
        (r"(?<!crypto/)bcrypt: |hashedSecret too short|crypto/bcrypt",),
        "the registry's own log",
        "A line of the registry's htpasswd is no bcrypt hash, which is the only kind that it reads.",
        (at_registry("./inv registry.user.add NAME", "with the user's name"),),
        ("login",),
    ),
    login(
        "login",
        (
            r"no basic auth credentials|unauthorized: (authentication required|incorrect username or password)",
            r"authentication required|invalid username/password|basic credential not found",
            r"(login attempt|status|code).{0,80}\b401\b|401 Unauthorized",
            r"access to the requested resource is not authorized|\bunauthorized\b|[Ee]rror:? 401\b",
        ),
        "docker, podman, skopeo, buildah, containerd; curl",
        "{registry} wants a login: none was given, the password is wrong, or the registry's file holds a hash that is "
        "not bcrypt, and then no password is right.",
        (
            Step("docker login {registry}", "podman login, skopeo login and helm registry login likewise"),
            at_registry(
                "./inv registry.user.add NAME", "gives a user a new password, hashed as it must be", instead=True
            ),
        ),
        ("login",),
    ),
    client(
        "credential-helper",
        (r"docker-credential-\S+\": executable file not found", r"error (getting|storing) credentials - err"),
        "docker",
        "~/.docker/config.json names a credential helper (credsStore) that is not installed here.",
        (
            Step("editor ~/.docker/config.json", "take the line with credsStore out"),
            Step("docker logout {registry}; docker login {registry}"),
        ),
    ),
    server(
        "blob-lost",
        (r"blob unknown to registry|BLOB_UNKNOWN|unknown blob|fetching blob: invalid status code from registry 404",),
        "docker, podman, skopeo, buildah",
        "A layer of the image is not on the registry's disk: a garbage collection took it, and a registry that still "
        "remembered it in memory (blobdescriptor: inmemory) took no new copy from a later push.",
        (at_registry("docker restart {container}", "then push again"),),
        ("container",),
    ),
    server(
        "left-empty",
        (r"err\.code=unknown err\.detail=\"(unexpected end of JSON input|invalid checksum digest format)\"",),
        "the registry's own log",
        "The registry was killed while it wrote an image down, or its disk was full, and a file is empty. It takes a "
        "repeated push for one that it has already, so pulls go on failing.",
        (
            at_registry(
                "./inv registry.tls && docker restart {container}",
                "mends what was left empty; then push the image again",
            ),
        ),
        ("container",),
    ),
    Message(
        Kind.ABSENT,
        "no-image",
        (
            r"manifest unknown|manifest for \S+ not found|name unknown|repository name not known to registry",
            r"MANIFEST_UNKNOWN|NAME_UNKNOWN|/manifests/\S*: not found|/[\w.-]+[:@][\w.:-]+: not found",
            r"([Ee]rror:?|code:?) 404\b",
        ),
        "every client",
        "The registry answers, and has no image of that name and tag: nobody has pushed it yet, or it is spelt "
        "otherwise there.",
        (
            Step("curl --cacert certs/ca.crt {url}/v2/_catalog", "lists what it has; push first what is missing"),
            PUSH_AGAIN,
        ),
    ),
    client(
        "reference",
        (r"invalid reference format",),
        "docker",
        "The name of the image is none: capital letters are not allowed, and Docker up to 20.10 takes no IPv6 address "
        "in brackets.",
        (
            at_registry(
                "./inv up --names registry.local", "a name of your own, for IPv6; clients need a line in /etc/hosts"
            ),
        ),
        ("engine",),
    ),
    server(
        "disk",
        (r"no space left on device|disk quota exceeded|ENOSPC",),
        "every client, the registry",
        "A disk is full: the registry's, or this machine's.",
        (
            Step("docker system df && df --human-readable", "shows what takes the room"),
            Step("docker image prune", "takes away images without a name"),
        ),
        ("disk",),
    ),
    server(
        "server-error",
        (r"unexpected HTTP status:? 5\d\d|\b50[0234] (Internal Server Error|Bad Gateway|Service Unavailable|Gateway)",),
        "every client",
        "The registry met an error of its own, such as a full disk or a volume that it may not write to.",
        (at_registry("./inv registry.logs", "says what it was"),),
        ("container", "disk"),
    ),
)

ENGINES = (
    service(
        "engine-refuses-user",
        (r"permission denied while trying to connect to the [Dd]ocker|Got permission denied.*docker",),
        "docker",
        "The engine answers, and does not let this user in: its socket belongs to the group docker.",
        (Step("sudo usermod --append --groups docker $USER", "then log in again"),),
        ("engine",),
    ),
    service(
        "no-engine",
        (r"Cannot connect to the Docker daemon|Is the docker daemon running|No Docker Engine answers",),
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
            Step("sudo editor /etc/containerd/config.toml", "take the tables registry.mirrors out"),
            Step("sudo systemctl restart containerd"),
        ),
        ("containerd",),
    ),
    service(
        "no-cri",
        (r"unknown service runtime\.v1(alpha2)?\.(Image|Runtime)Service",),
        "crictl, Kubernetes",
        "containerd runs without the part that Kubernetes talks to: Docker's package switches it off "
        "(disabled_plugins), or its configuration kept it from loading.",
        (
            Step("sudo editor /etc/containerd/config.toml", 'take "cri" out of disabled_plugins'),
            Step("sudo systemctl restart containerd"),
        ),
        ("containerd",),
    ),
    client(
        "unreadable",
        (
            r"(open|stat|lstat|read) /\S*certs\.d/(?P<registry>[^/\s]+)\S*: permission denied",
            r"certs\.d.*permission denied",
        ),
        "podman, skopeo, buildah",
        "This user may not read the file of the authority; it is public, and everyone may.",
        (Step("sudo chmod go+rX {certs_d} {certs_d}/{registry} {certs_d}/{registry}/ca.crt"), TRUST),
        ("certs.d",),
    ),
    server(
        "key-unreadable",
        (r"open (/config|/certs)/domain\.(key|crt): (permission denied|no such file or directory)",),
        "the registry's own log",
        "The registry's container may not read its key, or it is not there.",
        (at_registry("./inv registry.tls", "makes the container anew, with what it needs"),),
        ("files", "container"),
    ),
)
