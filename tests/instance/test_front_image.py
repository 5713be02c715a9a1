"""The image of the front: haproxy's own, or one of the distribution's package with the libraries that it names."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.fake_engine import FakeEngine
from tests.fake_images import IMAGE
from trusted_registry.errors import RegistryError
from trusted_registry.instance import front_image
from trusted_registry.run import Run

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from tests.recorder import Recorder

HAPROXY = "haproxy:lts"

APT_GET = """
shift
for name; do touch "${name}_1.2-3%3a4_all.deb"; done
"""
DPKG_DEB = """
case $2 in
haproxy_*) mkdir -p "$3/usr/sbin" && echo program > "$3/usr/sbin/haproxy" ;;
liblua_*) mkdir -p "$3/usr/lib/x" && echo lua > "$3/usr/lib/x/liblua.so.5" ;;
libtracing_*) mkdir -p "$3/usr/lib/x" && echo tracing > "$3/usr/lib/x/libtracing.so.1" ;;
esac
"""
APT_CACHE = """
for name; do :; done
case $name in
haproxy) printf 'haproxy\\n  Depends: libc6\\n |Depends: liblua\\n  Depends: adduser\\n' ;;
liblua) printf 'liblua\\n  Depends: libtracing\\n' ;;
esac
"""
DPKG_QUERY = """
for name; do :; done
[ "$name" = libc6 ] && printf installed
"""
LDD = """
tree=${1%/usr/sbin/haproxy}
for library in liblua.so.5 libtracing.so.1; do
    if [ -e "$tree/usr/lib/x/$library" ]; then echo "$library => $tree/usr/lib/x/$library (0x1)"
    else echo "$library => not found"; fi
done
echo "libc.so.6 => HOST (0x2)"
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution whose haproxy names two libraries, one of them by way of the other, and one that is here."""
    libc = tmp_path / "libc.so.6"
    libc.write_text("libc")
    for name, script in {
        "apt-get": APT_GET,
        "dpkg-deb": DPKG_DEB,
        "apt-cache": APT_CACHE,
        "dpkg-query": DPKG_QUERY,
        "ldd": LDD.replace("HOST", str(libc)),
    }.items():
        programs.put(name, script, tmp_path, monkeypatch)
    return libc


def test_one_that_is_there_or_can_be_pulled_is_taken(make_settings: MakeSettings, console: Recorder) -> None:
    run = Run(make_settings(), console)
    there, elsewhere = FakeEngine(images=(HAPROXY,)), FakeEngine(remote=(HAPROXY,))
    assert (front_image.ensure(run, there).name, there.done) == (HAPROXY, [])
    assert (front_image.ensure(run, elsewhere).name, elsewhere.done) == (HAPROXY, [f"pull {HAPROXY}"])


@pytest.mark.process
def test_otherwise_one_is_made_with_every_library_at_its_path_and_taken_again(
    packages: Path, make_settings: MakeSettings, console: Recorder
) -> None:
    engine, run = FakeEngine(), Run(make_settings(), console)
    made = front_image.ensure(run, engine)
    assert made.name == "trusted-registry/haproxy:1.2-3-4"
    assert console.said[-1] == f"image: package haproxy 1.2-3:4, as {HAPROXY} cannot be pulled"
    with tarfile.open(fileobj=io.BytesIO(engine.layers[made.id])) as tar:
        members = tar.getmembers()
        held = {
            it.name: (it.mode, it.uid, (tar.extractfile(it) or io.BytesIO()).read()) for it in members if it.isreg()
        }
    folders = [it.name for it in members if it.isdir() and it.mode == 0o755]
    assert folders[:4] == ["bin", "usr", "usr/lib", "usr/lib/x"], "an engine makes no folder that root alone may enter"
    assert held == {
        "bin/haproxy": (0o755, 0, b"program\n"),
        "usr/lib/x/liblua.so.5": (0o755, 0, b"lua\n"),
        "usr/lib/x/libtracing.so.1": (0o755, 0, b"tracing\n"),
        str(packages).lstrip("/"): (0o755, 0, b"libc"),
    }
    assert not any(line.endswith(" libc6") or "adduser" in line for line in console.typed)
    engine.done.clear()
    assert (front_image.ensure(run, engine), engine.done) == (made, [])
    assert IMAGE in engine.images


@pytest.mark.process
def test_where_a_library_is_in_no_package_none_is_made(
    packages: Path, make_settings: MakeSettings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert packages
    programs.put("apt-cache", "exit 0", tmp_path, monkeypatch)
    with pytest.raises(RegistryError, match=r"There is no image of haproxy.*needs a library") as caught:
        front_image.ensure(Run(make_settings(), console), FakeEngine())
    assert "docker load --input" in caught.value.cure
