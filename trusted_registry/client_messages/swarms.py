"""Messages of a Docker Swarm about the services of a registry there (moby, daemon/cluster; swarmkit, manager)."""

from __future__ import annotations

from trusted_registry.client_messages.cures import at_registry
from trusted_registry.client_messages.message import Step, service

_HOSTS = at_registry("./inv swarm.status", "names each host, and what is wrong with it")

MESSAGES = (
    service(
        "swarm-leader",
        (r"[Tt]he swarm does not have a leader", r"rpc error: code = \w+ desc = (?:no elected primary|lost quorum)"),
        "docker node, docker service, docker stack",
        "The managers of the swarm have no leader: most of them are off, or cannot reach each other; one that has just "
        "come back costs up to half a minute. Registries that run serve on; nothing can be changed meanwhile.",
        (
            at_registry("docker node ls", "on each manager; start those that are off, then wait half a minute"),
            at_registry(
                "docker swarm init --force-new-cluster",
                "on one that is left, if most managers are lost for good; then ./inv swarm.up",
                instead=True,
            ),
        ),
        ("leader",),
    ),
    service(
        "swarm-slow",
        (r"rpc error: code = (?:DeadlineExceeded|Unavailable|Unknown) desc = (?:context deadline exceeded|raft)",),
        "docker node, docker service, docker stack",
        "The managers of the swarm do not answer each other in time: one of them hangs, is just off, or is too busy.",
        (_HOSTS,),
        ("leader", "host"),
        beside=r"desc = ",
        unless=r"http|pull|image|registry:",
    ),
    service(
        "swarm-manager",
        (r"This node is not a swarm manager",),
        "docker node, docker service, docker stack",
        "The engine that was asked manages no swarm: it is a worker, or in none.",
        (
            Step("docker info --format '{{{{.Swarm.LocalNodeState}}}}'", "what this engine is"),
            at_registry("./inv swarm.up", "is typed on a manager; --init makes a swarm"),
        ),
        ("leader",),
    ),
    service(
        "swarm-node",
        (r"no suitable node \(",),
        "docker service ps",
        "No node may run a container of a service: none that is active has the label of the installation, or the port "
        "is somebody else's there.",
        (_HOSTS, at_registry("./inv swarm.up", "puts the label back, and names whoever has the port")),
        ("host",),
    ),
    service(
        "swarm-rollout",
        (r"update (?:paused|rolled back) due to failure or early termination of task",),
        "docker service inspect, docker service ps",
        "A container of the new kind ended on the first host, so the swarm stopped there; the ones before serve.",
        (
            at_registry("docker service ps --no-trunc trusted-registry_registry", "the reason, in the last column"),
            at_registry("./inv swarm.up", "once that is mended"),
        ),
        ("host",),
    ),
)
