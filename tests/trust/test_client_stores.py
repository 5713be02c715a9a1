"""The table of stores: each row's readers are seen by their own signs and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trust.boxes import Box, anchor, store_of
from trusted_registry.errors import RegistryError
from trusted_registry.trust import client_stores
from trusted_registry.trust.client_stores import NAMES, STORES
from trusted_registry.trust.local import state as states
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.model import LINUX, MACHINE, USER, ManagedBlock

ON_REQUEST = {"system", "nss", "java", "keychain", "windows"}
LINUX_ROWS = [store for store in STORES if store.system == LINUX]
PATHS = [(store.key, path) for store in LINUX_ROWS for path in store.signs.paths]
PROGRAMS = [(store.key, name) for store in LINUX_ROWS for name in (*store.signs.programs, *store.signs.alone)]
CERT9 = "{home}/.pki/nssdb/cert9.db"


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A machine with nothing on it."""
    return Box(tmp_path / "machine")


def _keys(box: Box, **choice: object) -> set[str]:
    return {store.key for store in states.select(box.machine, **{"system": True, **choice})}  # type: ignore[arg-type]


def _rows_with(sign: str) -> set[str]:
    """Return the rows that name a sign, or a path above it."""
    signs = {it.key: (*it.signs.paths, *it.signs.programs, *it.signs.alone) for it in LINUX_ROWS}
    return {key for key, its in signs.items() if any(Path(sign).is_relative_to(it) for it in its)}


def test_the_lines_of_a_block_say_paths_as_they_are_here(box: Box, tmp_path: Path) -> None:
    ours = anchor(tmp_path)
    found = [it.what for it in box.look("buildx", ours) if isinstance(it.what, ManagedBlock)]
    authority = box.machine.docker / "buildx" / f"{ours.name}.crt"
    assert len(found) > 1
    assert {it.lines[1] for it in found} == {f'  ca = ["{authority}"]'}


def test_on_an_empty_machine_there_is_no_store(box: Box) -> None:
    assert _keys(box) == set()


@pytest.mark.parametrize(("key", "path"), PATHS)
def test_each_path_is_a_sign_of_its_own_store_and_of_no_other(key: str, path: str, box: Box) -> None:
    box.folder(path)
    assert key in _keys(box)
    assert _keys(box) == _rows_with(path)


@pytest.mark.parametrize(("key", "name"), PROGRAMS)
def test_each_program_is_a_sign_of_its_own_store_and_of_no_other(key: str, name: str, box: Box) -> None:
    box.file(CERT9)
    box.program(name)
    assert key in _keys(box)
    assert _keys(box) == _rows_with(name)


def test_a_file_that_may_not_be_run_is_no_program(box: Box) -> None:
    box.program("podman").chmod(0o644)
    assert _keys(box) == set()


def test_containerd_beside_an_engine_is_that_engine_s_own(box: Box) -> None:
    box.program("containerd")
    assert _keys(box) == {"containerd"}
    box.program("dockerd")
    assert "containerd" not in _keys(box)


def test_a_folder_for_k3s_s_configuration_is_no_k3s_until_there_is_one_in_it(box: Box) -> None:
    folder = box.folder("/etc/rancher/k3s")
    assert _keys(box) == set()
    (folder / "config.yaml").touch()
    assert _keys(box) == {"k3s"}


@pytest.mark.parametrize("sign", store_of("containerd").signs.programs)
def test_what_reads_certs_d_through_containerd_counts_beside_an_engine_too(sign: str, box: Box) -> None:
    for name in ("containerd", "dockerd", sign):
        box.program(name)
    assert "containerd" in _keys(box)


def test_what_another_user_keeps_to_himself_is_no_sign_and_no_error(forbidden: Path) -> None:
    machine = Machine(forbidden, forbidden, forbidden, forbidden, forbidden, root=forbidden)
    assert states.select(machine, system=True) == []


def test_stores_of_the_whole_system_are_for_those_who_ask(box: Box) -> None:
    box.folder("/usr/local/share/ca-certificates")
    box.program("keytool")
    box.program("podman")
    assert _keys(box, system=False) == {"containers"}
    assert _keys(box) == {"containers", "system-debian", "java"}


def test_java_gets_debians_own_entry_before_debians_hook_would_make_it_so_that_it_is_ours_to_take_back(
    box: Box,
) -> None:
    box.folder("/usr/local/share/ca-certificates")
    box.file("/etc/ca-certificates/update.d/jks-keystore")
    found = [store.key for store in states.select(box.machine, only=("system",))]
    assert found == ["system-debian-java", "system-debian"]
    database = store_of("system-debian-java").database
    assert database
    assert all("debian:{name}.pem" in argv for argv in (database.find, database.add, *database.remove))


def test_a_store_asked_for_by_name_needs_no_further_flag(box: Box) -> None:
    box.folder("/usr/local/share/ca-certificates")
    assert _keys(box, system=False) == set()
    assert _keys(box, system=False, only=("system",)) == {"system-debian"}


def test_only_means_no_others(box: Box) -> None:
    box.program("podman")
    box.folder("/var/lib/docker")
    assert _keys(box, only=("podman",)) == {"containers"}


def test_the_order_is_the_table_s_whatever_is_seen(box: Box) -> None:
    box.folder("/var/lib/rancher/k3s")
    found = states.select(box.machine, only=("k3s", "podman", "docker"))
    assert [store.name for store in found] == ["docker", "podman", "k3s"]


def test_one_name_may_mean_several_stores(box: Box) -> None:
    box.folder("/var/lib/docker")
    box.folder("{home}/.docker/desktop")
    assert _keys(box, only=("docker",)) == {"docker", "docker-desktop"}


def test_what_is_skipped_is_left_out(box: Box) -> None:
    box.program("podman")
    box.folder("/var/lib/docker")
    assert _keys(box, skip=("podman",)) == {"docker"}
    assert _keys(box, only=("podman",), skip=("podman",)) == set()


@pytest.mark.parametrize("name", ["docker", "podman", "containerd", "k3s", "buildkit"])
def test_a_store_asked_for_by_name_is_written_though_nobody_seems_to_read_it(name: str, box: Box) -> None:
    (store,) = states.select(box.machine, only=(name,))
    assert store.name == name


@pytest.mark.parametrize("name", ["keychain", "windows", "system"])
def test_a_store_that_this_system_has_not_is_an_error_that_says_where_to_look(name: str, box: Box) -> None:
    with pytest.raises(RegistryError, match=f"kind {name} is known on this system") as caught:
        states.select(box.machine, only=(name,))
    assert "./inv trust.list" in caught.value.cure


@pytest.mark.parametrize(("name", "package"), [("nss", "libnss3-tools"), ("java", "Java")])
def test_a_database_without_its_program_names_the_package(name: str, package: str, box: Box) -> None:
    with pytest.raises(RegistryError, match="is not installed") as caught:
        states.select(box.machine, only=(name,))
    assert package in caught.value.cure


def test_a_browser_that_never_ran_has_no_store(box: Box) -> None:
    box.program("certutil")
    assert _keys(box) == set()
    with pytest.raises(RegistryError, match="no database of Firefox, Chromium"):
        states.select(box.machine, only=("nss",))
    box.file(CERT9)
    assert _keys(box) == {"nss"}


def test_the_answering_engine_s_store_counts_without_a_sign(box: Box) -> None:
    assert _keys(box, engine="docker-rootless") == {"docker-rootless"}
    assert _keys(box, engine="docker-rootless", skip=("docker-rootless",)) == set()


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_other_systems_have_none_of_linux_s_rows(system: str, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    for _, path in PATHS:
        box.folder(path)
    for _, name in PROGRAMS:
        box.program(name)
    monkeypatch.setattr("platform.system", lambda: system)
    assert {store_of(key).system for key in _keys(box)} <= {system}
    with pytest.raises(RegistryError, match="is known on this system"):
        states.select(box.machine, only=("k3s",))


def test_only_what_changes_a_whole_system_waits_to_be_asked_for() -> None:
    assert {store.name for store in STORES if store.on_request} == ON_REQUEST


def test_every_key_is_one_row_s_and_every_row_holds_something(tmp_path: Path) -> None:
    assert len({store.key for store in STORES}) == len(STORES)
    wanted = anchor(tmp_path)
    assert all(store.files(wanted) or store.blocks(wanted) or store.database for store in STORES)
    assert set(NAMES) == {store.name for store in STORES}


def test_what_takes_root_lies_outside_of_every_home_and_the_rest_inside(tmp_path: Path) -> None:
    wanted = anchor(tmp_path)
    for store in STORES:
        places = [it.path for it in store.files(wanted)] + [it.path for it in store.blocks(wanted)]
        assert all(it.startswith("/" if store.scope == MACHINE else "{") for it in places), store.key
        assert store.scope in (MACHINE, USER)


def test_no_store_holds_a_key_or_what_clients_take_for_one(tmp_path: Path) -> None:
    wanted = anchor(tmp_path)
    held = [file.path for store in STORES for file in store.files(wanted)]
    assert [path for path in held if Path(path).suffix not in (".crt", ".pem", ".toml")] == []
    in_folders = [file.path for store in STORES for file in store.files(wanted) if file.registry_host]
    assert [path for path in in_folders if path.endswith(".pem")] == []


def test_a_store_is_found_by_its_key_and_an_unknown_key_by_none() -> None:
    assert all(
        client_stores.store(store.key) is client_stores.find(store.key) is store for store in client_stores.STORES
    )
    assert client_stores.find("nobody's") is None
    with pytest.raises(KeyError, match="nobody's"):
        client_stores.store("nobody's")
