"""The registry on several hosts of a Docker Swarm."""

from __future__ import annotations

from trusted_registry.declarations.flag import BECOME, IF_EXPIRING, JSON, STAYS_WITH_PORT, USER, Flag, switch, words
from trusted_registry.declarations.task import Task

up = Task(
    "swarm.up",
    "Run the registry on several hosts, with a bucket.",
    "swarm_up.up",
    words("hosts", "Addresses of the hosts, separated by commas; remembered.", value="A,B,C"),
    switch("init", "Make a swarm of this machine, and have the other hosts join."),
    *STAYS_WITH_PORT,
    USER,
    BECOME,
    example="./inv swarm.up --hosts 192.168.0.11,192.168.0.12,192.168.0.13 --address 192.168.0.10",
)
status = Task(
    "swarm.status",
    "Show each host, and what is wrong with it.",
    "swarm_status.status",
    JSON,
    example="./inv swarm.status --json",
)
renew = Task(
    "swarm.renew",
    "Renew the certificate on every host, one by one.",
    "swarm.renew",
    IF_EXPIRING,
    example="./inv swarm.renew --if-expiring 30",
)
down = Task(
    "swarm.down",
    "Take the registry off the hosts; images stay.",
    "swarm.down",
    Flag("purge", "Remove all images too: the bucket, typed in full.", value="s3://BUCKET/PREFIX"),
    USER,
    BECOME,
    example="./inv swarm.down",
)
