"""Mirrors of upstreams that answer wrongly, ports that are taken, and others' words that nobody overrules."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.e2e import mirrors
from tests.e2e.mirror_clients import CLASSIC, CLIENTS
from tests.e2e.mirrors import UPSTREAMS, files
from tests.e2e.upstreams import CUTS, GITHUB, HUB, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.lab import Lab
    from tests.e2e.mirrors import Site
    from tests.e2e.suites import Suite
    from tests.e2e.upstreams import Upstreams

ANSWERS = {"401": "login", "429": "limit", "503": "error", "html": "strange"}
"""What `mirror.list --json` calls each way of answering wrongly."""

QUAY = "quay.io"
"""An upstream that is no stand-in's: the name server knows no such name."""

BLOCKED = f'[[registry]]\nlocation = "{QUAY}"\nblocked = true\n'
CACHED = f'[[registry]]\nlocation = "{QUAY}"\n[[registry.mirror]]\nlocation = "cache.example.com"\n'
TOML = '[host."https://cache.example.com"]\n  capabilities = ["pull", "resolve"]\n'
WORDS = {
    "/etc/containers/registries.conf.d/10-theirs.conf": BLOCKED,
    "/etc/containers/registries.conf.d/90-theirs.conf": CACHED,
    f"/etc/docker/certs.d/{QUAY}/hosts.toml": TOML,
    f"/etc/containerd/certs.d/{QUAY}/hosts.toml": TOML,
}
"""What administrators say of an upstream, by files."""


@pytest.fixture(scope="module")
def site(lab: Lab, suite: Suite, upstreams: Upstreams) -> Iterator[Site]:
    """A machine with mirrors, the stand-ins for what they mirror, and every client; all scenarios here share them."""
    (host,) = lab.start({"mirrors": suite.name})
    yield mirrors.start(host, upstreams, CLASSIC)
    lab.stop([host.name])


def _serves_what_it_holds(site: Site) -> None:
    """Insist that a mirror gives what it holds, by its own name, since the upstream may give something else."""
    image = site.images[GITHUB]
    assert site.pull("skopeo", f"{site.address(GITHUB)}/{image.path}").code == 0


@pytest.mark.parametrize("kind", [*ANSWERS, "untrusted"])
def test_an_upstream_that_answers_wrongly_is_told_and_the_mirror_serves_what_it_holds(site: Site, kind: str) -> None:
    site.comes_through_the_mirror("skopeo", site.images[GITHUB])
    wrong = ("html", "untrusted") if kind == "untrusted" else (kind, "upstream")
    with site.upstreams.answering(GITHUB, wrong[0], stem=wrong[1]):
        listed = site.listed(GITHUB)
        assert listed["reach"] == ANSWERS.get(kind, "distrust"), listed
        assert str(listed["reason"]) in site.host.inv("mirror.up", UPSTREAMS).said
        _serves_what_it_holds(site)
        site.restart()
        _serves_what_it_holds(site)
        site.host.inv_fails("mirror.fill", f"{GITHUB}/org/never:1", saying="is not in the mirror, and ghcr.io")
    fresh = site.upstreams.publish(GITHUB, f"org/after-{kind}")
    site.awaits(fresh)
    assert site.listed(GITHUB)["reach"] == "answers"


def test_an_upstream_that_leads_elsewhere_is_followed(site: Site) -> None:
    site.upstreams.publish(GITHUB, "library/moved")  # who answers elsewhere is the other stand-in
    with site.upstreams.answering(HUB, "redirect"):
        assert site.pull("podman", f"{HUB}/library/moved:1").code == 0
    assert any(it.path == "/v2/library/moved/manifests/1" for it in site.requests(HUB))


@pytest.mark.parametrize("cut", CUTS)
def test_what_is_not_in_the_mirror_while_the_upstream_is_away_is_told_from_what_nobody_has(
    site: Site, cut: str
) -> None:
    never = f"{HUB}/library/never:1"
    site.host.inv_fails("mirror.fill", never, saying=f"{HUB} has no {never}")
    assert site.listed(HUB)["reach"] == "answers"
    with site.upstreams.away(cut):
        assert site.listed(HUB)["reach"] == "away"
        site.host.inv_fails("mirror.fill", never, saying=f"{never} is not in the mirror, and {HUB} does not answer")
        done = site.host.run("./inv", "doctor", user="dev", env=site.host.settings)
        assert HUB in done.said, done
        assert "Traceback" not in done.said, done
    assert f"{HUB} does not answer" not in site.host.run("./inv", "doctor", user="dev", env=site.host.settings).said


AWAY = ("It is not in the mirror of docker.io here", "The mirror does not hold all of that image")


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "CRI"])
def test_explain_tells_by_each_clients_own_message_whether_the_upstream_is_away_or_has_no_such_image(
    site: Site, name: str
) -> None:
    never = f"{HUB}/library/never:1"
    site.is_ready_for(name)
    assert not any(it in _explained(site, name, never) for it in AWAY)
    with site.upstreams.away(REFUSED):
        said = _explained(site, name, never)
    assert any(it in said for it in AWAY), said


def _explained(site: Site, name: str, reference: str) -> str:
    """Return what `explain` says to a client's failure."""
    failed = site.pull(name, reference)
    assert failed.code, f"This should have failed:\n{failed}"
    return site.host.does("./inv", "explain", failed.said, user="dev", env=site.host.settings).out


def test_a_mirror_is_made_while_its_upstream_is_away_and_not_at_a_port_that_is_taken(site: Site) -> None:
    before = files(site.host)
    taken = {int(site.address(it).rpartition(":")[2]) for it in site.images}
    port = max(taken) + 1
    argv = ["timeout", "60", "python3", "-m", "http.server", "--bind", "0.0.0.0", str(port)]  # noqa: S104 - in the lab
    site.host.begin(*argv, log="/srv/taken.log")
    site.host.wait_for("the port is taken", lambda: _listens(site, port))
    said = site.host.inv("mirror.up", QUAY).said
    assert f"{QUAY} does not answer" in said
    assert site.listed(QUAY)["mirror"] == f"{site.host.address}:{port + 1}"
    site.host.inv("mirror.down", QUAY, "--purge", "--yes")
    assert files(site.host) == before


def _listens(site: Site, port: int) -> bool:
    return f":{port} " in site.host.silently("ss", "--listening", "--tcp", "--numeric").out


@pytest.mark.parametrize("path", WORDS)
def test_what_an_administrator_said_of_an_upstream_is_not_overruled(site: Site, path: str) -> None:
    with _written(site, path):
        before, running = files(site.host), site.host.containers()
        said = site.host.inv_fails("mirror.up", QUAY, saying=f"{path}:").said
        assert QUAY in said
        assert (files(site.host), site.host.containers()) == (before, running)
    site.host.inv("mirror.up", QUAY)
    site.host.inv("mirror.down", QUAY, "--purge", "--yes")


@contextlib.contextmanager
def _written(site: Site, path: str) -> Iterator[None]:
    folder = path.rpartition("/")[0]
    fresh = site.host.silently("test", "-d", folder).code != 0
    site.host.does("mkdir", "--parents", folder)
    site.host.write(path, WORDS[path])
    try:
        yield
    finally:
        site.host.does("rm", "-r", folder if fresh else path)


@pytest.mark.parametrize("typed", ["ghcr.io/org", "registry.local", "192.0.2.1:5000", "nosuch"])
def test_what_is_no_public_registry_is_refused(site: Site, typed: str) -> None:
    before, running = files(site.host), site.host.containers()
    site.host.inv_fails("mirror.up", typed, saying=typed)
    assert (files(site.host), site.host.containers()) == (before, running)


def test_what_was_cleaned_comes_again_and_the_rest_is_served_without_the_upstream(site: Site) -> None:
    for image in site.images.values():
        site.comes_through_the_mirror("skopeo", image)
    site.host.inv("mirror.clean", "--older", "0", "--upstreams", GITHUB, "--yes")
    assert site.listed(GITHUB)["images"] == 0
    with site.upstreams.away(REFUSED):
        site.comes_through_the_mirror("skopeo", site.images[HUB])
        assert site.pull("skopeo", site.images[GITHUB].reference).code
    site.awaits(site.images[GITHUB])
    site.comes_through_the_mirror("skopeo", site.images[GITHUB])
