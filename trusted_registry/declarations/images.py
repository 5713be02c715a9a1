"""Images in the registry: what is there, what it takes, and what is broken."""

from __future__ import annotations

from trusted_registry.declarations.flag import FILE, JSON, REFERENCES, SINCE, YES, Flag, switch
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
NOW = switch("now", "Free the disk at once, of what was removed before too: no undo brings it back.")
remove = Task(
    "images.remove",
    "Remove images: tags, digests, or by a pattern.",
    "images_change.remove",
    Flag("references", "The images: app:1, app@sha256:…, 'app:*'.", default=None, is_list=True, value="IMAGE,IMAGE"),
    NOW,
    YES,
    example="./inv images.remove app:1,app:2",
)
clean = Task(
    "images.clean",
    "Remove old images by a rule, and free the disk.",
    "images_change.clean",
    Flag("keep", "Of each repository the newest tags stay, this many.", value="NUMBER"),
    Flag("older", "Only what was neither pushed nor pulled for so long goes.", value="DAYS"),
    switch("untagged", "Manifests go too that only a digest names."),
    Flag("match", "Only images that a pattern fits go: app, team/*, app:1.*.", value="PATTERN"),
    NOW,
    Flag("count", "How many images go, where none would stay.", value="NUMBER"),
    YES,
    example="./inv images.clean --keep 10 --older 30 --untagged",
)
undo = Task("images.undo", "Bring back the images that were removed last.", "images_change.undo")
check = Task(
    "images.check",
    "Read all images, and find what is broken.",
    "images_check.check",
    switch("fix", "Mend what can be mended here, and name the push that mends the rest."),
    JSON,
    YES,
    example="./inv images.check --fix",
)
save = Task(
    "images.save",
    "Save images into one file, to carry them.",
    "images_carry.save",
    FILE,
    REFERENCES,
    SINCE,
    YES,
    example="./inv images.save app.tar --references app:1,app:2",
)
load = Task(
    "images.load",
    "Load the images of a file into the registry.",
    "images_carry.load",
    FILE,
    YES,
    example="./inv images.load app.tar",
)
