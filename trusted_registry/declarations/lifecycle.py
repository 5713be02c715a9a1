"""All of it at once, and the checks of this checkout."""

from __future__ import annotations

from trusted_registry.declarations.flag import FRONT, JSON, STAYS_WITH_PORT, YES, Flag, switch, words
from trusted_registry.declarations.task import Task

up = Task(
    "up",
    "Do it all: certificate, registry, trust, and the proof.",
    "lifecycle.up",
    *STAYS_WITH_PORT,
    FRONT,
    switch("adopt", "Take a volume that is there, and no other installation's, with its images."),
)
status = Task("status", "Say how things stand: certificate, registry, trust.", "lifecycle.show_status", JSON)
explain = Task(
    "explain",
    "Say what an error message means, and what cures it.",
    "doctor.explain",
    Flag("text", "The message; without it, standard input is read.", is_text=True),
    JSON,
)
doctor = Task(
    "doctor",
    "Check the whole way to the registry; report each fault.",
    "doctor.diagnose",
    Flag("client", "Only what concerns one client's store: docker, podman, containerd, system, …"),
    Flag("remote", "Another machine's registry instead, as its clients here see it: NAME or NAME:PORT."),
    switch("fix", "Do what is safe about it, and ask before the rest."),
    JSON,
    YES,
)
down = Task(
    "down",
    "Stop the registry; with --purge, take images, trust and keys away too.",
    "lifecycle.down",
    switch("purge", "Remove images, trust and certificates too."),
    YES,
)
test = Task(
    "test",
    "Check this checkout: style, types, tests, and a real registry.",
    "checkout.test",
    words("sessions", "Sessions to run instead of the default ones, separated by commas."),
    needs_settings=False,
)
