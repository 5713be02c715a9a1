"""The kit with mirrors, on whole disks: what it tells each store, what it leaves to others, and what it takes back."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode, snapshot
from tests.trust.remote.kits import REGISTRIES, Disk, anchor, last
from tests.trust.remote.test_kit_remove import cured, killed
from trusted_registry.errors import RegistryError
from trusted_registry.trust.model import Mirror, TrustAnchor
from trusted_registry.trust.remote import kit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.process

HUB, GITHUB = Mirror("docker.io", "192.168.0.12:5500"), Mirror("ghcr.io", "192.168.0.12:5501")
DOCKER, PODMAN, CONTAINERD = (f"etc/{it}/certs.d" for it in ("docker", "containers", "containerd"))
DROP_IN = "etc/containers/registries.conf.d/50-trusted-registry-mirror.conf"
DAEMON = "etc/docker/daemon.json"
LISTED = '{\n  "registry-mirrors": [\n    "https://192.168.0.12:5500"\n  ]\n}\n'
BUILDKIT, K3S = "etc/buildkit/buildkitd.toml", "etc/rancher/k3s/registries.yaml"
PLAIN = anchor(registry_hosts=("192.168.0.12",))


def mirrored(*mirrors: Mirror, retired: tuple[Mirror, ...] = ()) -> TrustAnchor:
    """Return what is to be trusted, with mirrors."""
    return dataclasses.replace(PLAIN, mirrors=mirrors, retired=retired)


@pytest.fixture
def told(disk: Disk) -> Disk:
    """A disk with every client, and a kit with two mirrors, by every shell."""
    return disk.of(mirrored(HUB, GITHUB))


@pytest.fixture
def two(one: Disk) -> Disk:
    """The same by this machine's own shell alone."""
    return one.of(mirrored(HUB, GITHUB))


def _texts(disk: Disk) -> str:
    """Return all that stands on a disk but the kit's own record, with the paths."""
    held = {path: content for path, (_, content) in snapshot(disk.root).items() if "var/lib" not in path}
    return "\n".join(f"{path}\n{content.decode()}" for path, content in held.items())


# What is written


def test_it_writes_byte_for_byte_what_the_table_says_and_the_list_that_docker_needs(told: Disk) -> None:
    assert last(told.here("--check")) == (1, "absent")
    expected = told.expected()
    done = told.here()
    assert last(done) == (0, "changed"), done
    assert {path: path.read_bytes() for path in expected} == expected
    assert (told.root / DAEMON).read_text() == LISTED
    assert "docker (Docker Engine): 192.168.0.12, mirror of docker.io, mirror of ghcr.io: now trusted\n" in done.stdout
    names = {str(path.relative_to(told.root)) for path in expected}
    wanted = {f"{it}/{upstream}/hosts.toml" for it in (DOCKER, CONTAINERD) for upstream in ("docker.io", "ghcr.io")}
    assert names >= wanted | {DROP_IN, BUILDKIT, K3S}
    before = snapshot(told.root)
    assert last(told.here("--check")) == (0, "trusted")
    assert last(told.here()) == (0, "already trusted")
    assert snapshot(told.root) == before


def test_a_look_says_that_a_mirror_is_not_told_of(two: Disk) -> None:
    two.here()
    (two.root / DOCKER / "ghcr.io/hosts.toml").unlink()
    done = two.here("--check")
    assert last(done) == (1, "absent")
    assert "docker (Docker Engine): mirror of ghcr.io: absent\n" in done.stdout


def test_a_dry_run_shows_it_and_changes_nothing(two: Disk) -> None:
    before = snapshot(two.root)
    done = two.here("--dry-run")
    assert last(done) == (0, "would change")
    assert done.stdout.count(f"'{two.root}/{DROP_IN}'") == done.stdout.count(f"editor '{two.root}/{DAEMON}'") == 1
    assert '"registry-mirrors": ["https://192.168.0.12:5500"]\n$ systemctl reload docker\n' in done.stdout
    assert snapshot(two.root) == before


def test_a_kit_without_mirrors_leaves_those_alone_that_another_one_told_of(two: Disk) -> None:
    two.here()
    before, plain = snapshot(two.root), two.of(PLAIN)
    assert last(plain.here()) == (0, "already trusted")
    assert snapshot(two.root) == before


def test_a_disk_with_another_upstream_than_docker_hub_has_no_list(one: Disk) -> None:
    assert last(one.of(mirrored(GITHUB)).here()) == (0, "changed")
    assert not (one.root / DAEMON).exists()


@pytest.mark.parametrize("name", ["a b", "a/b", "'", '"', "{home}", "..", "a\nb", "é"])
def test_a_mirror_whose_name_is_none_is_refused(name: str) -> None:
    for wrong in (Mirror(name, "192.168.0.12:5500"), Mirror("docker.io", name)):
        with pytest.raises(RegistryError, match="not a registry's name"):
            kit.render(mirrored(wrong), "192.168.0.12")


# What others said


WORDS = {
    "hosts.toml": (f"{DOCKER}/docker.io/hosts.toml", '# mine\n[host."https://other"]\n', ", line 2,", "docker"),
    "of all": (f"{DOCKER}/_default/hosts.toml", 'server = "https://other"\n', ", line 1,", "docker"),
    "an authority of theirs": (f"{CONTAINERD}/docker.io/corp.crt", "a certificate", "", "containerd"),
    "a list": (DAEMON, '{\n "registry-mirrors": ["https://other"]}', ", line 2,", "docker"),
    "a flag": (
        "etc/systemd/system/docker.service.d/ours.conf",
        "[Service]\nExecStart=dockerd --registry-mirror https://other\n",
        ", line 2,",
        "docker",
    ),
    "registries.conf": (
        "etc/containers/registries.conf",
        "\n[[registry]]\nlocation = 'docker.io' # no\nblocked = true\n",
        ", line 3,",
        "podman",
    ),
    "a drop-in": (
        "etc/containers/registries.conf.d/99-mine.conf",
        '[[ registry ]]\nlocation = "elsewhere/x"\nprefix="docker.io"\n',
        ", line 3,",
        "podman",
    ),
    "a whole domain": (
        "etc/containers/registries.conf",
        '[[registry]]\nprefix = "*.io"\nblocked = true\n',
        ", line 2,",
        "podman",
    ),
    "the older form": (
        "etc/containers/registries.conf",
        "[registries.block]\nregistries = ['docker.io']\n",
        ", line 2,",
        "podman",
    ),
    "our drop-in's name": (DROP_IN, '[[registry]]\nlocation = "x.io"\n', ", line 1,", "podman"),
    "registries.yaml": (K3S, 'mirrors:\n  docker.io:\n    rewrite:\n      "a": "b"\n', ", line 2,", "k3s"),
    "registries.yaml, of all": (K3S, 'mirrors:\n  "*":\n    endpoint:\n      - "https://other"\n', ", line 2,", "k3s"),
    "buildkitd.toml": (BUILDKIT, '[registry."docker.io"]\n  mirrors = ["other"]\n', ", line 1,", "buildkit"),
}


@pytest.mark.parametrize("word", WORDS)
def test_what_another_hand_said_of_an_upstream_counts_and_trust_is_told_all_the_same(word: str, two: Disk) -> None:
    path, text, line, name = WORDS[word]
    theirs = two.put(path, text)
    done = two.here()
    assert last(done) == (0, "changed"), done
    told = (
        f"note: {name} is told of no mirror of docker.io: {theirs}{line} says something about it, and stays as it is."
    )
    assert told in done.stderr.splitlines()
    if name not in ("k3s", "buildkit"):
        assert theirs.read_text() == text
    assert f"{name} (" in done.stdout
    trusted = {"docker": DOCKER, "podman": PODMAN, "containerd": CONTAINERD}
    if name in trusted:
        folder = two.root / trusted[name]
        assert (folder / "192.168.0.12/ca.crt").exists()
        assert not (folder / HUB.registry_host).exists(), "nothing of that mirror"
        assert name != "docker" or "5500" not in _texts_of(two, DAEMON)
    else:
        held = (two.root / path).read_text()
        assert ("192.168.0.12" in held, "5500" in held) == (True, False)
    assert last(two.here("--check")) == (0, "trusted")
    assert last(two.here("--remove"))[0] == 0
    assert theirs.read_text() == text


def _texts_of(disk: Disk, path: str) -> str:
    return (disk.root / path).read_text() if (disk.root / path).exists() else ""


def test_a_word_about_one_upstream_leaves_the_other_its_mirror(two: Disk) -> None:
    two.put("etc/containers/registries.conf", '[[registry]]\nlocation = "docker.io"\n')
    two.put(f"{DOCKER}/docker.io/hosts.toml", "server = 'x'\n")
    two.put(K3S, REGISTRIES)
    two.here()
    assert "docker.io" not in (two.root / DROP_IN).read_text()
    assert 'location = "ghcr.io"' in (two.root / DROP_IN).read_text()
    assert (two.root / DOCKER / "ghcr.io/hosts.toml").exists()
    assert '"ghcr.io":' in (two.root / K3S).read_text()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/containers/registries.conf", 'unqualified-search-registries = ["docker.io"]\n'),
        ("etc/containers/registries.conf", '# [[registry]]\n#location = "docker.io"\n'),
        ("etc/containers/registries.conf", '[[registry]]\nlocation = "docker.io/team"\n'),
        ("etc/containers/registries.conf", '[[registry]]\nprefix = "*.com"\nlocation = "docker.io"\n'),
        (
            "etc/containers/registries.conf",
            '[[registry]]\nlocation="x.org"\n[[registry.mirror]]\nlocation="docker.io"\n',
        ),
        ("etc/containers/registries.conf.d/shortnames.conf", '[aliases]\n"alpine" = "docker.io/library/alpine"\n'),
        ("etc/containers/registries.conf.d/off.conf.bak", '[[registry]]\nlocation = "docker.io"\n'),
        (DAEMON, '{"insecure-registries": ["docker.io"]}'),
        (DAEMON, '{"registry-mirrors": []}'),
        ("etc/default/docker", "#DOCKER_OPTS=--registry-mirror https://other\n"),
        (f"{DOCKER}/other.io/hosts.toml", 'server = "https://docker.io"\n'),
        (BUILDKIT, '[registry."docker.iox"]\n  http = true\n'),
    ],
)
def test_what_is_about_something_else_stands_in_no_way(path: str, text: str, two: Disk) -> None:
    two.put(path, text)
    done = two.here()
    assert (last(done), "is told of no mirror" in done.stderr) == ((0, "changed"), False), done.stderr
    assert 'location = "docker.io"' in (two.root / DROP_IN).read_text()
    assert "https://192.168.0.12:5500" in (two.root / DAEMON).read_text()
    assert last(two.here("--remove")) == (0, "changed")
    assert (two.root / path).read_text() == text


def test_a_word_that_comes_later_has_ours_taken_back(told: Disk) -> None:
    told.here()
    theirs = told.put("etc/containers/registries.conf", '[[registry]]\nlocation = "docker.io"\nblocked = true\n')
    toml = told.put(f"{DOCKER}/docker.io/hosts.toml", 'server = "https://other"\n')
    done = told.here()
    assert last(done) == (0, "changed"), done
    assert 'location = "docker.io"' not in (told.root / DROP_IN).read_text()
    assert not (told.root / DAEMON).exists()
    assert (theirs.read_text()[:2], toml.read_text()[:6]) == ("[[", "server")
    assert last(told.here("--check")) == (0, "trusted")


def test_a_user_s_own_registries_conf_that_hides_ours_is_named(two: Disk) -> None:
    its = two.home / ".config/containers/registries.conf"
    its.parent.mkdir(parents=True)
    its.write_text("[[registry]]\nlocation = 'ghcr.io'\n")
    said = two.run("--dry-run", "--only", "podman").stderr
    assert f"no mirror of ghcr.io: {its}, line 2, says" in said
    assert f"note: {its} is read instead of the machine's" in said
    its.unlink()
    assert "registries.conf" not in two.run("--dry-run", "--only", "podman").stderr


# daemon.json

OTHERS = {
    "a few keys": ('{\n    "debug": true,\n    "data-root": "/srv/docker"\n}\n', 0o644),
    "few may read it": ('{"proxies": {"http-proxy": "http://me:secret@proxy"}}', 0o600),
    "Windows's line ends": ('{\r\n\t"debug": true\r\n}\r\n', 0o640),
    "an empty list": ('{"registry-mirrors": []}\n', 0o644),
    "other letters": ('{"labels": ["\u00e4=\U0001f433", "\\ud800"]}', 0o644),
    "nothing": ("", 0o644),
}


@pytest.mark.parametrize("others", OTHERS)
def test_other_keys_stay_and_the_file_comes_back_byte_for_byte(others: str, two: Disk) -> None:
    text, rights = OTHERS[others]
    path = two.put(DAEMON, text, rights)
    before = snapshot(two.root)
    assert last(two.here()) == (0, "changed")
    now = json.loads(path.read_text())
    assert now.pop("registry-mirrors") == ["https://192.168.0.12:5500"]
    assert now == {key: it for key, it in json.loads(text or "{}").items() if key != "registry-mirrors"}
    copies = [it for it in (two.root / "var/lib/trusted-registry").iterdir() if "daemon" in it.name]
    assert [(it.read_bytes(), mode(it)) for it in copies] == [(text.encode(), rights)]
    assert mode(path) == rights
    assert last(two.here()) == (0, "already trusted")
    assert last(two.here("--remove")) == (0, "changed")
    assert {path: it for path, it in snapshot(two.root).items() if path != "var/lib"} == {
        path: it for path, it in before.items() if path != "var/lib"
    }


def test_one_that_is_no_json_is_left_alone(two: Disk) -> None:
    path = two.put(DAEMON, '{"debug": true,}')
    done = two.here()
    assert last(done) == (0, "changed")
    assert f"note: {path} is not JSON that Docker takes, so no mirror was added to it.\n" in done.stderr
    assert path.read_text() == '{"debug": true,}'
    assert (two.root / DOCKER / "docker.io/hosts.toml").exists()


def test_without_a_program_that_reads_json_the_line_to_add_is_told(two: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = two.put(DAEMON, '{"debug": true}')
    _without_readers(two.folder, monkeypatch, "python3", "jq")
    done = two.here(PATH=os.environ["PATH"])
    assert last(done) == (0, "changed")
    assert 'By hand: "registry-mirrors": ["https://192.168.0.12:5500"], then: systemctl reload docker\n' in done.stderr
    assert path.read_text() == '{"debug": true}'
    path.write_text('{"registry-mirrors": ["https://other"]}')
    assert f"no mirror of docker.io: {path}, line 1, says" in two.here(PATH=os.environ["PATH"]).stderr


def test_without_one_a_file_of_ours_is_made_and_taken_back(two: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_readers(two.folder, monkeypatch, "python3", "jq")
    before = snapshot(two.root)
    assert last(two.here(PATH=os.environ["PATH"])) == (0, "changed")
    assert (two.root / DAEMON).read_text() == LISTED
    assert last(two.here("--remove", PATH=os.environ["PATH"])) == (0, "changed")
    assert (two.root / DAEMON).exists() is False
    assert DAEMON not in before


@pytest.mark.parametrize("without", [(), ("python3", "jq")], ids=["python3", "no reader"])
@pytest.mark.parametrize("value", ["null", "0", "false", '""', "{}", '"https://other"'])
def test_a_list_that_is_none_is_left_alone(
    value: str, without: tuple[str, ...], two: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f'{{\n "debug": true,\n "registry-mirrors": {value}}}\n'
    path = two.put(DAEMON, text)
    _without_readers(two.folder, monkeypatch, *without)
    done = two.here(PATH=os.environ["PATH"])
    assert last(done) == (0, "changed")
    assert f"docker is told of no mirror of docker.io: {path}, line 3, says" in done.stderr
    assert (path.read_text(), (two.root / DOCKER / "docker.io").exists()) == (text, False)


def _without_readers(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have programs first on PATH, in the place of those that read JSON, that fail."""
    programs = folder / "no readers"
    programs.mkdir()
    for name in names:
        (programs / name).write_text("#!/bin/sh\nexit 127\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


def test_what_others_add_to_it_later_stays(two: Disk) -> None:
    path = two.put(DAEMON, '{"debug": true}')
    two.here()
    path.write_text(json.dumps({**json.loads(path.read_text()), "ipv6": True}))
    assert last(two.here("--remove")) == (0, "changed")
    assert json.loads(path.read_text()) == {"debug": True, "ipv6": True}
    two.here()
    path.write_text(path.read_text().replace("[\n", '[\n"https://other",\n').replace("[", '["https://other", ', 1))
    json.loads(path.read_text())
    assert last(two.here("--remove")) == (0, "changed")
    assert set(json.loads(path.read_text())["registry-mirrors"]) == {"https://other"}


# What is taken back


def _bare(_: Disk) -> None:
    pass


def _others(disk: Disk) -> None:
    disk.put(DAEMON, '{"debug": true}', 0o640)
    disk.put(K3S, REGISTRIES, 0o600)
    disk.put(BUILDKIT, "debug = true\n[worker.oci]\n  max-parallelism = 4", 0o640)
    disk.put(f"{DOCKER}/other:5000/ca.crt", "another's", 0o600)
    disk.put("etc/containers/registries.conf", 'unqualified-search-registries = ["docker.io"]')
    (disk.root / CONTAINERD / "ghcr.io").mkdir(parents=True, mode=0o700)


@pytest.mark.parametrize("with_mirrors", [True, False])
@pytest.mark.parametrize("before", [_bare, _others])
def test_removal_leaves_the_disk_as_it_was(before: Callable[[Disk], None], with_mirrors: bool, told: Disk) -> None:  # noqa: FBT001 - a column
    before(told)
    as_it_was = snapshot(told.root)
    assert last(told.here()) == (0, "changed")
    done = (told if with_mirrors else told.of(PLAIN)).here("--remove")
    assert (last(done), done.stderr) == ((0, "changed"), "")
    left = {path: it for path, it in snapshot(told.root).items() if not path.startswith("var/lib")}
    assert left == {path: it for path, it in as_it_was.items() if not path.startswith("var/lib")}
    assert last(told.here("--remove")) == (0, "absent")


def test_a_mirror_that_moved_or_is_no_more_leaves_nothing_behind(told: Disk) -> None:
    told.put(K3S, REGISTRIES.replace("docker.io", "quay.io"))
    before = snapshot(told.root)
    told.here()
    moved = told.of(mirrored(Mirror("docker.io", "192.168.0.12:5600")))
    done = moved.here()
    assert (last(done), done.stderr) == ((0, "changed"), "")
    expected = moved.expected()
    assert {path: path.read_bytes() for path in expected} == expected
    texts = _texts(moved)
    assert [it for it in ("5500", "5501", "ghcr.io") if it in texts] == []
    assert "https://192.168.0.12:5600" in (moved.root / DAEMON).read_text()
    assert last(moved.here("--check")) == (0, "trusted")
    assert last(moved.here()) == (0, "already trusted")
    done = moved.here("--remove")
    assert (last(done), done.stderr) == ((0, "changed"), "")
    left = {path: it for path, it in snapshot(told.root).items() if not path.startswith("var/lib")}
    assert left == {path: it for path, it in before.items() if not path.startswith("var/lib")}


def test_where_all_are_gone_the_trust_stays_alone(told: Disk) -> None:
    told.here()
    gone = told.of(mirrored(retired=(HUB, GITHUB)))
    looked = gone.here("--check")
    assert last(looked) == (1, "absent")
    assert "docker (Docker Engine): mirrors that are no more are left\n" in looked.stdout
    assert "docker (Docker Engine): 192.168.0.12" not in looked.stdout
    assert last(gone.here()) == (0, "changed")
    assert [it for it in ("550", "docker.io", "ghcr.io", "registry-mirrors") if it in _texts(gone)] == []
    plain = gone.expected()
    assert {path: path.read_bytes() for path in plain} == plain
    assert last(gone.here("--check")) == (0, "trusted")
    assert last(gone.of(PLAIN).here()) == (0, "already trusted")


@pytest.mark.parametrize("steps", [*range(1, 40, 6), *range(41, 90, 12)])
def test_a_run_that_is_killed_is_finished_or_taken_back(two: Disk, steps: int) -> None:
    two.put(DAEMON, '{"debug": true}', 0o600)
    before = snapshot(two.root)
    killed(two, steps)
    killed(two, steps // 2, "--remove")
    if steps % 2:
        assert last(cured(two))[1] in ("changed", "already trusted")
        assert last(two.here("--check")) == (0, "trusted")
        killed(two, steps + 3, "--remove")
    assert last(cured(two, "--remove"))[0] == 0
    left = {path: it for path, it in snapshot(two.root).items() if not path.startswith("var/lib")}
    assert left == {path: it for path, it in before.items() if not path.startswith("var/lib")}


@pytest.mark.parametrize("steps", range(10))
def test_one_that_is_killed_after_it_emptied_the_list_still_brings_the_file_back(two: Disk, steps: int) -> None:
    path = two.put(DAEMON, '{"debug": true}', 0o600)
    two.here("--only", "docker")
    killed(two, steps, "--remove")
    assert last(cured(two, "--remove"))[0] == 0
    assert path.read_text() == '{"debug": true}'


def test_what_names_a_certificate_goes_before_it(two: Disk) -> None:
    two.here()
    stubs = two.folder / "stubs"
    stubs.mkdir()
    (stubs / "rm").write_text(f'#!/bin/sh\necho "$(pwd) $*" >>"{stubs}/order"\nPATH=${{PATH#*:}}\nexec rm "$@"\n')
    (stubs / "rm").chmod(0o755)
    assert last(two.here("--remove", PATH=f"{stubs}:{os.environ['PATH']}")) == (0, "changed")
    order = [line for line in (stubs / "order").read_text().splitlines() if DOCKER in line and "part" not in line]
    assert [it.endswith("hosts.toml") for it in order] == [True, True, False, False, False]


def test_a_certificate_that_another_hand_s_hosts_toml_names_stays(two: Disk) -> None:
    two.here()
    toml = two.root / DOCKER / "docker.io/hosts.toml"
    toml.write_text(toml.read_text() + "# mine\n")
    done = two.here("--remove")
    assert last(done) == (1, "failed")
    assert f"{two.root}/{DOCKER}/192.168.0.12:5500/ca.crt stays: an entry of {toml} that" in done.stderr
    assert (two.root / DOCKER / "192.168.0.12:5500/ca.crt").exists()
    assert not (two.root / DOCKER / "192.168.0.12:5501").exists()


def test_a_changeover_keeps_the_mirrors_by_the_new_root(two: Disk) -> None:
    other = dataclasses.replace(anchor("new", registry_hosts=PLAIN.registry_hosts), mirrors=(HUB, GITHUB))
    two.put(DAEMON, '{"debug": true}')
    before = snapshot(two.root)
    two.here()
    assert last(two.of(dataclasses.replace(two.anchor, beside=other)).here()) == (0, "changed")
    new = two.of(dataclasses.replace(other, before=PLAIN.fingerprint))
    expected = new.expected()
    assert last(new.here()) == (0, "changed")
    assert {path: path.read_bytes() for path in expected} == expected
    assert json.loads((new.root / DAEMON).read_text())["registry-mirrors"] == ["https://192.168.0.12:5500"]
    assert PLAIN.fingerprint[:16] not in new.record.read_text()
    assert last(new.here("--remove")) == (0, "changed")
    left = {path: it for path, it in snapshot(two.root).items() if not path.startswith("var/lib")}
    assert left == {path: it for path, it in before.items() if not path.startswith("var/lib")}
