"""Host and port of a cure are those of the request that failed, and of no other that its text names."""

from __future__ import annotations

import pytest

from trusted_registry.client_messages import catalogue
from trusted_registry.client_messages.catalogue import LocalContext

LOCAL = LocalContext(registry="192.168.0.12")
UNKNOWN = "x509: certificate signed by unknown authority"
PLAIN = "http: server gave HTTP response to HTTPS client"


def named(said: str) -> str:
    """Return the registry host of the only message in a text."""
    (found,) = catalogue.find(said, LOCAL)
    return found.registry


@pytest.mark.parametrize(
    ("said", "registry"),
    [
        (
            "The push refers to repository [10.0.0.5:5000/app]\n5f70: Preparing\nno basic auth credentials",
            "10.0.0.5:5000",
        ),
        (f"Failed to push image to registry 10.0.0.5:5000\n{UNKNOWN}", "10.0.0.5:5000"),
        (f"Failed to push image to registry 10.0.0.5:5000, {UNKNOWN}", "10.0.0.5:5000"),
        (f"Trying registry 10.0.0.5:5000. It failed: {UNKNOWN}", "10.0.0.5:5000"),
        (f"docker push `10.0.0.5:5000/app` failed: {UNKNOWN}", "10.0.0.5:5000"),
        (f"docker login [10.0.0.5:5000]: {UNKNOWN}", "10.0.0.5:5000"),
        (f"pinging container registry [fd00::5]:5000: {UNKNOWN}", "[fd00::5]:5000"),
        (f"docker login myregistry:5000\n{UNKNOWN}", "myregistry:5000"),
        (f"helm pull oci://10.0.0.5:5000/charts/app: {UNKNOWN}", "10.0.0.5:5000"),
        (f"failed to pull artifact from 'oci://reg.lan/app:1': {UNKNOWN}", "reg.lan"),
        ("skopeo: writing blob in 10.0.0.5:5000: authentication required", "10.0.0.5:5000"),
        (f"reg.lan:8443: {UNKNOWN}", "reg.lan:8443"),
        (f'Get "https://registry.example.pl/v2/": {UNKNOWN}', "registry.example.pl"),
        (f"registry.example.sh:5000 says {UNKNOWN}", "registry.example.sh:5000"),
        (f"image: myregistry:5000/app:1.0: {UNKNOWN}", "myregistry:5000"),
        (
            (
                "requests.exceptions.SSLError: HTTPSConnectionPool(host='10.0.0.5', port=5000): Max retries with "
                "url: /v2/ (Caused by SSLError('certificate verify failed: self-signed certificate'))"
            ),
            "10.0.0.5:5000",
        ),
    ],
)
def test_a_port_is_the_registry_s_whatever_follows_it(said: str, registry: str) -> None:
    assert named(said) == registry


@pytest.mark.parametrize(
    "said",
    [
        'time="2024-05-14T10:11:12Z" level=error err.message="authentication required"',
        f"10:11:12 {UNKNOWN}",
        f"transport.go:5000: {UNKNOWN}",
        f"main.py:443: {UNKNOWN}",
        f"Thread.java:5000 {UNKNOWN}",
        f"deploy.tf:12: {UNKNOWN}",
        f"app.cfg:443: {UNKNOWN}",
        f"failed to pull: image service k8s.io/kubernetes/pkg/kubelet {UNKNOWN}",
        f"pulling by github.com/containerd/containerd v1.5.8: {UNKNOWN}",
        f"sha256:5000 app:1.0 node:22 {UNKNOWN}",
        f"the image app:5000 {UNKNOWN}",
        f"a push from 10.0.0.9:51234 failed: {UNKNOWN}",
        f'http.request.remoteaddr="172.18.0.1:56066" {UNKNOWN}',
        f"{UNKNOWN}\nMore details here: https://curl.se/docs/sslcerts.html",
        f"{UNKNOWN}\nSee https://docs.docker.com/engine/security/certificates/",
        f"{UNKNOWN}; for help visit https://registry-help.example.com/",
        f"cd26: Pushing [====>]  55.32MB/55.32MB\n{UNKNOWN}",
        f"cd26: Downloading 1.2GB/3.4GB\n{UNKNOWN}",
    ],
)
def test_a_time_a_file_a_tag_a_link_and_the_client_s_own_end_are_no_registry(said: str) -> None:
    assert named(said) == ""


@pytest.mark.parametrize(
    ("said", "registry"),
    [
        ("read tcp 10.0.0.9:51234->10.0.0.5:5000: read: connection reset by peer", "10.0.0.5:5000"),
        ("write tcp [fd00::9]:51234->[fd00::5]:5000: write: broken pipe", "[fd00::5]:5000"),
        ("dial tcp 10.0.0.9:0->10.0.0.5:5000: i/o timeout", "10.0.0.5:5000"),
        ("lookup registry.lan on 10.0.0.1:53: read udp 10.0.0.9:40000->10.0.0.1:53: i/o timeout", "registry.lan"),
        ('Get "https://registry.lan/v2/": dial tcp 10.0.0.5:443: i/o timeout', "registry.lan"),
    ],
)
def test_of_a_connection_the_other_end_is_meant(said: str, registry: str) -> None:
    assert named(said) == registry


@pytest.mark.parametrize(
    ("said", "registry"),
    [
        (f'Get "https://10.0.0.5/v2/":\nGet "https://10.0.0.5:5001/api/auth?account=a":\n{PLAIN}', "10.0.0.5:5001"),
        (f'Get "https://10.0.0.5/v2/": Get "https://10.0.0.7:5001/auth?account=a": {PLAIN}', "10.0.0.7:5001"),
        (f"docker pull 10.0.0.5/app\n10.0.0.5/app: fine\ndocker pull 10.0.0.6/app\n{UNKNOWN}", "10.0.0.6"),
        (f"{UNKNOWN}\nThe push referred to https://10.0.0.5:5000/v2/", "10.0.0.5:5000"),
        ("x509: certificate is valid for 10.96.0.1, 172.16.0.10, not 203.0.113.5", "203.0.113.5"),
        (
            (
                "The push refers to repository [203.0.113.5:5000/app]\nx509: certificate is valid for 10.0.0.1, not "
                "203.0.113.5"
            ),
            "203.0.113.5:5000",
        ),
        (
            (
                "docker login 10.0.0.5:5000\nx509: cannot validate certificate for 10.0.0.5 because it doesn't contain "
                "any IP SANs"
            ),
            "10.0.0.5:5000",
        ),
    ],
)
def test_the_nearest_request_is_meant_and_the_name_that_the_message_itself_has(said: str, registry: str) -> None:
    assert named(said) == registry


@pytest.mark.parametrize(
    "said",
    [
        f"docker pull python:3\nError response from daemon: {UNKNOWN}",
        f"docker run --rm hello-world\ndocker: Error response from daemon: {UNKNOWN}",
        f"Unable to find image 'nginx:latest' locally\n{UNKNOWN}",
    ],
)
def test_a_name_without_a_registry_means_the_hub(said: str) -> None:
    (found,) = catalogue.find(said, LOCAL)
    assert (found.key, found.registry) == ("public-certificate", "docker.io")
