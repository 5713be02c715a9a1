"""A registry that is backed up while others push, and restored on another machine; and a site without any network."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from typing import TYPE_CHECKING

from tests.e2e.checkout import HOME
from tests.e2e.steps import CERTS, pull, push
from tests.e2e.test_images import _client, _printed
from tests.e2e.test_images_change import _trusting

if TYPE_CHECKING:
    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

WORDS = "four words that nobody guesses"
TYPED = 'words=$1; shift; printf "%s\\n" "$words" | ./inv "$@" --yes'
BARE = """
rm -rf /wheels /etc/pip.conf /home/dev/trusted-registry
install --directory --owner dev /home/dev/trusted-registry
docker rmi --force $(docker images --quiet) >/dev/null 2>&1
docker images --quiet
"""
UNPACK = "tar --extract --file site.tar trusted-registry && cd trusted-registry && ./inv up --from ../site.tar"
SKOPEO = 'rm -rf /tmp/skopeo && skopeo copy --quiet "$1:images.tar:$2" dir:/tmp/skopeo && cat /tmp/skopeo/manifest.json'
CRANE = """
command -v crane >/dev/null || { echo none; exit; }
rm -rf /tmp/layout && mkdir /tmp/layout && tar --extract --file one.tar --directory /tmp/layout
crane push /tmp/layout "$1/crane:1" && crane digest "$1/crane:1"
"""


def hand(source: Host, path: str, target: Host, to: str) -> None:
    """Carry a file from one host to another, to its ordinary user."""
    chunks, _ = source.container.get_archive(path)
    assert target.container.put_archive("/srv", b"".join(chunks))
    target.does("install", "--owner", "dev", "--mode", "0600", f"/srv/{path.rpartition('/')[2]}", to)


def typed(host: Host, *words: str) -> str:
    """Run a task that asks for a passphrase."""
    return host.does("sh", "-c", TYPED, "sh", WORDS, *words, user="dev", env=host.settings, seconds=300).out


def digests_of(host: Host) -> dict[str, str | None]:
    """Return the digests of all images of a registry, by their names; none of a tag whose push is under way."""
    return {f"{it['repository']}:{it['tag'] or it['digest']}": it["digest"] for it in _printed(host, "images.list")}


def missing(before: dict[str, str | None], after: dict[str, str | None]) -> set[str]:
    """Return the images that a later list has not; one that was just being pushed may have its tag only there."""
    left = {name: it for name, it in before.items() if it and after.get(name) != it}
    return {name for name, it in left.items() if not (name.endswith(it) and it in after.values())}


def test_a_client_that_trusted_the_first_machine_pulls_from_the_second_under_the_same_address(
    registry: Host, client: Host, lab: Lab, suite: Suite, run: Run
) -> None:
    registry.inv("up")
    trusting = _trusting(registry, client)
    _client(trusting, registry, "push")
    address, pushed = registry.address, push(registry, f"{registry.address}/kept:1")
    trusting.begin("python3", "/srv/image_loops.py", "push", address, f"{CERTS}/ca.crt", log="/srv/pushes")
    trusting.wait_for("pushes", lambda: any(it.startswith("pushed:") for it in digests_of(registry)))
    before = digests_of(registry)
    said = typed(registry, "registry.backup", f"{HOME}/backup.tar")
    trusting.write("/srv/enough", "")
    trusting.wait_for("the last pushes", lambda: "{" in trusting.peek("/srv/pushes"))
    (second,) = lab.start({"second": suite.name})
    try:
        hand(registry, f"{HOME}/backup.tar", second, f"{HOME}/backup.tar")
        registry.move(lab.address())
        second.move(address)
        typed(second, "registry.restore", "backup.tar")
        second.inv("up")
        after = digests_of(second)
        assert missing(before, after) == set()
        assert pull(trusting, f"{address}/kept:1") == pushed
        assert "nothing is broken" in second.inv("images.check").out
        run.notes.append(
            f"registry.backup while four clients push: {re.findall('saved: .*', said)}; {len(before)} images before"
        )
    finally:
        lab.stop([second.name])


def test_a_site_without_any_network_is_brought_up_from_one_file_and_gets_what_is_new_by_another(
    registry: Host, client: Host, run: Run
) -> None:
    registry.inv("up")
    pushed = push(registry, f"{registry.address}/app:1")
    registry.inv("site.pack", f"{HOME}/site.tar")
    packed = digests_of(registry)
    registry.does("docker", "tag", "busybox:1", f"{registry.address}/new:1")
    registry.does("docker", "push", f"{registry.address}/new:1")
    later = registry.inv("images.save", f"{HOME}/later.tar", "--since", f"{HOME}/site.tar.index").out
    sizes = registry.does("stat", "--format", "%n %s", f"{HOME}/site.tar", f"{HOME}/later.tar").out
    assert client.does("sh", "-c", BARE).out == ""
    hand(registry, f"{HOME}/site.tar", client, "/home/dev/site.tar")
    client.does("sh", "-c", f"cd /home/dev && {UNPACK}", user="dev", env=client.settings, seconds=300)
    assert digests_of(client) == packed
    assert client.read(f"{CERTS}/ca.crt") != registry.read(f"{CERTS}/ca.crt")
    assert pull(client, f"{client.address}/app:1") == pushed
    hand(registry, f"{HOME}/later.tar", client, "/home/dev/later.tar")
    client.inv("images.load", "/home/dev/later.tar")
    assert digests_of(client) == digests_of(registry)
    run.notes.append(f"a site's file and the next: {' '.join(sizes.split())}; {re.findall('saved: .*', later)}")


def test_a_site_that_gets_the_keys_is_the_same_registry(registry: Host, client: Host) -> None:
    registry.inv("up")
    pushed = push(registry, f"{registry.address}/app:1")
    typed(registry, "site.pack", f"{HOME}/site.tar", "--trust")
    assert client.does("sh", "-c", BARE).out == ""
    hand(registry, f"{HOME}/site.tar", client, "/home/dev/site.tar")
    unpack = UNPACK.replace("./inv", f"echo {shlex.quote(WORDS)} | ./inv")
    for _ in range(2):
        client.does("sh", "-c", f"cd /home/dev && {unpack}", user="dev", env=client.settings, seconds=300)
    assert client.read(f"{CERTS}/ca.crt") == registry.read(f"{CERTS}/ca.crt")
    assert client.read(f"{CERTS}/domain.crt") != registry.read(f"{CERTS}/domain.crt")
    assert pull(client, f"{client.address}/app:1") == pushed


def test_other_programs_read_the_file(registry: Host, client: Host) -> None:
    registry.inv("up")
    trusting = _trusting(registry, client)
    made = json.loads(_client(trusting, registry, "push"))
    pushed = push(registry, f"{registry.address}/docker/app:1")
    registry.inv("images.save", f"{HOME}/images.tar")
    registry.inv("images.save", f"{HOME}/one.tar", "--references", "docker/app:1")
    for kind, reference in (("oci-archive", "app:1"), ("docker-archive", "docker/app:1")):
        content = registry.does("sh", "-c", SKOPEO, "sh", kind, reference).out
        assert json.loads(content)["config"]["digest"]
    content = registry.does("sh", "-c", SKOPEO, "sh", "oci-archive", "app:1").out
    assert f"sha256:{hashlib.sha256(content.encode()).hexdigest()}" == made["image"]
    hand(registry, f"{HOME}/one.tar", client, f"{HOME}/one.tar")
    assert "Loaded image: docker/app:1" in client.does("docker", "load", "--input", f"{HOME}/one.tar").out
    client.inv("trust.linux", "--system")
    assert client.does("sh", "-c", CRANE, "sh", registry.address).out.split()[-1] in {"none", pushed}
