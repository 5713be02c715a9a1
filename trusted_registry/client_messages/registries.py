"""Messages of registries and engines: logins, images, disks, settings."""

from __future__ import annotations

from trusted_registry.client_messages.cures import PUSH_AGAIN, TRUST, at_registry
from trusted_registry.client_messages.message import Kind, Message, Step, client, login, server, service

_OPENED = r"(?:open|stat|lstat|read|scandir) (?P<path>/[^\s:]+/certs\.d/(?P<registry>[^/\s]+?)(?:/[^\s:]+)?"

UNNAMED = "no-registry-in-name"
LOGIN = login(
    "login",
    (
        r"no basic auth credentials|unauthorized: (authentication required|incorrect username or password)",
        r"authentication required|UNAUTHORIZED:|invalid username/password|basic credential not found",
        r"insufficient_scope|denied: access forbidden|pushing to registry: Authentication is required",
        r"failed to fetch (?:oauth|anonymous) token: unexpected status: 403",
        r"(login attempt|status|code).{0,80}\b401\b|401 Unauthorized",
        r"access to the requested resource is not authorized|\bunauthorized\b|[Ee]rror:? 401\b|status 401\b",
        r"RegistryUnauthorizedException|[Ss]tatus code '?Unauthorized|invalid authorization credential",
        r"/v2/\S{0,300}: (?:unexpected status code )?403 Forbidden|[Ss]tatus 403 trying|Server error: 403 trying",
    ),
    "docker, podman, skopeo, buildah, containerd; curl",
    "{registry} wants a login: none was given, the password is wrong or the right is lacking, or the registry's file "
    "holds a hash that is not bcrypt, and then no password is right.",
    (
        Step("docker login {registry}", "the same with podman login, skopeo login and helm registry login"),
        at_registry("./inv registry.user.add NAME", "gives a user a new password, hashed as it must be", instead=True),
    ),
    ("login",),
)

IMAGES = (
    login(
        UNNAMED,
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
        "A line of the registry's htpasswd is not a bcrypt hash, which is the only kind that it reads.",
        (at_registry("./inv registry.user.add NAME", "with the user's name"),),
        ("login",),
    ),
    client(
        "hosts-toml",
        (r"failed to decode hosts\.toml",),
        "containerd",
        "A hosts.toml of containerd is not as it reads them: no TOML, or a table that it does not know. The registry "
        "is asked as if the file were not there.",
        (
            Step(
                "sudo grep --recursive --line-number --include hosts.toml '' /etc/containerd/certs.d",
                'shows them: server = "https://…", then [host."https://…"]; remove the one that is wrong',
            ),
            TRUST,
        ),
        ("containerd", "certs.d"),
    ),
    server(
        "upload-lost",
        (r"(?i:blob upload (?:unknown|invalid))|BLOB_UPLOAD_(?:UNKNOWN|INVALID)",),
        "docker, podman, skopeo, buildah",
        "The upload was begun at a registry that is gone or another one: it was started anew meanwhile, or several "
        "stand behind one name without one storage and one http.secret.",
        (at_registry("./inv up", "this project's registries keep one secret; then push again"),),
        ("container",),
    ),
    server(
        "unsupported",
        (r"The operation is unsupported|unexpected 405 response", r"405 Method Not Allowed|error: 405\b"),
        "every client",
        "The registry does not do that: it deletes only where it is told to (REGISTRY_STORAGE_DELETE_ENABLED=true), a "
        "cache of another registry (REGISTRY_PROXY_REMOTEURL) takes no push, and one that is read-only nothing at all.",
        (at_registry("./inv registry.tls", "this project's takes pushes, and deletes"),),
        nearby=r"(?i:/v2/|registry|manifest|docker|\bblob|\"UNSUPPORTED\")",
    ),
    server(
        "refused-form",
        (r"MANIFEST_INVALID|manifest invalid|NAME_INVALID|name invalid: ",),
        "every client",
        "The registry takes no image of that form, or of that name: an old one knows no indexes and no OCI manifests, "
        "and some servers want another number of words in a name.",
        (
            Step(
                "docker buildx build --provenance=false --output type=registry,name={own}/app,oci-mediatypes=false .",
                "in Docker's own form",
            ),
            at_registry("./inv registry.upgrade --check --image registry:3", "whether a newer one shows the same"),
        ),
        unless=r"unexpected end of JSON|invalid checksum digest",
    ),
    client(
        "old-form",
        (r"manifest\.v1\+(?:prettyjws|json)",),
        "docker, containerd, podman",
        "The image is of Docker's first form, which newer clients pull no more: it has to be built and pushed anew, by "
        "whoever has what it is made of.",
        (Step("docker build --tag {own}/app . && docker push {own}/app", "with your image in place of app"),),
        ("engine",),
    ),
    LOGIN,
    client(
        "credential-locked",
        (r"User interaction is not allowed|keychain is locked|pass (?:store is uninitialized|not initialized)",),
        "docker",
        "The credential helper is there, and its store gives nothing out: a Mac's keychain is locked where somebody "
        "comes by ssh, and pass was never set up.",
        (
            Step("security unlock-keychain ~/Library/Keychains/login.keychain-db", "on a Mac"),
            Step("gpg --list-keys && pass init KEY", "with the id of your key; on Linux", instead=True),
        ),
        unless=r"executable file not found",
    ),
    client(
        "credential-helper",
        (
            r"docker-credential-\S+\": executable file not found",
            r"error (getting|storing) credentials - err|Credentials store error",
        ),
        "docker",
        "~/.docker/config.json names a credential helper (credsStore) that is not installed here, or that refuses.",
        (
            Step("editor ~/.docker/config.json", "remove the line with credsStore; the password is then in this file"),
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
                "repairs what was left empty; then push the image again",
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
            r"([Ee]rror:?|code:?) 404\b|no such manifest: ",
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
        "capitals",
        (
            r"repository name must be lowercase|must be lower ?case",
            r"Invalid repository name \([^)]{0,200}[A-Z]",
            r"\"[^\"\s]{0,200}[A-Z][^\"\s]{0,200}\" is not a valid repository/tag",
        ),
        "docker, podman, buildah",
        "The name of an image may have no capital letters; its tag may.",
        (
            Step(
                "docker tag app {own}/app",
                "with the image's id in place of the first app, and its name in small letters",
            ),
        ),
    ),
    client(
        "reference-ipv6",
        (r"invalid reference format",),
        "docker, podman, skopeo",
        "The image's name is not valid: Docker up to 20.10, podman and skopeo accept no IPv6 address in brackets.",
        (
            at_registry(
                "./inv up --names registry.local", "a name of your own, for IPv6; clients need a line in /etc/hosts"
            ),
        ),
        ("engine",),
        nearby=r"\[[0-9a-fA-F]{0,4}:[0-9a-fA-F:.]*\]",
    ),
    client(
        "reference",
        (
            r"invalid reference format|is not a valid repository/tag|invalid repository name\b",
            r"lookup https?( on \S+)?: ",
        ),
        "docker",
        "The name of the image is none: https:// before it, a space, a capital letter or an empty variable splits it, "
        "or a flag stands after it.",
        (Step("docker pull {own}/app", "as a name should look, with your image in place of app"),),
    ),
    server(
        "disk",
        (r"(?i:no space left on device)|disk quota exceeded|ENOSPC",),
        "every client, the registry",
        "A disk is full: where a push fails, the one with the registry's volume of images, else this machine's.",
        (
            at_registry("docker system df --verbose && df --human-readable", "shows what takes the room, by volume"),
            Step("docker image prune", "removes images without a name; the registry's volume stays"),
        ),
        ("disk",),
    ),
    server(
        "gateway",
        (r"\b50[24] (?:Bad Gateway|Gateway Time-?out)|\b503 Service Unavailable",),
        "every client",
        "What stands before {registry} answers, and finds no registry behind it, or waits too long for it.",
        (
            at_registry("./inv status", "says whether the registry and its front run"),
            at_registry("./inv up", "starts what does not run"),
            Step("{proxy_command}", "where it is the engine's proxy that answers so", instead=True),
        ),
        ("container", "front", "proxy"),
        nearby=r"(?i:registry|/v2/|docker|podman|push|pull|solve|image|unexpected (?:http )?status)",
    ),
    server(
        "server-error",
        (
            r"unexpected (?:HTTP status:?|status code) 5\d\d",
            r"\b50[0234] (Internal Server Error|Bad Gateway|Service Unavailable|Gateway)",
        ),
        "every client",
        "The registry itself had an error, such as a full disk or a volume that it may not write to.",
        (at_registry("./inv registry.logs", "says what it was"),),
        ("container", "disk"),
    ),
)

ENGINES = (
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
