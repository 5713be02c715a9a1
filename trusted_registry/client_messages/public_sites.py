"""Public sites: no registry of one's own, so no certificate of one's own helps there."""

from __future__ import annotations

import re
from dataclasses import replace

from trusted_registry.client_messages.message import Kind, Message, Step, login, unreachable

_LABELS = (
    "docker|quay|gcr|ghcr|k8s|kubernetes|pkg|ecr|amazonaws|azurecr|azure|azureedge|windows|microsoft|cloudfront|cloudflare"
    "|cloudflarestorage|github|githubusercontent|gitlab|bitbucket|google|googleapis|googleusercontent|appspot|golang|redhat"
    "|fedoraproject|centos|rockylinux|almalinux|debian|ubuntu|canonical|snapcraft|alpinelinux|archlinux|opensuse|suse|rancher"
    "|nvcr|nvidia|elastic|helm|hashicorp|digitalocean|oracle|ocir|icr|ibm|aliyun|aliyuncs|tencentyun|tencentcloudcr"
    "|myhuaweicloud|daocloud|docker-cn|jfrog|cloudsmith|apache|maven|gradle|python|pypi|pythonhosted|npmjs|yarnpkg|nodejs"
    "|rubygems|crates|nuget|packagist|anaconda|cpan|letsencrypt|sourceforge|mozilla|apple|jetbrains|mongodb|mysql|nginx"
    "|lscr|linuxserver|codeberg|gitea|forgejo|cgr|chainguard|wolfi|bitnami|broadcom|vmware|upbound|crossplane|goharbor|zalan"
    "|npmmirror|dockerproxy|1panel|xuanyuan|timeweb|163|baidubce|volces|huaweicloud|ustc|sjtu|nju|tsinghua|yandex"
    "|scw|vultrcr|linode|akamai|akamaiedge|akamaized|fastly|fastlylb|fly|heroku|railway|netlify|vercel|upcloud"
    "|huggingface|hf|pytorch|rust-lang|jsr|deno|bun|nodesource|postgresql|redis|grafana|influxdata|confluent|jenkins"
    "|sonatype|sonarsource|traefik|portainer|atlassian|cypress|sentry|gitpod|circleci|buildkite|sigstore|terraform|opentofu"
    "|flatcar|coreos|talos|siderolabs|k3s|rke2|microk8s|istio|linkerd|cilium|calico|projectcalico|tigera|jetstack"
)
_TOP = "com|org|io|net|dev|aws|sh|co|cn|cloud|im|us|eu|do|ru|live|(?:com|edu)\\.cn"
_PUBLIC = re.compile(rf"(?:^|\.)(?:{_LABELS})\.(?:{_TOP})$")
_HUB = re.compile(r"(?:^|\.)docker\.(?:io|com)$")

_OF_THE_HUB = (
    "It is the Docker Hub that does not answer or wants less of it, not your registry: a name without a registry "
    "before it means the Hub."
)
_BESIDE_HUB = (
    Step("INVOKE_REGISTRY_ARCHIVE=registry.tar ./inv up", "for the registry's own image: `docker save` elsewhere"),
    Step("docker pull {own}/app", "for your images, with your registry before their name"),
)
_PROXIES = Step(
    "env | grep --ignore-case proxy; docker info | grep --ignore-case proxy", "shows which proxy is set, and where"
)
_NOT_YOURS = "{host} is a public site, not your registry"

HUB = unreachable("hub", (), "docker, podman", _OF_THE_HUB, _BESIDE_HUB)
LIMIT = Message(
    Kind.LIMIT,
    "hub-limit",
    (r"toomanyrequests|pull rate limit|HAP429|docker\.(?:io|com)\b.{0,300}\b429\b",),
    "docker, podman",
    _OF_THE_HUB,
    _BESIDE_HUB,
)
CERTIFICATE = Message(
    Kind.CERTIFICATE,
    "public-certificate",
    (),
    "every client",
    f"{_NOT_YOURS}, and no certificate of yours helps there: a proxy or a virus scanner opens TLS on the way and "
    f"shows a "
    "certificate of its own, or this machine's clock is wrong, or the authorities that it knows are old.",
    (
        Step("date --utc", "is it right?"),
        Step(
            "openssl s_client -connect {site} </dev/null 2>/dev/null | openssl x509 -noout -issuer",
            "names who shows a certificate there: if your company, its authority belongs into this machine's store",
        ),
        Step("sudo apt-get install --only-upgrade ca-certificates", "for newer authorities; then restart the engine"),
    ),
)
UNREACHABLE = unreachable(
    "public-unreachable",
    (),
    "every client",
    f"{_NOT_YOURS}: it does not answer, or the way to it is closed by a firewall or needs a proxy.",
    (
        Step("curl --head https://{site}", "asks it from here"),
        _PROXIES,
        Step("docker pull {own}/app", "for your images, with your registry before their name", instead=True),
    ),
)
PROXY = unreachable(
    "public-proxy",
    (),
    "docker, podman, skopeo, buildah; curl, Python",
    f"{_NOT_YOURS}, and the proxy that leads to such sites here (HTTPS_PROXY) does not answer or lets nobody through.",
    (_PROXIES,),
)
LOGIN = login(
    "public-login",
    (),
    "every client",
    f"{_NOT_YOURS}: it wants a login, or gives you no right to that image.",
    (Step("docker login{account}", "the same with podman login, skopeo login and helm registry login"),),
)
IMAGE = Message(
    Kind.ABSENT,
    "public-image",
    (),
    "every client",
    f"{_NOT_YOURS}, and has no image of that name and tag. A name without a registry before it means the Docker Hub.",
    (
        Step("docker pull {own}/app", "with your registry before the name, where your image is meant"),
        Step("docker search NAME", "looks on the Docker Hub", instead=True),
    ),
)
ROWS = (HUB, CERTIFICATE, UNREACHABLE, PROXY, LOGIN, IMAGE)
"""Rows that no pattern finds: they stand for others where the message is about a public site."""

_AT_PUBLIC = {
    Kind.DISTRUST: CERTIFICATE,
    Kind.CERTIFICATE: CERTIFICATE,
    Kind.PLAIN: CERTIFICATE,
    Kind.PROTOCOL: CERTIFICATE,
    Kind.UNREACHABLE: UNREACHABLE,
    Kind.REFUSED: UNREACHABLE,
    Kind.SERVER: UNREACHABLE,
    Kind.LOGIN: LOGIN,
    Kind.ABSENT: IMAGE,
}
_STAY = {"no-registry-in-name", "proxy-scheme", "proxy-scheme-set", "mirror-away"}


def is_public(host: str) -> bool:
    """Return whether a host is a well-known site on the Internet."""
    return bool(_PUBLIC.search(host))


def is_hub(host: str) -> bool:
    """Return whether a host is one of the Docker Hub's."""
    return bool(_HUB.search(host))


def message_of(message: Message, host: str) -> Message:
    """Return the row for a message about a public site, of the message's kind: proofs judge by that."""
    if message.key in _STAY and (message.key != "no-registry-in-name" or is_hub(host)):
        return message
    found = PROXY if message.key == "proxy" else _AT_PUBLIC.get(message.kind, message)
    return replace(HUB if found is UNREACHABLE and is_hub(host) else found, kind=message.kind)
