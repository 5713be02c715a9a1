"""Advice on containerd's configuration fits the file that is there, and works as it is typed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.programs import on_host
from trusted_registry.trust.managed_blocks import toml
from trusted_registry.trust.specifics import containerd, containerd_file

V1, V2, V3 = ("cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images")
HEAD = containerd_file.HEADS
FILES = {
    "nothing": ("", V2),
    "an empty line": ("\n", V2),
    "what containerd config default prints": (
        (Path(__file__).parent / "dumps" / "containerd-1.6.toml").read_text(),
        V2,
    ),
    "that of 1.7": ((Path(__file__).parent / "dumps" / "containerd-1.7.toml").read_text(), V2),
    "that of 2.1": ((Path(__file__).parent / "dumps" / "containerd-2.1.toml").read_text(), V3),
    "version 2, other tables": ('version = 2\n[debug]\n  level = "info"\n', V2),
    "version 2, no line end": ("version = 2", V2),
    "version 2, the table without the setting": (f"version = 2\n{HEAD[2]}\n[debug]\n", V2),
    "version 2, single quotes, indented": (
        f"version = 2\n  {HEAD[2]}  # ours\n    config_path = '/x' # y\n".replace('"', "'"),
        V2,
    ),
    "version 2, a table below": (f"version = 2\n{HEAD[2].replace('registry', 'registry.headers')}\n  a = []\n", V2),
    "version 2 of Windows": ("version = 2\r\n" + HEAD[2] + "\r\n  config_path = ''\r\n", V2),
    "version 3, other tables": ("version = 3\n[plugins]\n", V3),
    "no version, other tables": ('oom_score = 0\n[debug]\n  level = "info"\n', V1),
    "no version, as in Docker's package": ("#   Copyright\n#root = 1\n", V1),
    "version 1": (f'version = 1\n{HEAD[1]}\n  config_path = ""\n', V1),
    "no version, mirrors of the first": (
        '[plugins.cri.registry.mirrors."docker.io"]\n  endpoint = ["https://m"]\n',
        V1,
    ),
    "no version, quoted": ('[plugins."cri".registry]\nconfig_path=""\n', V1),
    "no version, tables of version 2": (f'{HEAD[2]}\n  config_path = "{containerd.CERTS_D}"\n', V2),
}
ODD = {
    "a dotted key": "version = 2\n[plugins]\n'io.containerd.grpc.v1.cri'.registry.config_path = ''\n",
    "a table in a line": "version = 2\nplugins = { 'io.containerd.grpc.v1.cri' = {} }\n",
    "a setting over lines": f"version = 2\n{HEAD[2]}\n  config_path = '''\n/x'''\n",
    "no TOML": "version = 2\n[plugins\n",
}
files = pytest.mark.parametrize("name", FILES)


def _typed(command: tuple[str, ...], config: Path) -> None:
    argv = [word.replace(containerd.CONFIG, str(config)) for word in command]
    subprocess.run(argv, check=True, capture_output=True)


def _config_path(text: str, plugin: str) -> str:
    found = toml.read("", text)["plugins"][plugin]["registry"]["config_path"]
    assert isinstance(found, str)
    return found


@pytest.mark.process
@pytest.mark.parametrize("version", [2, 3])
@files
def test_the_command_sets_the_folder_and_keeps_all_else(name: str, version: int, tmp_path: Path) -> None:
    text, plugin = FILES[name]
    if version == 3 and (plugin == V1 or not text.strip()):
        plugin = V3
    config = tmp_path / "config.toml"
    config.write_bytes(text.encode())
    _, command = containerd_file.repair(text, version)
    assert command
    _typed(command, config)
    after = config.read_bytes().decode()
    assert _config_path(after, plugin) == containerd.CERTS_D
    kept = [line for line in text.splitlines() if "config_path" not in line]
    assert [line for line in after.splitlines() if line in kept and line.strip()] == [it for it in kept if it.strip()]


@pytest.mark.parametrize("name", ODD)
def test_a_form_for_which_no_command_is_sure_gets_the_lines_alone(name: str) -> None:
    lines, command = containerd_file.repair(ODD[name], 2)
    assert (command, containerd_file.SETTING in lines) == ((), True)


def _dump(config: Path) -> subprocess.CompletedProcess[str]:
    argv = ["containerd", "--config", str(config), "config", "dump"]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


@on_host("containerd")
@pytest.mark.process
@files
def test_containerd_itself_reads_the_folder_after_the_command(name: str, tmp_path: Path) -> None:
    text, plugin = FILES[name]
    config = tmp_path / "config.toml"
    config.write_bytes(text.encode())
    before = _dump(config)
    if plugin == V3 and V3 not in before.stdout:  # containerd 1, which does not read that version
        return
    for one in containerd.advice(before.stdout, text):
        if one.command:
            _typed(one.command, config)
    after = _dump(config)
    assert [it.wrong for it in containerd.advice(after.stdout, config.read_text()) if it.command] == []
    assert containerd.CERTS_D in after.stdout
    assert containerd.CERTS_D not in before.stdout


def test_the_advice_names_the_command_and_on_a_node_that_node_s() -> None:
    dump = FILES["what containerd config default prints"][0]
    (found,) = containerd.advice(dump, dump)
    assert found.words().startswith(
        "containerd's CRI plugin does not read /etc/containerd/certs.d: its config_path is not set"
    )
    assert "; then: systemctl restart containerd" in found.words()
    line = next(at for at, it in enumerate(dump.splitlines(), start=1) if "config_path" in it)
    assert found.command == ("sed", "-i", f'{line}c\\  config_path = "/etc/containerd/certs.d"', containerd.CONFIG)
    assert "docker exec kind-worker sed -i" in found.words(prefix=("docker", "exec", "kind-worker"))
