"""The engine that carries the lab is other people's too: what the lab leaves on it is told from what they do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import requests
from docker.errors import APIError, NotFound

from tests.e2e import outer
from tests.e2e.outer import LABEL, left

if TYPE_CHECKING:
    from docker import DockerClient

MARKS = (LABEL, "lab.local", "10.213.4.", "fd12:3456:789a::")
BEFORE = {
    "image registry:3": "sha256:aa",
    "image debian:trixie": "sha256:bb",
    "image trusted-registry-lab/base:trixie": "sha256:cc",
    "file /etc/docker/daemon.json": "{}",
    "unverified 127.0.0.0/8": "",
}


def _after(changed: dict[str, str], gone: str = "") -> list[str]:
    return left(BEFORE, {name: state for name, state in (BEFORE | changed).items() if name != gone}, MARKS)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"image ubuntu:24.04": "sha256:dd"},
        {"image registry:3": "sha256:ee"},
        {"image debian:trixie": "sha256:ee"},
        {"image sha256:dd": "sha256:dd"},
        {"unverified 192.168.0.12:5000": ""},
        {"file /etc/docker/certs.d/192.168.0.12/ca.crt": "-----BEGIN CERTIFICATE-----"},
        {"file /etc/docker/daemon.json": '{"debug": true}'},
    ],
    ids=str,
)
def test_what_other_people_do_meanwhile_is_not_the_lab_s(changed: dict[str, str]) -> None:
    assert _after(changed) == []


@pytest.mark.parametrize("gone", BEFORE)
def test_what_other_people_take_away_meanwhile_is_not_the_lab_s_either(gone: str) -> None:
    assert _after({}, gone) == []


@pytest.mark.parametrize(
    "name",
    [
        f"image sha256:dd ({LABEL})",
        f"image somebody/tool:1 ({LABEL})",
        "image 10.213.4.3/trusted-registry-proof:00",
        "image registry-1.lab.local:8443/app:1",
        "unverified 10.213.4.3:5000",
        "file /etc/docker/certs.d/10.213.4.3/ca.crt",
        "file /etc/docker/certs.d/[fd12:3456:789a::2]:443/ca.crt",
    ],
)
def test_a_leftover_of_the_lab_is_named(name: str) -> None:
    assert _after({name: "there"}) == [name]


def test_a_shared_file_is_the_lab_s_doing_where_it_names_the_lab() -> None:
    told = {"file /etc/docker/daemon.json": '{"insecure-registries": ["10.213.4.3:5000"]}'}
    assert _after(told) == [*told]
    assert left(BEFORE | told, BEFORE | told, MARKS) == []


def test_what_an_earlier_run_left_may_go_and_debian_s_image_may_not_where_a_base_was_made_of_it() -> None:
    earlier = {f"image sha256:dd ({LABEL})": "sha256:dd", "file /etc/docker/certs.d/10.213.4.3/ca.crt": "aa"}
    assert left(BEFORE | earlier, BEFORE, MARKS) == []
    assert _after({"image trusted-registry-lab/base:trixie": "sha256:dd"}, "image debian:trixie") == [
        "image debian:trixie"
    ]


@pytest.mark.parametrize("made", ["base", "node", "desktop"])
def test_the_lab_s_own_images_stay_and_debian_s_count_where_a_base_was_made_of_them(made: str) -> None:
    image = {f"image trusted-registry-lab/{made}:trixie": "sha256:dd"}
    assert _after(image) == []
    assert _after({**image, "image debian:bookworm": "sha256:ee"}) == []
    pulled = {**image, "image debian:trixie": "sha256:ee"}
    assert _after(pulled) == (["image debian:trixie"] if made == "base" else [])


def _image(labels: dict[str, str] | None, *tags: str) -> dict[str, object]:
    return {"Id": "sha256:aa", "RepoTags": list(tags) or None, "Labels": labels}


def test_an_image_under_the_lab_s_label_is_known_by_any_name_but_the_lab_s_and_by_none() -> None:
    ours = {LABEL: "1"}
    assert outer._names(_image({}, "registry:3", "registry:latest")) == ["registry:3", "registry:latest"]
    assert outer._names(_image(None)) == outer._names(_image({}, "<none>:<none>")) == ["sha256:aa"]
    assert outer._names(_image({LABEL: "fresh"})) == ["sha256:aa"]
    assert outer._names(_image(ours)) == [f"sha256:aa ({LABEL})"]
    assert outer._names(_image(ours, "trusted-registry-lab/node:sid", "my:1")) == [
        "trusted-registry-lab/node:sid",
        f"my:1 ({LABEL})",
    ]


def test_registries_that_an_engine_does_not_verify_are_names_and_networks() -> None:
    indexes = {"a:5000": {"Name": "a:5000", "Secure": False}, "docker.io": {"Name": "docker.io", "Secure": True}}
    said = {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": indexes}
    assert outer._unverified(said) == ["127.0.0.0/8", "a:5000"]
    assert outer._unverified({"InsecureRegistryCIDRs": None, "IndexConfigs": None}) == []


def _engine(status: int) -> DockerClient:
    """An engine that answers the removal of a container with a status, and has its volume in use until it is gone."""
    gone: list[str] = []

    def refused(status: int) -> APIError:
        answer = requests.Response()
        answer.status_code = status
        return APIError("said", response=answer)

    def remove(**_how: bool) -> None:
        raise refused(status)

    def wait(*, condition: str, **_how: float) -> None:
        gone.append(condition)
        if status == 404:
            raise NotFound("No such container")

    def remove_volume() -> None:
        if gone != ["removed"]:
            raise refused(409)

    container = SimpleNamespace(name="busy", remove=remove, wait=wait)
    volume = SimpleNamespace(name="of-busy", remove=remove_volume)
    return cast(
        "DockerClient",
        SimpleNamespace(
            containers=SimpleNamespace(list=lambda **_: [container]),
            volumes=SimpleNamespace(list=lambda **_: [volume]),
            networks=SimpleNamespace(list=lambda **_: []),
        ),
    )


@pytest.mark.parametrize("status", [404, 409])
def test_a_container_that_goes_by_itself_meanwhile_is_waited_for(status: int) -> None:
    assert outer.clear(_engine(status)) == ["busy", "of-busy"]


def test_a_container_that_cannot_be_removed_is_told() -> None:
    with pytest.raises(APIError):
        outer.clear(_engine(500))
