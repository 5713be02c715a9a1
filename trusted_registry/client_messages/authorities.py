"""Messages about an unknown authority, by client: each has a store of its own."""

from __future__ import annotations

from trusted_registry.client_messages.cures import AUTHORITY_COPIED, TRUST, TRUST_FOR_SYSTEM
from trusted_registry.client_messages.message import Step, distrust

_UNKNOWN = r"certificate signed by (?:an )?unknown authority"
_DOCKER = r"response from daemon|Handler "
_OPENSSL_UNKNOWN = (
    r"unable to get (?:local )?issuer certificate|self[- ]signed certificate|unable to verify the first certificate"
)
_BY_HAND = "with the registry's ca.crt at that path; no task here writes it"

CLUSTERS = (
    distrust(
        "unknown-authority-kaniko",
        (_UNKNOWN,),
        "kaniko",
        "kaniko runs in its own container, and trusts what lies in /kaniko/ssl/certs there or is named to it: "
        "the trust of the machine around it does not reach it.",
        (
            Step(
                "/kaniko/executor --registry-certificate {registry}=/kaniko/ca.crt",
                f"beside your own flags, {_BY_HAND}",
            ),
        ),
        ("served",),
        unless=_DOCKER,
        nearby=r"\bkaniko\b|error checking push permissions",
    ),
    distrust(
        "unknown-authority-rke2",
        (_UNKNOWN,),
        "RKE2",
        "RKE2 has its own containerd, which reads /etc/rancher/rke2/registries.yaml when RKE2 starts, and not "
        "containerd's certs.d.",
        (
            Step("./inv trust.linux --only rke2{where}", "on each node", away=AUTHORITY_COPIED),
            Step("sudo systemctl restart rke2-server || sudo systemctl restart rke2-agent"),
        ),
        unless=_DOCKER,
        nearby=r"\brke2\b",
    ),
    distrust(
        "unknown-authority-microk8s",
        (_UNKNOWN,),
        "microk8s",
        "microk8s has its own containerd, which reads /var/snap/microk8s/current/args/certs.d, and not containerd's.",
        (Step("./inv trust.linux --only microk8s{where}", "on each node", away=AUTHORITY_COPIED),),
        unless=_DOCKER,
        nearby=r"\bmicrok8s\b",
    ),
    distrust(
        "unknown-authority-k3s",
        (_UNKNOWN,),
        "k3s",
        "k3s has its own containerd, which reads /etc/rancher/k3s/registries.yaml when k3s starts, and not "
        "containerd's certs.d.",
        (
            Step("./inv trust.linux --only k3s{where}", "on each node", away=AUTHORITY_COPIED),
            Step("sudo systemctl restart k3s || sudo systemctl restart k3s-agent"),
        ),
        unless=_DOCKER,
        nearby=r"\bk3s\b",
    ),
)
"""Programs with a containerd or a container of their own, known by a word around the message."""

MESSAGES = (
    distrust(
        "another-authority",
        (
            rf"{_UNKNOWN} \(possibly because of|certificate signature failure",
            r"SEC_ERROR_BAD_SIGNATURE|InvalidSignatureForPublicKey|BadSignature",
        ),
        "docker, podman, skopeo, buildah, containerd",
        "This client trusts a certificate of the same name and another key: the registry's has been replaced, or "
        "another registry answers.",
        (Step("./inv trust.linux{where}", away=f"{AUTHORITY_COPIED}; of a self-signed one: domain.crt"),),
        ("stale", "served"),
    ),
    *CLUSTERS,
    distrust(
        "unknown-authority-buildkit",
        (_UNKNOWN,),
        "docker buildx",
        "The builder does not trust {registry}: one in its own container reads buildkitd.toml when it is made, "
        "any other the engine's certs.d.",
        (TRUST, Step("./inv trust.linux --only buildkit{where}", "where docker buildx ls says docker-container")),
        ("certs.d",),
        beside=r"failed to solve|buildkit|failed to fetch (?:oauth|anonymous) token",
        unless=_DOCKER,
    ),
    distrust(
        "unknown-authority-kubernetes",
        (_UNKNOWN,),
        "Kubernetes: containerd, cri-o",
        "What pulls on that node does not trust {registry} under that name: containerd, k3s's or another of its "
        "own, or cri-o, each with a store of its own.",
        (
            Step(
                "./inv trust.linux{where}",
                "on each node: it finds which of them are there; kind and k3d: ./inv trust.nodes",
                away=AUTHORITY_COPIED,
            ),
        ),
        ("containerd", "certs.d"),
        beside=r"Failed to pull image|ErrImagePull|ImagePullBackOff|pulling image(?: failed)?: rpc",
        unless=_DOCKER,
    ),
    distrust(
        "unknown-authority-containerd",
        (_UNKNOWN,),
        "containerd: ctr, nerdctl, crictl",
        "containerd does not trust {registry} under that name; or its hosts.toml names no authority, which hides "
        "every .crt beside it; or config_path is not set; or it is `ctr` without --hosts-dir.",
        (
            Step(
                "./inv trust.linux --only containerd{where}",
                "on each node; kind and k3d: ./inv trust.nodes; ctr: --hosts-dir /etc/containerd/certs.d",
            ),
        ),
        ("containerd", "certs.d"),
        beside=r"ctr: |failed to (?:resolve|pull and unpack)|desc = |nerdctl|rh\.Client|tryLoginWithRegHost",
        unless=_DOCKER,
    ),
    distrust(
        "unknown-authority-macos",
        (r"certificate is not trusted|Invalid certificate chain|errSSLXCertChainInvalid",),
        "macOS",
        "No keychain of this Mac trusts the registry's authority.",
        (Step("./inv trust.macos{where}", "then restart Docker Desktop", away=AUTHORITY_COPIED),),
    ),
    distrust(
        "unknown-authority-windows",
        (
            r"SEC_E_UNTRUSTED_ROOT|0x80090325|CERT_E_UNTRUSTEDROOT|0x800B0109",
            r"UntrustedRoot|issued by an authority that is not",
        ),
        "Windows",
        "Windows does not trust the registry's authority.",
        (
            Step(
                "certutil -addstore -f ROOT ca.crt",
                "as administrator, with the registry's ca.crt; then restart Docker Desktop",
            ),
        ),
    ),
    distrust(
        "unknown-authority",
        (_UNKNOWN,),
        "docker, podman, skopeo, buildah; crane, oras, helm",
        "This client does not trust {registry} under that name; or the file there ends in .pem, which nobody "
        "reads; or an empty directory of its user hides it; or the system's store changed after the engine was "
        "started; or the registry shows another authority's certificate.",
        (
            TRUST,
            Step(
                "./inv trust.linux --only system{where}",
                "for helm, crane, oras and others that read the system's store",
                instead=True,
            ),
        ),
        ("certs.d", "spelling", "shadowed", "stale", "os-store", "served"),
    ),
    distrust(
        "unknown-authority-java",
        (
            r"PKIX path (?:building|validation) failed|unable to find valid certification path",
            r"SSLPeerUnverifiedException: peer not authenticated",
            r"Failed to verify the server at \S+ because only secure connections are allowed",
        ),
        "Java",
        "Java has its own store of authorities, and the registry's is not in it.",
        (Step("./inv trust.linux --only java{where}", "then start your Java programs again"),),
        ("chain",),
    ),
    distrust(
        "unknown-authority-browser",
        (r"SEC_ERROR_(UNKNOWN|UNTRUSTED)_ISSUER|MOZILLA_PKIX_ERROR_SELF_SIGNED_CERT|ERR_CERT_AUTHORITY_INVALID",),
        "Firefox, Chromium",
        "Browsers on Linux have their own store of authorities, and the registry's is not in it.",
        (Step("./inv trust.linux --only nss{where}", "then close the browser and open it again"),),
        ("chain",),
    ),
    distrust(
        "unknown-authority-python",
        (_OPENSSL_UNKNOWN,),
        "Python",
        "The system's store does not hold the registry's authority; requests and pip also bring their own.",
        (
            TRUST_FOR_SYSTEM,
            Step("export REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt", "for requests, after that"),
        ),
        ("os-store", "chain"),
        beside=r"CERTIFICATE_VERIFY_FAILED",
    ),
    distrust(
        "unknown-authority-system",
        (
            rf"{_OPENSSL_UNKNOWN}|server certificate verification failed",
            r"doesn't have a known issuer|certificate issuer is unknown|UnknownIssuer",
            r"UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT",
        ),
        "curl, wget, git, openssl, node",
        "The system's store does not hold the registry's authority. The engine's trust is another matter: these "
        "programs do not read certs.d.",
        (TRUST_FOR_SYSTEM, Step("curl --cacert certs/ca.crt {url}/v2/", "for one command", instead=True)),
        ("os-store", "chain"),
    ),
)
