"""All of it at once, and the checks of this checkout."""

from __future__ import annotations

from trusted_registry.declarations.flag import FRONT, JSON, NAT, STAYS_WITH_PORT, STORES, YES, Flag, switch, words
from trusted_registry.declarations.task import Task

up = Task(
    "up",
    "Do it all: certificate, registry, trust, and a proof.",
    "lifecycle.up",
    *STAYS_WITH_PORT,
    FRONT,
    NAT,
    Flag("from_", "With the image and the images of such a file, without a network.", value="FILE"),
    switch("adopt", "Use an existing volume with its images, if it is no other installation's."),
    YES,
    example="./inv up --names registry.local --port 8443",
)
status = Task(
    "status",
    "Show how things are; fail if something is wrong.",
    "lifecycle.show_status",
    JSON,
    example="./inv status --json",
)
explain = Task(
    "explain",
    "Explain an error message, and how to fix it.",
    "doctor.explain",
    Flag("text", "The message; without it, standard input is read.", is_text=True, value="MESSAGE"),
    JSON,
    example='./inv explain "x509: certificate signed by unknown authority"',
)
doctor = Task(
    "doctor",
    "Find what is wrong between here and the registry.",
    "doctor.diagnose",
    Flag("client", "Only one client's store: docker, podman, containerd, system, …", choices=STORES),
    Flag("remote", "Check another machine's registry, as clients here see it.", value="NAME[:PORT]"),
    switch("fix", "Fix what is safe, and ask before the rest."),
    JSON,
    YES,
    example="./inv doctor --remote 192.168.0.12",
)
down = Task(
    "down",
    "Stop the registry; with --purge, remove everything.",
    "lifecycle.down",
    switch("purge", "Remove images, trust and certificates too."),
    YES,
    example="./inv down --purge --yes",
)
test = Task(
    "test",
    "Test this checkout, with a real registry.",
    "checkout.test",
    words("sessions", "Sessions to run instead of the default ones, separated by commas.", value="NAME,NAME"),
    needs_settings=False,
    example="./inv test --sessions types",
)
