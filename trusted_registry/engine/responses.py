"""Answers of the engine as values of a type; `connection.errors_explained` explains those without the form for that."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from trusted_registry.engine.types import (
    DOCKER,
    PODMAN,
    Container,
    EngineInfo,
    FoundImage,
    ListedContainer,
    Network,
    Volume,
)
from trusted_registry.installation import LABEL
from trusted_registry.instance import model

_PORT = re.compile(r"[0-9]{1,5}")
_RUNS = re.compile("Cmd|Entrypoint|Env|ExposedPorts|Healthcheck|Shell|StopSignal|User|Volumes|WorkingDir")
"""Fields of an image's configuration that count when it runs (OCI image specification, "config")."""
TERM = "SIGTERM"
"""Signal by which a container is told to end whose image names none (docs.docker.com, Dockerfile, STOPSIGNAL)."""
_Json = TypeVar("_Json", str, list[Any], dict[str, Any])


def info(said: Mapping[str, Any], socket: str) -> EngineInfo:
    """Return an engine's description from its answer, with its socket."""
    registries = _mapping(said.get("RegistryConfig"))
    indexes = map(_mapping, _mapping(registries.get("IndexConfigs")).values())
    driver_status = {_text(entry[0]): _text(entry[1]) for entry in map(_list, _list(said.get("DriverStatus")))}
    return EngineInfo(
        system=_text(said.get("OperatingSystem")) or "an unknown system",
        version=_text(said.get("ServerVersion")),
        socket=socket,
        rootless="name=rootless" in _list(said.get("SecurityOptions")),
        store="containerd" if "snapshotter" in driver_status.get("driver-type", "") else "classic",
        insecure=(
            *map(_text, _list(registries.get("InsecureRegistryCIDRs"))),
            *(_text(index["Name"]) for index in indexes if not index.get("Secure", True)),
        ),
        desktop="Docker Desktop" in _text(said.get("OperatingSystem")),
        proxy=_text(said.get("HttpsProxy")),
        no_proxy=_text(said.get("NoProxy")),
        folder=_text(said.get("DockerRootDir")),
        # github.com/containers/podman, pkg/api/handlers/compat/info.go: a field that Docker's answer has not
        product=PODMAN if "BuildahVersion" in said else DOCKER,
        mirrors=tuple(map(_text, _list(registries.get("Mirrors")))),
    )


# Readers of a JSON value; nothing is an empty one, and any other kind a TypeError, which `errors_explained` explains


def _mapping(value: object) -> Mapping[str, Any]:
    return _as(dict, value)


def _list(value: object) -> list[Any]:
    return _as(list, value)


def _text(value: object) -> str:
    return _as(str, value)


def _as(kind: type[_Json], value: object) -> _Json:
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} in the place of {kind.__name__}")
    return value


def _labels(value: object) -> Mapping[str, str]:
    return {key: _text(label) for key, label in _mapping(value).items()}


def container(attributes: Mapping[str, Any]) -> Container:
    """Return a container from the attributes that the engine gives."""
    config, published, tried = (
        _mapping(attributes["Config"]),
        _published(attributes),
        _published(attributes, trial=True),
    )
    labels = _labels(config.get("Labels"))
    bucket = labels.get(model.STORAGE_LABEL, "")
    return Container(
        id=_text(attributes["Id"]),
        role=labels.get(model.LABEL),
        digest=labels.get(model.DIGEST_LABEL),
        state=_text(_mapping(attributes["State"])["Status"]),
        image=_text(config["Image"]),
        listen=_text(published[0]["HostIp"]) if published else "",
        port=_port(published[0]["HostPort"]) if published else None,
        installation=labels.get(LABEL, ""),
        # Beside a bucket there may be the volume that the image asks for, with nothing in it.
        volume="" if bucket else _mounted_at(model.IMAGES_FOLDER, attributes),
        image_id=_text(attributes.get("Image")),
        files_volume=_mounted_at(model.FILES_FOLDER, attributes),
        trial=_port(tried[0]["HostPort"]) if tried else None,
        bucket=bucket,
    )


def stop_signal(attributes: Mapping[str, Any]) -> str:
    """Return the signal by which a container is to be told to end, from its attributes."""
    return _text(_mapping(attributes["Config"]).get("StopSignal")) or TERM


def _published(attributes: Mapping[str, Any], *, trial: bool = False) -> list[Mapping[str, Any]]:
    """Return address and port of this machine that lead to a container: those asked for, or the engine's choice."""
    others = {f"{model.TRIAL_PORT}/tcp": True, f"{model.METRICS_PORT}/tcp": None}
    asked = _mapping(_mapping(attributes["HostConfig"]).get("PortBindings"))
    bound = _mapping(_mapping(attributes.get("NetworkSettings")).get("Ports"))
    found = [entries for ports in (asked, bound) for port, entries in ports.items() if others.get(port, False) is trial]
    bindings = [_mapping(it) for entries in found for it in _list(entries)]
    return [it for it in bindings if it["HostPort"] not in ("", "0")]


def _port(text: str) -> int:
    """Return a TCP port that the engine writes as a text.

    Raises:
        ValueError: The text is no TCP port.
    """
    if not _PORT.fullmatch(text) or not 0 < int(text) < 1 << 16:
        raise ValueError(text)
    return int(text)


def _mounted_at(folder: str, attributes: Mapping[str, Any]) -> str:
    """Return the name of the volume that a container has at a folder, or ""."""
    mounts = map(_mapping, _list(attributes.get("Mounts")))
    return next((_text(it.get("Name")) for it in mounts if it.get("Destination") == folder), "")


def listed(attributes: Iterable[Mapping[str, Any]]) -> tuple[ListedContainer, ...]:
    """Return the containers of a list that the engine gives, by name; one that is being removed has none."""
    found = (ListedContainer(_name(it), _text(it["State"]), _labels(it.get("Labels"))) for it in _named(attributes))
    return tuple(sorted(found, key=lambda it: it.name))


def publishers(attributes: Iterable[Mapping[str, Any]]) -> list[tuple[str, int | None]]:
    """Return the name of each container of a list, once for each TCP port of this machine that leads there."""
    ports = ((it, _mapping(port)) for it in _named(attributes) for port in _list(it.get("Ports")))
    return [(_name(it), port.get("PublicPort")) for it, port in ports]


def bind_mounts(attributes: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return container name and host path of each bind mount of the containers of a list."""
    mounts = ((it, _mapping(mount)) for it in _named(attributes) for mount in _list(it.get("Mounts")))
    return [(_name(it), _text(mount.get("Source"))) for it, mount in mounts if mount.get("Type") == "bind"]


def _named(attributes: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    return (it for it in attributes if it.get("Names"))


def _name(listed: Mapping[str, Any]) -> str:
    return _text(_list(listed["Names"])[0]).lstrip("/")


def volume(attributes: Mapping[str, Any]) -> Volume:
    """Read the engine's description of one volume."""
    labels = _labels(attributes.get("Labels"))
    folder = _text(attributes.get("Mountpoint", ""))
    return Volume(_text(attributes["Name"]), labels.get(LABEL, ""), labels.get(model.LABEL, ""), folder)


def network(attributes: Mapping[str, Any]) -> Network:
    """Read the engine's description of one network."""
    return Network(_text(attributes["Name"]), _labels(attributes.get("Labels")).get(LABEL, ""))


def image(attributes: Mapping[str, Any]) -> FoundImage:
    """Return an image from the attributes that the engine gives."""
    return FoundImage(
        _text(attributes["Id"]),
        image_content(attributes),
        tuple(map(_text, _list(attributes.get("RepoDigests")))),
        tuple(map(_text, _list(_mapping(attributes.get("Config")).get("Entrypoint")))),
    )


def exit_code(said: Mapping[str, Any]) -> int | None:
    """Return the exit status of a program in a container; None while there is none."""
    code = said["ExitCode"]
    if code is not None and not isinstance(code, int):
        raise TypeError(code)
    return code


_PATH = "PATH="
"""Begin of the variable that a build adds where there is none; it can only choose among programs of the layers."""


def image_content(attributes: Mapping[str, Any]) -> str:
    """Return a digest of all that an image can do, from the engine's description: a label can do nothing."""
    said = _mapping(attributes.get("Config")).items()
    config = {key: value for key, value in said if value and _RUNS.fullmatch(key)}
    config["Env"] = sorted(it for it in map(_text, _list(config.get("Env"))) if not it.startswith(_PATH))
    known = json.dumps([_mapping(attributes.get("RootFS")).get("Layers"), config], sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()
