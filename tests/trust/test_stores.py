"""The table of stores: each row's readers are seen by their own signs and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trust.machines import Machine, row, subject
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local import look
from trusted_registry.trust.row import LINUX, MACHINE, USER, Block
from trusted_registry.trust.stores import NAMES, STORES
from trusted_registry.trust.whereabouts import Where

ON_REQUEST = {"system", "nss", "java", "keychain", "windows"}
LINUX_ROWS = [store for store in STORES if store.system == LINUX]
PATHS = [(store.key, path) for store in LINUX_ROWS for path in store.signs.paths]
PROGRAMS = [(store.key, name) for store in LINUX_ROWS for name in (*store.signs.programs, *store.signs.alone)]
CERT9 = "{home}/.pki/nssdb/cert9.db"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing on it."""
    return Machine(tmp_path / "machine")


def _keys(machine: Machine, **choice: object) -> set[str]:
    return {store.key for store in look.chosen(machine.where, **{"system": True, **choice})}  # type: ignore[arg-type]


def _rows_with(sign: str) -> set[str]:
    """Return the rows that name a sign, or a path above it."""
    signs = {it.key: (*it.signs.paths, *it.signs.programs, *it.signs.alone) for it in LINUX_ROWS}
    return {key for key, its in signs.items() if any(Path(sign).is_relative_to(it) for it in its)}


def test_the_lines_of_a_block_say_paths_as_they_are_here(machine: Machine, tmp_path: Path) -> None:
    ours = subject(tmp_path)
    found = [it.what for it in machine.look("buildx", ours) if isinstance(it.what, Block)]
    authority = machine.where.docker / "buildx" / f"{ours.name}.crt"
    assert len(found) > 1
    assert {it.lines[1] for it in found} == {f'  ca = ["{authority}"]'}


def test_on_an_empty_machine_there_is_no_store(machine: Machine) -> None:
    assert _keys(machine) == set()


@pytest.mark.parametrize(("key", "path"), PATHS)
def test_each_path_is_a_sign_of_its_own_store_and_of_no_other(key: str, path: str, machine: Machine) -> None:
    machine.folder(path)
    assert key in _keys(machine)
    assert _keys(machine) == _rows_with(path)


@pytest.mark.parametrize(("key", "name"), PROGRAMS)
def test_each_program_is_a_sign_of_its_own_store_and_of_no_other(key: str, name: str, machine: Machine) -> None:
    machine.file(CERT9)
    machine.program(name)
    assert key in _keys(machine)
    assert _keys(machine) == _rows_with(name)


def test_a_file_that_may_not_be_run_is_no_program(machine: Machine) -> None:
    machine.program("podman").chmod(0o644)
    assert _keys(machine) == set()


def test_containerd_beside_an_engine_is_that_engine_s_own(machine: Machine) -> None:
    machine.program("containerd")
    assert _keys(machine) == {"containerd"}
    machine.program("dockerd")
    assert "containerd" not in _keys(machine)


def test_a_folder_for_k3s_s_configuration_is_no_k3s_until_there_is_one_in_it(machine: Machine) -> None:
    folder = machine.folder("/etc/rancher/k3s")
    assert _keys(machine) == set()
    (folder / "config.yaml").touch()
    assert _keys(machine) == {"k3s"}


@pytest.mark.parametrize("sign", row("containerd").signs.programs)
def test_what_reads_certs_d_through_containerd_counts_beside_an_engine_too(sign: str, machine: Machine) -> None:
    for name in ("containerd", "dockerd", sign):
        machine.program(name)
    assert "containerd" in _keys(machine)


def test_what_another_user_keeps_to_himself_is_no_sign_and_no_error(forbidden: Path) -> None:
    where = Where(forbidden, forbidden, forbidden, forbidden, forbidden, root=forbidden)
    assert look.chosen(where, system=True) == []


def test_stores_of_the_whole_system_are_for_those_who_ask(machine: Machine) -> None:
    machine.folder("/usr/local/share/ca-certificates")
    machine.program("keytool")
    machine.program("podman")
    assert _keys(machine, system=False) == {"containers"}
    assert _keys(machine) == {"containers", "system-debian", "java"}


def test_java_gets_debians_own_entry_before_debians_hook_would_make_it_so_that_it_is_ours_to_take_back(
    machine: Machine,
) -> None:
    machine.folder("/usr/local/share/ca-certificates")
    machine.file("/etc/ca-certificates/update.d/jks-keystore")
    found = [store.key for store in look.chosen(machine.where, only=("system",))]
    assert found == ["system-debian-java", "system-debian"]
    database = row("system-debian-java").database
    assert database
    assert all("debian:{name}.pem" in argv for argv in (database.look, database.add, *database.remove))


def test_a_store_asked_for_by_name_needs_no_further_flag(machine: Machine) -> None:
    machine.folder("/usr/local/share/ca-certificates")
    assert _keys(machine, system=False) == set()
    assert _keys(machine, system=False, only=("system",)) == {"system-debian"}


def test_only_means_no_others(machine: Machine) -> None:
    machine.program("podman")
    machine.folder("/var/lib/docker")
    assert _keys(machine, only=("podman",)) == {"containers"}


def test_the_order_is_the_table_s_whatever_is_seen(machine: Machine) -> None:
    machine.folder("/var/lib/rancher/k3s")
    found = look.chosen(machine.where, only=("k3s", "podman", "docker"))
    assert [store.name for store in found] == ["docker", "podman", "k3s"]


def test_one_name_may_mean_several_stores(machine: Machine) -> None:
    machine.folder("/var/lib/docker")
    machine.folder("{home}/.docker/desktop")
    assert _keys(machine, only=("docker",)) == {"docker", "docker-desktop"}


def test_what_is_skipped_is_left_out(machine: Machine) -> None:
    machine.program("podman")
    machine.folder("/var/lib/docker")
    assert _keys(machine, skip=("podman",)) == {"docker"}
    assert _keys(machine, only=("podman",), skip=("podman",)) == set()


@pytest.mark.parametrize("name", ["docker", "podman", "containerd", "k3s", "buildkit"])
def test_a_store_asked_for_by_name_is_written_though_nobody_seems_to_read_it(name: str, machine: Machine) -> None:
    (store,) = look.chosen(machine.where, only=(name,))
    assert store.name == name


@pytest.mark.parametrize("name", ["keychain", "windows", "system"])
def test_a_store_that_this_system_has_not_is_an_error_that_says_where_to_look(name: str, machine: Machine) -> None:
    with pytest.raises(RegistryError, match=f"kind {name} is known on this system") as caught:
        look.chosen(machine.where, only=(name,))
    assert "./inv trust.list" in caught.value.cure


@pytest.mark.parametrize(("name", "package"), [("nss", "libnss3-tools"), ("java", "Java")])
def test_a_database_without_its_program_names_the_package(name: str, package: str, machine: Machine) -> None:
    with pytest.raises(RegistryError, match="is not installed") as caught:
        look.chosen(machine.where, only=(name,))
    assert package in caught.value.cure


def test_a_browser_that_never_ran_has_no_store(machine: Machine) -> None:
    machine.program("certutil")
    assert _keys(machine) == set()
    with pytest.raises(RegistryError, match="no database of Firefox, Chromium"):
        look.chosen(machine.where, only=("nss",))
    machine.file(CERT9)
    assert _keys(machine) == {"nss"}


def test_the_answering_engine_s_store_counts_without_a_sign(machine: Machine) -> None:
    assert _keys(machine, engine="docker-rootless") == {"docker-rootless"}
    assert _keys(machine, engine="docker-rootless", skip=("docker-rootless",)) == set()


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_other_systems_have_none_of_linux_s_rows(
    system: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _, path in PATHS:
        machine.folder(path)
    for _, name in PROGRAMS:
        machine.program(name)
    monkeypatch.setattr("platform.system", lambda: system)
    assert {row(key).system for key in _keys(machine)} <= {system}
    with pytest.raises(RegistryError, match="is known on this system"):
        look.chosen(machine.where, only=("k3s",))


def test_only_what_changes_a_whole_system_waits_to_be_asked_for() -> None:
    assert {store.name for store in STORES if store.on_request} == ON_REQUEST


def test_every_key_is_one_row_s_and_every_row_holds_something(tmp_path: Path) -> None:
    assert len({store.key for store in STORES}) == len(STORES)
    wanted = subject(tmp_path)
    assert all(store.files(wanted) or store.blocks(wanted) or store.database for store in STORES)
    assert set(NAMES) == {store.name for store in STORES}


def test_what_takes_root_lies_outside_of_every_home_and_the_rest_inside(tmp_path: Path) -> None:
    wanted = subject(tmp_path)
    for store in STORES:
        places = [it.path for it in store.files(wanted)] + [it.path for it in store.blocks(wanted)]
        assert all(it.startswith("/" if store.scope == MACHINE else "{") for it in places), store.key
        assert store.scope in (MACHINE, USER)


def test_no_store_holds_a_key_or_what_clients_take_for_one(tmp_path: Path) -> None:
    wanted = subject(tmp_path)
    held = [file.path for store in STORES for file in store.files(wanted)]
    assert [path for path in held if Path(path).suffix not in (".crt", ".pem", ".toml")] == []
    in_folders = [file.path for store in STORES for file in store.files(wanted) if file.spelling]
    assert [path for path in in_folders if path.endswith(".pem")] == []
