"""Images in the registry here: listed, shown, and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trusted_registry.certificate import handed
from trusted_registry.console import pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.images import history, inventory, reference, storages, usage, words
from trusted_registry.images.history import History
from trusted_registry.images.inventory import Image, Inventory
from trusted_registry.images.manifest import Kind, Manifest, json_object
from trusted_registry.instance import ownership
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.tasks import swarm_images

_SHORT = len("sha256:") + 12  # characters of a digest in a table


def running(run: Run, engine: Engine) -> Container | None:
    """Return the registry here, which runs; None in a dry run.

    Raises:
        RegistryError: It runs on another machine, is another checkout's, or does not run.
    """
    if handed.is_handed(run.settings.folder):
        wrong = f"The registry {run.settings.registry_host} is on another machine, and its images are read there."
        raise RegistryError(wrong, cure="Run this task in the checkout on that machine.")
    if run.console.dry:
        show_look(run)
        return None
    return there(run, engine)


def place(run: Run) -> str:
    """Return the place of the images, for people."""
    return run.settings.storage or f"the volume {run.settings.volume}"


def show_look(run: Run) -> None:
    """Show the command by which a person would look at the files."""
    bucket = ["aws", "s3", "ls", "--recursive", run.settings.storage]
    volume = ["docker", "exec", run.settings.container, "find", "/var/lib/registry"]
    run.console.command(bucket if run.settings.storage else volume)


def there(run: Run, engine: Engine) -> Container | None:
    """Return the registry here, which runs; in a dry run None where none does.

    Raises:
        RegistryError: It is another checkout's, does not run, or has its images elsewhere than is set.
    """
    container = swarm_images.there(run) or ownership.container(run, engine)
    if container is None or container.state != "running":
        if run.console.dry:
            return None
        state = container.state if container else "not there"
        raise RegistryError(f"The registry {run.settings.container} is {state}.", cure="./inv up starts it.")
    if ownership.is_elsewhere(container, run.settings):
        cure = "./inv up  # or, if images were being moved, the same ./inv registry.move again"
        raise RegistryError("The registry does not have its images in the place that is set.", cure=cure)
    return container


def list_images(run: Run, *, match: str) -> Report:
    """Report repositories and tags."""
    engine = engines.connect(run.console)
    container = running(run, engine)
    if container is None:
        return Report([])
    with run.console.progress("Reading the images"):
        found = inventory.find(storages.of(container, run.settings, engine), with_configs=True)
        known = history.updated(container, run, engine, found.listing)
    images = inventory.chosen(found.images, match)
    content = [_content(it, found, known, container) for it in images]
    without = [it for it in inventory.empty(found) if reference.matches(it, "", match)]
    columns = ("Image", "Kind", "Platforms", "Size", "Pushed", "Last pull", "Clients", "Digest")
    rows = [_row(it, of) for it, of in zip(content, images, strict=True)] + [[it, "empty", *[""] * 6] for it in without]
    table = Table(f"Images in {run.settings.registry_host}", columns, rows) if rows else None
    return Report(content, table, _foot(rows, known, container, match))


def _foot(rows: Sequence[object], known: History, container: Container, match: str) -> list[str]:
    nothing = f"No image fits {match}." if match else "There is no image here yet."
    since = words.when(known.since)
    pulls = f"Pulls are known since {since}; an image without one was not pulled since." if since else ""
    behind = " Behind a front all clients have its address, and are not counted." if container.behind and pulls else ""
    return [*([] if rows else [nothing]), *([pulls + behind] if pulls else [])]


def _content(image: Image, found: Inventory, known: History, container: Container) -> dict[str, Any]:
    """Return an image as JSON has it."""
    pulls = known.pulls_of(image.repository, image.name, *([image.digest] if image.digest else []))
    return {
        "repository": image.repository,
        "tag": image.name if image.is_tagged else None,
        "digest": image.digest or None,
        "kind": str(image.kind),
        "media_type": image.manifest.media_type if image.manifest else None,
        "subject": image.subject or None,
        "platforms": found.platforms(image.digest),
        "bytes": found.size(image.digest),
        "pushed": words.iso(image.pushed),
        "last_pull": words.iso(pulls.last) if pulls else None,
        "pulls": pulls.count if pulls else 0,
        "clients": None if container.behind else len(pulls.clients) if pulls else 0,
    }


def _row(content: dict[str, Any], image: Image) -> list[str]:
    kind = content["kind"] if content["digest"] and image.manifest else "broken"
    about = f" of {content['subject'][:_SHORT]}" if content["subject"] else ""
    name = reference.joined(image.repository, image.name if image.is_tagged else f"{image.name[:_SHORT]}…")
    clients = "" if content["clients"] is None or not content["pulls"] else str(content["clients"])
    pushed, pulled = (words.minute(content[key]) for key in ("pushed", "last_pull"))
    platforms, size = ", ".join(content["platforms"]), words.size(content["bytes"])
    return [name, f"{kind}{about}", platforms, size, pushed, pulled, clients, (content["digest"] or "")[:_SHORT]]


def show(run: Run, *, reference: str) -> Report:
    """Report what is in one image."""
    named = _parse(reference, run)
    engine = engines.connect(run.console)
    container = running(run, engine)
    if container is None:
        return Report({})
    found = inventory.find(storages.of(container, run.settings, engine), with_configs=True)
    image = one(named.repository, named.name, found)
    known = history.updated(container, run, engine, found.listing)
    content = _content(image, found, known, container)
    content["parts"] = [_part(digest, platform, found) for digest, platform in _parts(image, found)]
    content["annotations"] = _pairs(image.manifest.annotations if image.manifest else {})
    content["signatures"] = [reference_of(it) for it in found.signatures(image)]
    return Report(content, Table(str(named), ["What", "State"], _shown(content)))


def _parse(text: str, run: Run) -> reference.Reference:
    return reference.parse(text, run.settings)


def reference_of(image: Image) -> str:
    """Return the reference of an image without its host."""
    return reference.joined(image.repository, image.name)


def matching(text: str, found: Inventory, run: Run) -> list[Image]:
    """Return the images that a reference or a pattern names.

    Raises:
        RegistryError: There is none.
    """
    if is_pattern(text):
        if images_ := inventory.chosen(found.images, text):
            return images_
        raise RegistryError(f"No image fits {text}.", cure="./inv images lists what there is.")
    named = reference.parse(text, run.settings)
    if named.name == "latest" and not text.endswith(":latest"):
        latest, every = pasteable([f"{named.repository}:latest"]), pasteable([f"{named.repository}:*"])
        cure = f"Use {latest} for one tag, {every} for all of the repository."
        raise SettingError(f"{text} names no tag.", cure=cure)
    in_repository = [it for it in found.images if it.repository == named.repository]
    if images_ := [it for it in in_repository if named.name in (it.name, it.digest)]:
        return images_
    return [one(named.repository, named.name, found)]


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern, and no reference."""
    return any(it in text for it in "*?[")


def one(repository: str, name: str, found: Inventory) -> Image:
    """Return the image that a tag or a digest names.

    Raises:
        RegistryError: There is none.
    """
    for it in found.images:
        if it.repository == repository and name in (it.name, it.digest):
            return it
    inner = found.listing.repositories.get(repository)
    if inner and name in inner.revisions and name in found.manifests:  # an image of an index
        return Image(repository, name, name, found.manifests[name], found.listing.blobs[name].changed)
    wrong = f"There is no {reference.joined(repository, name)} here."
    raise RegistryError(wrong, cure=f"./inv images --match {repository} lists what there is.")


def _parts(image: Image, found: Inventory) -> list[tuple[str, str]]:
    """Return digest and platform of an index's images, or of the image itself."""
    made = found.manifests.get(image.digest)
    children = [(it.digest, it.platform) for it in made.children] if made else []
    return children or [(it.digest, "") for it in [made] if it]


def _part(digest: str, platform: str, found: Inventory) -> dict[str, Any]:
    """Return an image of an index, or the only one, as JSON has it."""
    made = found.manifests.get(digest)
    config = json_object(found.configs.get(made.config.digest, b"")) if made and made.config else {}
    begun = _mapping(config.get("config"))
    return {
        "digest": digest,
        "is_here": made is not None,
        "kind": str(made.kind if made else Kind.UNKNOWN),
        "platform": platform or ", ".join(found.platforms(digest)) or None,
        "bytes": found.size(digest),
        "created": config["created"] if isinstance(config.get("created"), str) else None,
        "entrypoint": _texts(begun.get("Entrypoint")),
        "command": _texts(begun.get("Cmd")),
        "user": begun["User"] if isinstance(begun.get("User"), str) else None,
        "labels": _pairs(_mapping(begun.get("Labels"))),
        "layers": _layers(made),
    }


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _pairs(found: Mapping[str, object]) -> list[str]:
    return [f"{key}={value}" for key, value in found.items() if isinstance(value, str)]


def _texts(found: object) -> list[str]:
    return [it for it in found if isinstance(it, str)] if isinstance(found, list) else []


def _layers(made: Manifest | None) -> list[dict[str, Any]]:
    return [{"digest": it.digest, "bytes": it.size} for it in made.layers] if made else []


def _shown(content: dict[str, Any]) -> list[list[str]]:
    """Return rows for a person, those that say something."""
    pulls = f"{words.minute(content['last_pull'])}, {words.plural(content['pulls'], 'pull')}"
    rows = [
        ["digest", content["digest"] or "it points at nothing"],
        ["kind", f"{content['kind']} {content['media_type'] or ''}"],
        ["signature of", content["subject"] or ""],
        ["size", words.size(content["bytes"])],
        ["pushed", words.minute(content["pushed"])],
        ["last pull", pulls if content["pulls"] else ""],
        *(["annotation", it] for it in content["annotations"]),
        *(["signature", it] for it in content["signatures"]),
    ]
    for part in content["parts"]:
        rows += _part_rows(part, several=len(content["parts"]) > 1)
    return [row for row in rows if row[1]]


def _part_rows(part: dict[str, Any], *, several: bool) -> list[list[str]]:
    title = part["platform"] or part["kind"]
    missing = "" if part["is_here"] else ", which is not here: ./inv images.check"
    head = [[title, f"{part['digest']}, {words.size(part['bytes'])}{missing}"]] if several else [["platform", title]]
    return [
        *head,
        ["  created", part["created"] or ""],
        ["  entrypoint", " ".join(part["entrypoint"])],
        ["  command", " ".join(part["command"])],
        ["  user", part["user"] or ""],
        *(["  label", it] for it in part["labels"]),
        *(["  layer", f"{it['digest']}, {words.size(it['bytes'])}"] for it in part["layers"]),
    ]


def show_usage(run: Run, *, match: str) -> Report:
    """Report what takes the room on the disk."""
    engine = engines.connect(run.console)
    container = running(run, engine)
    if container is None:
        return Report({})
    with run.console.progress("Reading the images"):
        found = inventory.find(storages.of(container, run.settings, engine))
        measured = usage.measure(found)
        known = history.updated(container, run, engine, found.listing)
    named = inventory.chosen(measured.images, match)
    repositories = {name: it for name, it in measured.repositories.items() if reference.matches(name, "", match)}
    content = {
        "total": measured.total,
        "free": found.listing.free,
        "untagged": measured.untagged,
        "unneeded": measured.unneeded,
        "undo": measured.undo,
        "uploads": measured.uploads,
        "leftovers": measured.strays,
        "growth": round(known.growth),
        "repositories": [{"repository": name, **_bytes(it)} for name, it in repositories.items()],
        "images": [{"repository": it.repository, "name": it.name, **_bytes(measured.images[it])} for it in named],
    }
    rows = [[name, *_cells(it)] for name, it in sorted(repositories.items(), key=lambda it: -it[1].own)]
    rows += [[reference_of(it), *_cells(measured.images[it])] for it in named if match]
    columns = ["Repository", "On the disk", "Shared with others", "Freed without it"]
    return Report(content, Table("What takes the room", columns, rows) if rows else None, _sums(content))


def _bytes(it: usage.Bytes) -> dict[str, int]:
    return {"bytes": it.total, "shared": it.shared_bytes, "frees": it.own}


def _cells(it: usage.Bytes) -> list[str]:
    return [words.size(count) for count in (it.total, it.shared_bytes, it.own)]


def _sums(content: dict[str, Any]) -> list[str]:
    """Return the lines below the table; of what there is none of, none."""
    free = f"; {words.size(content['free'])} of the disk are free" if content["free"] is not None else ""
    left = [
        ("untagged", "only manifests without a tag need, and digests may be pulled still"),
        ("unneeded", "no manifest needs: a garbage collection frees them"),
        ("undo", "come back with ./inv images.undo; ./inv images.clean --now frees them"),
        ("uploads", "are in uploads that have not ended"),
        ("leftovers", "are in files that a kill left: ./inv images.check --fix"),
    ]
    growth = [f"growth: {words.size(content['growth'])} a day"] if content["growth"] > 0 else []
    told = [f"{key}: {words.size(content[key])} {text}" for key, text in left if content[key]]
    return [f"total: {words.size(content['total'])}{free}", *told, *growth]
