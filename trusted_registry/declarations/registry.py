"""The engine, the registry on it, and the registry's users."""

from __future__ import annotations

from trusted_registry.declarations.flag import FILE, NAME, NAT, SINCE, STAYS_WITH_PORT, YES, Flag, setting, switch
from trusted_registry.declarations.task import Task

engine = Task(
    "engine",
    "Show the Docker Engine here, or install one.",
    "registry.engine",
    YES,
    needs_settings=False,
    example="./inv engine --yes",
)
basic = Task(
    "registry.basic",
    "Run a registry without TLS, on localhost:5000.",
    "registry.basic",
    switch("lan", "Listen on every address, not on loopback alone: anyone on the network may push."),
    example="./inv registry.basic --lan",
)
test = Task(
    "registry.test",
    "Push an image, pull it back, and compare digests.",
    "registry.test",
    Flag("image", "Image to push; without it, a tiny one is made."),
    switch("lan", "With plain HTTP: use the LAN address."),
    example="./inv registry.test --image ubuntu",
)
tls = Task(
    "registry.tls",
    "Run the registry with TLS, without the rest of `up`.",
    "registry.alone",
    *STAYS_WITH_PORT,
    NAT,
    example="./inv registry.tls --port 8443",
)
stop = Task(
    "registry.stop",
    "Stop the registry; its images stay, unless purged.",
    "registry.stop",
    switch("purge", "Remove the images too."),
    YES,
    example="./inv registry.stop",
)
logs = Task(
    "registry.logs",
    "Show the last lines of the registry's log.",
    "registry.logs",
    switch("follow", "Keep showing new lines until Ctrl-C."),
    switch("front", "Show the front's log, which has the clients' addresses."),
    Flag("lines", "How many lines to show.", "50"),
    example="./inv registry.logs --follow --lines 20",
)

upgrade = Task(
    "registry.upgrade",
    "Change the registry's version, if no image is lost.",
    "registry_upgrade.upgrade",
    setting("image", 'Image of the registry, such as registry:3.1.1; remembered until --image "".'),
    switch("check", "Only compare; the running registry stays."),
    example="./inv registry.upgrade --check --image registry:3.1.1",
)
BUCKET = (
    Flag("endpoint", "URL of the store, such as https://192.168.0.9:8333; Amazon's by default."),
    Flag("region", "Region of the bucket."),
    Flag("ca", "File of the authority that vouches for the endpoint.", value="FILE"),
    Flag("credentials", "File with the bucket's access key; - reads standard input.", value="FILE"),
    switch("insecure_storage", "Accept an endpoint without TLS."),
)
storage = Task(
    "registry.storage",
    "Have the images in a bucket, which is tried first.",
    "registry_storage.choose",
    Flag("to", "The bucket, s3://BUCKET/PREFIX.", None, value="s3://BUCKET/PREFIX"),
    *BUCKET,
    example="./inv registry.storage s3://images/registry --credentials key.json",
)
move = Task(
    "registry.move",
    "Move the images from the volume into a bucket, or back.",
    "registry_move.move",
    Flag("to", "s3://BUCKET/PREFIX, or volume."),
    *BUCKET,
    switch("purge_source", "Remove the images where they were, once they are there."),
    YES,
    example="./inv registry.move --to s3://images/registry",
)
backup = Task(
    "registry.backup",
    "Save images, users, keys and settings into one file.",
    "registry_backup.backup",
    FILE,
    SINCE,
    YES,
    example="./inv registry.backup registry.tar",
)
restore = Task(
    "registry.restore",
    "Restore a registry with its trust from such a file.",
    "registry_backup.restore",
    FILE,
    switch("into", "Add the images to a registry that has others."),
    YES,
    example="./inv registry.restore registry.tar",
)
user_add = Task(
    "registry.user.add",
    "Add a user; asks for the password.",
    "registry_users.add",
    NAME,
    example="./inv registry.user.add ada",
)
user_remove = Task(
    "registry.user.remove",
    "Remove a user (asks before the last one).",
    "registry_users.remove",
    NAME,
    YES,
    example="./inv registry.user.remove ada",
)
user_list = Task("registry.user.list", "List the users; without any, everybody may push.", "registry_users.show")
