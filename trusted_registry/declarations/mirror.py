"""Mirrors of other registries."""

from __future__ import annotations

from trusted_registry.declarations.flag import JSON, YES, Flag, switch, words
from trusted_registry.declarations.task import Task

UPSTREAMS = Flag(
    "upstreams", "Registries, by their hosts in references.", default=None, is_list=True, value="HOST,HOST"
)
SOME = words("upstreams", "Only the mirrors of these registries.", value="HOST,HOST")

up = Task(
    "mirror.up",
    "Mirror other registries, for every client here.",
    "mirror.up",
    UPSTREAMS,
    example="./inv mirror.up docker.io,ghcr.io",
)
down = Task(
    "mirror.down",
    "Stop mirrors; clients ask the registries again.",
    "mirror.down",
    UPSTREAMS,
    switch("purge", "Remove what they hold too."),
    YES,
    example="./inv mirror.down docker.io",
)
list_ = Task("mirror.list", "List the mirrors.", "mirror_holdings.show", JSON, example="./inv mirror.list")
clean = Task(
    "mirror.clean",
    "Remove what nobody pulled through mirrors for long.",
    "mirror_holdings.clean",
    Flag("older", "What was not pulled for so long goes, by repository.", value="DAYS"),
    SOME,
    YES,
    example="./inv mirror.clean --older 30",
)
fill = Task(
    "mirror.fill",
    "Fetch images into mirrors ahead.",
    "mirror.fill",
    Flag(
        "references",
        "The images, by the names that clients use: docker.io/library/alpine:3.20.",
        default=None,
        is_list=True,
        value="IMAGE,IMAGE",
    ),
    switch("every_machine", "Images for all kinds of machines, not only for ones like this."),
    example="./inv mirror.fill docker.io/library/alpine:3.20,ghcr.io/org/app:1",
)
