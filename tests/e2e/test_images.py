"""Images in a registry that clients of every kind pushed to: listed, measured, found broken, mended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.steps import CERTS, hand_over, pull, push

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

CLIENTS = "/srv/image_clients.py"
DATA = "/var/lib/docker/volumes/trusted-registry/_data"
ROOT = f"{DATA}/docker/registry/v2"


def _printed(registry: Host, *words: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(registry.run("su", "dev", "-c", f"cd ~/trusted-registry && ./inv {' '.join(words)} --json").out)


def _client(client: Host, registry: Host, deed: str, *words: str) -> str:
    return client.does("python3", CLIENTS, deed, registry.address, f"{CERTS}/ca.crt", *words, seconds=300).out


@pytest.fixture
def trusting(registry: Host, client: Host) -> Host:
    """A client of a registry that runs, with the program that pushes what docker does not."""
    registry.inv("up")
    hand_over(registry, client)
    client.inv("trust.linux")
    client.write(CLIENTS, (Path(__file__).parent / "image_clients.py").read_bytes())
    return client


def test_each_thing_is_listed_as_what_it_is_and_frees_what_du_finds(registry: Host, trusting: Host) -> None:
    made = json.loads(_client(trusting, registry, "push"))
    listed = {it["digest"]: it for it in _printed(registry, "images.list")}
    kinds = {name: (listed[digest]["kind"], listed[digest]["tag"]) for name, digest in made.items() if digest in listed}
    signature = f"{made['image'].replace(':', '-')}.sig"
    assert kinds == {
        "image": ("image", "1"),
        "sharing": ("image", "2"),
        "digest only": ("image", None),
        "list": ("index", "1"),
        "index": ("index", "1"),
        "signature": ("signature", signature),
        "subject": ("signature", None),
    }
    assert listed[made["index"]]["platforms"] == listed[made["list"]]["platforms"] == ["linux/amd64", "linux/arm64"]
    assert {listed[made[it]]["subject"] for it in ("signature", "subject")} == {made["image"]}
    assert "bare" in registry.inv("images").out
    assert _printed(registry, "images.check") == []
    _collect(registry)  # what is left of the repository in which nothing is
    for name, others in (
        ("list", ("list amd64", "list arm64")),
        ("subject", ()),
        ("index", ("index amd64", "index arm64")),
        ("sharing", ()),
        ("digest only", ()),
        ("signature", ()),
        ("image", ()),
    ):
        _frees_what_it_says(registry, trusting, listed[made[name]]["repository"], [made[name], *map(made.get, others)])
    assert _printed(registry, "images.list") == []


def _frees_what_it_says(registry: Host, client: Host, repository: str, digests: list[str]) -> None:
    """Delete a thing really, and insist that the disk has as much more as was said, within a hundredth."""
    usage = _printed(registry, "images.usage")
    name = {it["digest"]: it["tag"] or it["digest"] for it in _printed(registry, "images.list")}[digests[0]]
    said = next(it for it in usage["images"] if (it["repository"], it["name"]) == (repository, name))
    before = _du(registry)
    _client(client, registry, "delete", repository, *digests)
    _collect(registry)
    freed = before - _du(registry)
    assert abs(freed - said["frees"]) <= freed / 100, (repository, name, freed, said)


def _collect(registry: Host) -> None:
    registry.does("docker", "exec", "registry", "sh", "-c", "registry garbage-collect /config/registry.yml")


def _du(registry: Host) -> int:
    return int(registry.does("du", "-s", "-B1", ROOT).out.split()[0])


def _link(digest: str, below: str) -> str:
    return f"{ROOT}/repositories/app/{below}/{digest.replace(':', '/')}/link"


def _empty_manifest_link(_: Host, digest: str, __: str) -> str:
    return f": >{_link(digest, '_manifests/revisions')}"


def _no_manifest_link(_: Host, digest: str, __: str) -> str:
    return f"rm {_link(digest, '_manifests/revisions')}"


def _odd_layer_link(_: Host, __: str, layer: str) -> str:
    return f"echo no digest >{_link(layer, '_layers')}"


def _no_layer_link(_: Host, __: str, layer: str) -> str:
    return f"rm -r {_link(layer, '_layers').rpartition('/')[0]}"


def _empty_tag(_: Host, __: str, ___: str) -> str:
    return f": >{ROOT}/repositories/app/_manifests/tags/1/current/link"


HARMS = (_empty_manifest_link, _no_manifest_link, _odd_layer_link, _no_layer_link, _empty_tag)


def test_what_is_mended_is_pulled_afterwards_and_the_rest_is_named(registry: Host, trusting: Host) -> None:
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    layer = _printed(registry, "images.show", "app:1")["parts"][0]["layers"][0]["digest"]
    assert "nothing is broken" in registry.inv("images.check").out
    for harm in HARMS:
        registry.does("sh", "-c", harm(registry, pushed, layer))
        registry.inv_fails("images.check", saying="./inv images.check --fix")
        assert "mended: 1 place" in registry.inv("images.check", "--fix", "--yes").out, harm
        assert pull(trusting, reference) == pushed
        trusting.run("podman", "rmi", "--force", reference)
        trusting.does("podman", "pull", reference)
    for content in (": >", "truncate -s 100 "):
        _lost_layer_is_named_and_pushed(registry, trusting, reference, f"{content}{_blob(layer)}")
    assert pull(trusting, reference) == pushed


def _blob(digest: str) -> str:
    hexed = digest.partition(":")[2]
    return f"{ROOT}/blobs/sha256/{hexed[:2]}/{hexed}/data"


def _lost_layer_is_named_and_pushed(registry: Host, client: Host, reference: str, harm: str) -> None:
    """Insist that a push repairs what it would otherwise take for sent, once the check has seen to that."""
    registry.does("sh", "-c", harm)
    client.does("podman", "rmi", "--force", reference)  # docker has the same layer of another image
    client.fails("podman", "pull", reference, saying="")
    registry.inv_fails("images.check", "--fix", "--yes", saying="must be pushed again: app:1")
    push(registry, reference)
    client.does("podman", "pull", reference)
    assert "nothing is broken" in registry.inv("images.check").out


def test_leftovers_go_and_a_signature_of_nothing_harms_nobody(registry: Host, trusting: Host) -> None:
    made = json.loads(_client(trusting, registry, "push"))
    _client(trusting, registry, "delete", "app", made["image"])
    upload = f"{ROOT}/repositories/app/_uploads/11111111-1111-1111-1111-111111111111"
    left = f"{ROOT}/repositories/app/_manifests/tags/2/current/link.1.tmp"
    registry.does("sh", "-c", f"mkdir -p {upload} && echo x >{upload}/data && : >{left}")
    registry.does("touch", "--date", "2 days ago", f"{upload}/data", left)
    kinds = sorted(it["kind"] for it in _printed(registry, "images.check"))
    assert kinds == ["leftover", "signature", "signature", "upload"]
    registry.inv("images.check", "--fix", "--yes")
    assert sorted(it["kind"] for it in _printed(registry, "images.check")) == ["signature", "signature"]
    registry.fails("ls", upload, saying="No such file")


def test_pulls_of_every_client_are_remembered_across_containers(registry: Host, trusting: Host) -> None:
    reference = f"{registry.address}/app:1"
    push(registry, reference)
    pull(trusting, reference)
    trusting.does("podman", "pull", reference)
    (first,) = _printed(registry, "images.list")
    registry.inv("up", "--port", "8443")
    registry.inv("up", "--port", "443")
    (second,) = _printed(registry, "images.list")
    assert (first["pulls"] >= 2, first["clients"], second["pulls"]) == (True, 1, first["pulls"])
    pull(trusting, reference)  # newer engines only ask, since they have the same image by another name
    assert _printed(registry, "images.list")[0]["last_pull"] > first["last_pull"]
