"""Messages of registries: logins, images, disks."""

from __future__ import annotations

from trusted_registry.client_messages.cures import PUSH_AGAIN, TRUST, at_registry
from trusted_registry.client_messages.message import Kind, Message, Step, client, login, server

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

MESSAGES = (
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
        "cache of another registry (REGISTRY_PROXY_REMOTEURL) takes no push, and one that is read-only nothing at all: "
        "this project's is while ./inv images.clean frees the disk.",
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
        "unhealthy",
        (r"health check failed: please see /debug/health",),
        "every client",
        "{registry} looked after its storage several times, in vain, and takes no request until that is back: a bucket "
        "that does not answer or may not be listed, or a disk. This project's registries are not told to look.",
        (at_registry("./inv registry.logs", "says what its storage answered"), at_registry("./inv registry.tls")),
        ("container", "bucket"),
    ),
    server(
        "gateway",
        (r"\b50[24] \(?(?:Bad Gateway|Gateway Time-?out)|\b503 \(?Service Unavailable",),
        "every client",
        "What stands before {registry} answers, and finds no registry behind it, or waits too long for it. Or the "
        "registry itself looks after its storage, as images of it do by default, and a bucket or a disk is away.",
        (
            at_registry("./inv status", "says whether the registry and its front run"),
            at_registry("./inv up", "starts what does not run"),
            Step("{proxy_command}", "where it is the engine's proxy that answers so", instead=True),
        ),
        ("container", "front", "bucket", "proxy"),
        nearby=r"(?i:registry|/v2/|docker|podman|push|pull|solve|image|unexpected (?:http )?status)",
    ),
    server(
        "server-error",
        (
            r"unexpected (?:HTTP status:?|status code) 5\d\d",
            r"\b50[0234] \(?(Internal Server Error|Bad Gateway|Service Unavailable|Gateway)",
        ),
        "every client",
        "The registry itself had an error: a full disk, a volume that it may not write to, a bucket that is away.",
        (at_registry("./inv registry.logs", "says what it was"),),
        ("container", "disk", "bucket"),
    ),
)
