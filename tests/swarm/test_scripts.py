"""The scripts that run on hosts, by a real shell with a docker that is told what to say."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests import programs
from trusted_registry.instance.model import Image
from trusted_registry.swarm import machines
from trusted_registry.trust.remote import hosts

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

ID = f"sha256:{'0a' * 32}"
IMAGE = Image("registry:3", ID)
OWN = "0a" * 16
TOKEN = "SWMTKN-1-abc"  # noqa: S105 - a test's
IP = 'case "$*" in *192.168.0.13*) echo "2: eth0    inet 192.168.0.13/24" ;; esac'
"""A host whose own address is the second."""
OTHERS = ("192.168.0.12", "192.168.0.13")


def _run(script: bytes, folder: Path, name: str = "script.sh") -> hosts.HostResult:
    """Run a script as the action does on a host, and return the result as it is read here."""
    path = folder / name
    path.write_bytes(script)
    done = subprocess.run(["sh", str(path)], cwd=folder, capture_output=True, text=True, check=False, timeout=20)
    end = "failed" if done.returncode else "ok"
    event = {"host": "web1", "end": end, "stdout": done.stdout, "stderr": done.stderr, "msg": ""}
    return hosts.result_of(event)


def _docker(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.put("docker", script, folder, monkeypatch)


SAYS = f"""
case "$*" in
    info*) echo "26.1.5 active node1" ;;
    *{ID}) ;;
    *) exit 1 ;;
esac
"""


def test_a_host_tells_its_engine_its_node_and_the_images_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _docker(SAYS, tmp_path, monkeypatch)
    images = [IMAGE, Image("haproxy:lts", f"sha256:{'0b' * 32}"), Image("none", "")]
    found = machines.facts(_run(machines.inspection(images, (), OWN), tmp_path), time.time() - 1)
    assert (found.engine, found.state, found.node, found.images, found.taken) == (
        "26.1.5",
        "active",
        "node1",
        (ID,),
        (),
    )
    assert found.skew == 0
    machines.check(found)


@pytest.mark.parametrize("own", [OWN, "0b" * 16])
def test_a_host_tells_the_address_that_keepalived_moves_for_this_installation(
    own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _docker('echo "26.1.5 active node1"', tmp_path, monkeypatch)
    made = machines.give_address("192.168.0.10", OTHERS, 443, OWN, "secret").decode()
    config = made.partition("<<END\n")[2].partition("END\n")[0].replace("$mark", f"# trusted-registry {OWN}")
    (tmp_path / "keepalived.conf").write_text(config.replace("$interface", "eth0"))
    script = machines.inspection([], (), own).replace(b"/etc/keepalived/", f"{tmp_path}/".encode())
    found = machines.facts(_run(script, tmp_path), time.time())
    assert found.address == ("192.168.0.10" if own == OWN else "")


def test_an_engine_in_no_swarm_has_no_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _docker('echo "20.10.24 inactive "', tmp_path, monkeypatch)
    found = machines.facts(_run(machines.inspection([], (), OWN), tmp_path), time.time() - 1)
    assert (found.state, found.node) == (machines.INACTIVE, "")


def test_an_engine_that_does_not_answer_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _docker("exit 1", tmp_path, monkeypatch)
    result = _run(machines.inspection([], (), OWN), tmp_path)
    assert (result.fine, result.reason) == (False, "its Docker Engine does not answer")


def test_an_image_comes_to_docker_as_it_was_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _docker(f"[ $1 != load ] || cat > '{tmp_path}/loaded'", tmp_path, monkeypatch)
    image = bytes(range(256)) * 50 + b"\n\nend"
    assert _run(machines.load(IMAGE, [image[:100], image[100:]]), tmp_path).state == "changed"
    assert (tmp_path / "loaded").read_bytes() == image


def test_an_image_that_docker_refuses_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _docker("cat > /dev/null; echo 'no space left on device' >&2; exit 1", tmp_path, monkeypatch)
    result = _run(machines.load(IMAGE, [b"x"]), tmp_path)
    assert (result.fine, result.reason) == (False, "docker load: no space left on device")


def test_an_engine_that_gives_an_image_another_id_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _docker(f"[ $1 = load ] && cat > '{tmp_path}/loaded'", tmp_path, monkeypatch)
    result = _run(machines.load(IMAGE, [b"x"]), tmp_path)
    assert (result.fine, "as containerd does" in result.reason) == (False, True)


@pytest.mark.parametrize(
    "forged", ["sha256:0a; touch forged #", "$(touch forged)", "' `touch forged` '", '"; touch forged; "']
)
def test_an_id_is_no_command_whatever_an_engine_says(
    forged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _docker("cat > /dev/null; echo 26.1.5 active node1", tmp_path, monkeypatch)
    image = Image("registry:3", forged)
    assert machines.facts(_run(machines.inspection([image], (), OWN), tmp_path), time.time()).images == (forged,)
    assert _run(machines.load(image, [b"x"]), tmp_path).state == "changed"
    assert not (tmp_path / "forged").exists()


ENGINE = r"""
case "$1" in
    info) echo @STATE@ ;;
    system)
        read -r line
        length=0
        while read -r header && [ "$header" != "$(printf '\r')" ]; do
            case $header in Content-Length:*) length=$(echo "$header" | tr -dc 0-9) ;; esac
        done
        echo "$line" > asked
        head -c "$length" > body
        printf '@ANSWER@'
        ;;
esac
echo "$*" >> arguments
"""


def _joining(state: str, answer: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> hosts.HostResult:
    _docker(ENGINE.replace("@STATE@", state).replace("@ANSWER@", answer), folder, monkeypatch)
    programs.put(
        "ip", 'case "$*" in *192.168.0.13*) echo "2: eth0    inet 192.168.0.13/24" ;; esac', folder, monkeypatch
    )
    return _run(machines.join(OTHERS, OTHERS[0], TOKEN), folder)


def test_a_host_joins_by_its_engine_s_api_and_no_argument_has_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _joining("inactive", r"HTTP/1.1 200 OK\r\n\r\n", tmp_path, monkeypatch).state == "changed"
    assert (tmp_path / "asked").read_text().split()[:2] == ["POST", "/swarm/join"]
    assert json.loads((tmp_path / "body").read_text()) == {
        "ListenAddr": "0.0.0.0:2377",
        "AdvertiseAddr": OTHERS[1],
        "RemoteAddrs": [f"{OTHERS[0]}:2377"],
        "JoinToken": TOKEN,
    }
    assert TOKEN not in (tmp_path / "arguments").read_text()


def test_a_manager_s_address_of_ipv6_is_in_brackets_before_its_port() -> None:
    assert b'"RemoteAddrs": ["[fd00::1]:2377"]' in machines.join(OTHERS, "fd00::1", TOKEN)


def test_a_host_that_is_refused_tells_the_engine_s_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = r'HTTP/1.1 500 Internal Server Error\r\n\r\n{"message":"invalid join token"}\n'
    result = _joining("inactive", answer, tmp_path, monkeypatch)
    assert (result.fine, "invalid join token" in result.reason) == (False, True)


def test_a_host_in_another_swarm_stays_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = _joining("active", "", tmp_path, monkeypatch)
    assert (result.fine, "in a swarm already" in result.reason) == (False, True)
    assert not (tmp_path / "asked").exists()


# keepalived: the script writes below /etc, so here that is another folder


def _address(
    virtual: str, folder: Path, monkeypatch: pytest.MonkeyPatch, running: str = "keepalived\n", restarts: str = "true"
) -> hosts.HostResult:
    etc = folder / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "default").mkdir(exist_ok=True)
    programs.put("ip", IP, folder, monkeypatch)
    programs.put("keepalived", "exit 0", folder, monkeypatch)
    (etc / "comm").write_text(running)
    for name in ("service", "systemctl"):
        programs.put(name, f"echo {name} $* >> '{folder}/served'; {restarts}", folder, monkeypatch)
    script = machines.give_address(virtual, OTHERS, 443, "0" * 32, "secret").decode()
    script = script.replace("/etc/", f"{etc}/").replace("/proc/[0-9]*/comm", f"{etc}/comm")
    return _run(script.encode(), folder)


def test_keepalived_gives_the_address_unicast_with_a_password_that_root_alone_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _address("192.168.0.10", tmp_path, monkeypatch).state == "changed"
    path = tmp_path / "etc/keepalived/keepalived.conf"
    text, script = path.read_text(), path.parent / "trusted-registry-front.sh"
    assert (path.stat().st_mode & 0o777, script.stat().st_mode & 0o777) == (0o600, 0o755)
    assert " 00000000:01BB " in script.read_text()
    wanted = (
        "unicast_src_ip 192.168.0.13",
        "interface eth0",
        "192.168.0.10/32 dev eth0",
        "priority 149",
        f'script "{script}"',
    )
    assert [it for it in wanted if it not in text] == []
    assert text.partition("unicast_peer {")[2].split()[0] == OTHERS[0]
    assert 'DAEMON_ARGS="-P"' in (tmp_path / "etc/default/keepalived").read_text()
    assert "restart" in (tmp_path / "served").read_text()


def test_a_second_run_restarts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _address("192.168.0.10", tmp_path, monkeypatch)
    served = (tmp_path / "served").read_text()
    assert _address("192.168.0.10", tmp_path, monkeypatch).state == "ready"
    assert (tmp_path / "served").read_text() == served
    assert (tmp_path / "etc/default/keepalived").read_text().count("-P") == 1


def test_one_that_runs_is_told_of_a_change_and_lets_no_address_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _address("192.168.0.10", tmp_path, monkeypatch, running="")
    (tmp_path / "served").unlink()
    assert _address("192.168.0.11", tmp_path, monkeypatch).state == "changed"
    assert "reload" in (tmp_path / "served").read_text()
    (tmp_path / "served").unlink()
    assert _address("192.168.0.11", tmp_path, monkeypatch, running="").state == "changed"
    assert "restart" in (tmp_path / "served").read_text()


def test_a_run_that_was_cut_short_before_keepalived_heard_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _address("192.168.0.10", tmp_path, monkeypatch)
    cut = _address("192.168.0.11", tmp_path, monkeypatch, restarts="exit 1")
    assert (cut.fine, "192.168.0.11/32" in (tmp_path / "etc/keepalived/keepalived.conf").read_text()) == (False, True)
    assert _address("192.168.0.11", tmp_path, monkeypatch).state == "changed"
    assert _address("192.168.0.11", tmp_path, monkeypatch).state == "ready"


def test_somebody_else_s_keepalived_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "etc/keepalived"
    folder.mkdir(parents=True)
    (folder / "keepalived.conf").write_text("vrrp_instance other {}\n")
    result = _address("192.168.0.10", tmp_path, monkeypatch)
    assert (result.fine, "somebody else's" in result.reason) == (False, True)
    assert _address("", tmp_path, monkeypatch).state == "absent"
    assert (folder / "keepalived.conf").read_text() == "vrrp_instance other {}\n"


def test_a_host_gives_the_address_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _address("192.168.0.10", tmp_path, monkeypatch)
    assert _address("", tmp_path, monkeypatch).state == "changed"
    assert not (tmp_path / "etc/keepalived/keepalived.conf").exists()
    assert "stop" in (tmp_path / "served").read_text()
