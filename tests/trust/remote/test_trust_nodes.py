"""A round over all nodes: one after the other, each with its own end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.recorder import Recorder
from tests.trust.remote.cluster import (
    CHANGED,
    CHECK,
    DIND,
    K3D,
    KIND,
    REMOVE,
    UNSET,
    Cluster,
    Go,
)
from trusted_registry.engine import engine as engines
from trusted_registry.engine.types import ExecResult
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_nodes
from trusted_registry.tasks.trust_nodes import NodeOptions

if TYPE_CHECKING:
    from trusted_registry.settings import Settings

pytestmark = pytest.mark.usefixtures("no_kubectl")


@pytest.mark.parametrize(
    ("labels", "runtime", "store"),
    [(KIND, "containerd", "containerd"), (K3D, "k3s", "k3s"), (DIND, "dockerd", "docker")],
)
def test_each_node_is_told_by_the_runtime_in_it(
    labels: dict[str, str],
    runtime: str,
    store: str,
    go: Go,
    cluster: Cluster,
) -> None:
    cluster.add("n", labels, runtime)
    (result,) = go()
    assert (result.runtime, result.state, result.fine) == (runtime, "changed", True)
    assert cluster.kits == [("n", ("--only", store))]


@pytest.mark.parametrize(("options", "flag"), [(REMOVE, "--remove"), (CHECK, "--check")])
def test_to_check_and_to_remove_are_flags_of_the_kit(options: NodeOptions, flag: str, go: Go, cluster: Cluster) -> None:
    cluster.add("n", KIND, "containerd")
    go(options)
    assert cluster.kits == [("n", ("--only", "containerd", flag))]


def test_both_at_once_are_refused_before_anything_is_looked_at(go: Go, cluster: Cluster) -> None:
    with pytest.raises(SettingError, match="--remove and --check"):
        go(NodeOptions(remove=True, check=True))
    assert cluster.kits == []


def test_a_k3s_node_must_be_restarted_and_is_not_unasked(
    settings: Settings, cluster: Cluster, console: Recorder
) -> None:
    cluster.add("k3d-dev-server-0", K3D, "k3s")
    (result,) = trust_nodes.trust(Run(settings, console), cluster, NodeOptions())
    assert result.left == "k3s reads that when it starts: docker restart k3d-dev-server-0"
    assert cluster.done == []


def test_a_k3s_node_is_restarted_on_request(settings: Settings, cluster: Cluster, console: Recorder) -> None:
    cluster.add("k3d-dev-server-0", K3D, "k3s")
    (result,) = trust_nodes.trust(Run(settings, console), cluster, NodeOptions(restart=True))
    assert (result.left, cluster.done) == ("it was restarted", ["restart k3d-dev-server-0"])


def test_a_k3s_node_that_trusted_before_is_not_restarted(
    settings: Settings, cluster: Cluster, console: Recorder
) -> None:
    cluster.add("n", K3D, "k3s", ExecResult(0, "trusted-registry: already trusted\n", ""))
    (result,) = trust_nodes.trust(Run(settings, console), cluster, NodeOptions(restart=True))
    assert (result.left, cluster.done) == ("", [])


def test_a_node_that_dies_half_way_fails_and_the_others_go_on(go: Go, cluster: Cluster) -> None:
    cluster.add("kind-a", KIND, "containerd", ExecResult(137, "authority: ...\n", ""))
    cluster.add(
        "kind-b", KIND, "containerd", RegistryError("Nothing can run in kind-b: No such container: kind-b", cure="")
    )
    cluster.add("kind-c", KIND, "containerd")
    results = go()
    assert [(it.node.name, it.state, it.fine) for it in results] == [
        ("kind-a", "failed", False),
        ("kind-b", "failed", False),
        ("kind-c", "changed", True),
    ]
    assert "before the kit was through" in results[0].left
    assert "No such container" in results[1].left
    failure = trust_nodes.report(results).failure
    assert failure
    assert failure.message.endswith("2 of 3 nodes have a problem: kind-a, kind-b.")


def test_what_the_kit_found_worth_a_look_is_said_with_the_node(go: Go, cluster: Cluster, console: Recorder) -> None:
    cluster.add(
        "kind-a", KIND, "containerd", ExecResult(0, CHANGED.out, "note: /etc/x was changed since; it stays\nelse\n")
    )
    go()
    assert console.warned == ["kind-a: /etc/x was changed since; it stays"]


def test_a_node_that_does_not_run_is_named_and_left_out(go: Go, cluster: Cluster) -> None:
    cluster.add("kind-a", KIND, "containerd", state="paused")
    cluster.add("kind-b", KIND, "containerd")
    first, second = go()
    assert (first.state, first.left) == ("left out", "it is paused: docker unpause kind-a")
    assert second.state == "changed"
    assert [name for name, _ in cluster.kits] == ["kind-b"]
    assert trust_nodes.report((first, second)).failure is None


def test_where_no_node_runs_nothing_is_said_to_be_well(go: Go, cluster: Cluster) -> None:
    cluster.add("kind-a", KIND, "containerd", state="exited")
    with pytest.raises(RegistryError, match="No node runs") as caught:
        go()
    assert "docker start kind-a" in caught.value.cure


def test_a_node_without_a_runtime_fails(go: Go, cluster: Cluster) -> None:
    cluster.add("n", {"mine": ""}, "")
    (result,) = go(NodeOptions("mine"))
    assert (result.fine, "is on its PATH" in result.left) == (False, True)


def test_a_containerd_that_does_not_read_the_folder_is_named_with_the_cure(
    go: Go,
    cluster: Cluster,
    console: Recorder,
) -> None:
    cluster.add("kind-a", KIND, "containerd")
    cluster.dumps["kind-a"] = UNSET
    (result,) = go()
    (warning,) = console.warned
    assert warning.startswith("kind-a: containerd's CRI plugin does not read /etc/containerd/certs.d")
    assert "Write into /etc/containerd/config.toml: docker exec kind-a sh -c 'printf" in warning
    assert warning.endswith("docker exec kind-a systemctl restart containerd")
    assert result.left == "see the note above"


def test_a_containerd_that_reads_the_folder_needs_no_note(go: Go, cluster: Cluster, console: Recorder) -> None:
    cluster.add("kind-a", KIND, "containerd")
    (result,) = go()
    assert (result.left, console.warned) == ("", [])


@pytest.mark.parametrize("dump", ["version = \n", ""])
def test_a_containerd_whose_configuration_cannot_be_read_is_no_reason_to_stop(
    dump: str,
    go: Go,
    cluster: Cluster,
    console: Recorder,
) -> None:
    cluster.add("kind-a", KIND, "containerd")
    cluster.dumps["kind-a"] = dump
    (result,) = go()
    assert result.fine
    assert "containerd config dump" in console.warned[0]


def test_a_dry_round_shows_the_commands_and_runs_no_kit(settings: Settings, cluster: Cluster) -> None:
    cluster.add("kind-a", KIND, "containerd")
    console = Recorder(dry=True)
    assert trust_nodes.trust(Run(settings, console), cluster, NodeOptions()) == ()
    assert cluster.kits == []
    assert any(line.startswith("docker exec --user 0 kind-a sh /trust-192.168.0.12-") for line in console.typed)


def test_a_dry_round_without_an_engine_shows_the_pattern(settings: Settings) -> None:
    console = Recorder(dry=True)
    assert trust_nodes.trust(Run(settings, console), engines.unavailable(console), NodeOptions()) == ()
    assert any(line.startswith("docker exec --user 0 NODE sh /trust-") for line in console.typed)


# Nodes that say too much


def test_a_node_s_notes_are_shown_up_to_a_number_and_a_length(
    settings: Settings, cluster: Cluster, console: Recorder
) -> None:
    said = "".join(f"note: {number} {'x' * 10_000}\n" for number in range(100))
    cluster.add("n", KIND, "containerd", ExecResult(0, "trusted-registry: changed\n", said))
    trust_nodes.trust(Run(settings, console), cluster, NodeOptions())
    assert (len(console.warned), console.warned[-1]) == (21, "n: and 80 more notes, which are not shown")
    assert max(map(len, console.warned)) < 600


@pytest.mark.parametrize("said", ["x" * 100_000, f"error: {'x' * 100_000}\n"])
def test_a_node_s_reason_is_no_longer_than_a_line(said: str, go: Go, cluster: Cluster) -> None:
    cluster.add("n", KIND, "containerd", ExecResult(1, "", said))
    (result,) = go()
    assert (result.state, len(result.left) < 600) == ("failed", True)


@pytest.mark.parametrize("dump", ["a." * 100_000 + "b = 1", "# x\n" * 100_000, "x = '" + "y" * 3000 + "'"])
def test_what_is_no_configuration_of_containerd_s_is_not_read(
    dump: str, settings: Settings, cluster: Cluster, console: Recorder
) -> None:
    cluster.add("n", KIND, "containerd")
    cluster.dumps["n"] = dump
    trust_nodes.trust(Run(settings, console), cluster, NodeOptions())
    assert console.warned == ["n: containerd config dump printed no configuration of containerd's"]
