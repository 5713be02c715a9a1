"""Creation of a container by the Engine API, with the same options as the command of `model.argv`."""

from __future__ import annotations

from trusted_registry.instance.model import FILES_FOLDER, IMAGES_FOLDER, SHELL, Instance, Published


def arguments(instance: Instance) -> dict[str, object]:
    """Return the arguments of `docker.DockerClient.containers.create`.

    They equal `argv`, the settings of the log apart.
    """
    mounts = [_mount(instance.files_volume, FILES_FOLDER, read_only=True)]
    if instance.storage.volume:
        mounts.insert(0, _mount(instance.storage.volume, IMAGES_FOLDER, read_only=instance.storage.read_only))
    return {
        **({"network": instance.network} if instance.network else {}),
        **({"stop_signal": instance.stop_signal} if instance.stop_signal else {}),
        **({"user": instance.user} if instance.user else {}),
        **({"dns_opt": list(instance.dns_options)} if instance.dns_options else {}),
        **({"sysctls": dict(instance.sysctls)} if instance.sysctls else {}),
        # A bucket is tried without a proxy; those of ~/.docker/config.json would be the container's.
        **({"use_config_proxy": False} if instance.storage.location else {}),
        "image": instance.image.name,
        "entrypoint": [SHELL] if instance.shell else None,
        "command": list(instance.command),
        "name": instance.name,
        "restart_policy": {"Name": instance.restart},
        "ports": {f"{it.inner}/tcp": _bound(it) for it in instance.ways},
        "mounts": mounts,
        "environment": dict(instance.environment),
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": instance.memory,
        "pids_limit": instance.pids,
        "labels": instance.labels,
    }


def _bound(way: Published) -> object:
    port = way.port or None
    return (way.listen, port) if way.listen else port


def _mount(volume: str, target: str, *, read_only: bool) -> dict[str, object]:
    return {"Type": "volume", "Source": volume, "Target": target, "ReadOnly": read_only}
