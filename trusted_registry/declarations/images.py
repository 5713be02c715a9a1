"""Images in the registry: what is there, what it takes, and what is broken."""

from __future__ import annotations

from trusted_registry.declarations.flag import JSON, YES, Flag, switch
from trusted_registry.declarations.task import Task

MATCH = Flag("match", "Only those that a pattern fits: app, team/*, app:1.*.", value="PATTERN")

list_ = Task(
    "images.list",
    "List the images: size, platforms, push, last pull.",
    "images.list_images",
    MATCH,
    JSON,
    default=True,
    example="./inv images --match 'team/*'",
)
show = Task(
    "images.show",
    "Show what is in an image, and who signed it.",
    "images.show",
    Flag("reference", "The image: app:1, app@sha256:…, with or without the registry's name.", default=None),
    JSON,
    example="./inv images.show app:1",
)
usage = Task(
    "images.usage",
    "Show what takes the room on the disk.",
    "images.show_usage",
    MATCH,
    JSON,
    example="./inv images.usage --match app",
)
check = Task(
    "images.check",
    "Read all images, and find what is broken.",
    "images_check.check",
    switch("fix", "Mend what can be mended here, and name the push that mends the rest."),
    JSON,
    YES,
    example="./inv images.check --fix",
)
