"""Protocol of an engine: all questions and orders to one, and the promise about each answer.

An engine that does not answer has no containers, images and volumes; any change, a refusal and silence raise
RegistryError. Changes are shown as the commands that a person would type, and not made in a dry run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from trusted_registry.engine.types import Container, EngineInfo, ExecResult, ListedContainer, Network, Volume
from trusted_registry.errors import RegistryError
from trusted_registry.instance.model import File, Instance
from trusted_registry.registry.users import Login


class Engine(Protocol):
    """An engine; other modules decide by its answers."""

    # Whether an engine answers, and its description of itself

    @property
    def available(self) -> bool:
        """True if the engine answers."""

    @property
    def connect_error(self) -> RegistryError | None:
        """Reason why the engine does not answer, if known."""

    def info(self, *, fresh: bool = False) -> EngineInfo:
        """Return the engine's description of itself; asked once unless `fresh`.

        Raises:
            RegistryError: The engine does not answer.
        """

    def close(self) -> None:
        """Close the connections to the engine."""

    # Containers, ours and others', by their names

    def find(self, name: str) -> Container | None:
        """Return the container of this name, ours or not, or None.

        Raises:
            AccessDeniedError: The engine does not let this user ask: such a container may well exist.
        """

    def list_containers(self) -> tuple[ListedContainer, ...]:
        """Return all containers by name, stopped ones included."""

    def run(self, instance: Instance, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Create and start a container; one that cannot start is removed.

        Args:
            instance: The container.
            meanwhile: Called while the engine starts the container, in a dry run too.

        Raises:
            PortTakenError: Another program or container has the port.
            RegistryError: The engine refuses for another reason.
        """

    def create(self, instance: Instance) -> None:
        """Create a container; RegistryError where the name is in use, or the image is absent or became another one."""

    def start(self, name: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start a container that was created.

        Args:
            name: Its name.
            meanwhile: Called while the engine starts the container, in a dry run too.

        Raises:
            PortTakenError: Another program or container has the port.
            RegistryError: No container has the name, or the engine refuses for another reason.
        """

    def retire(self, name: str) -> None:
        """Stop and keep a container, which the engine no longer starts by itself. An absent one is no error."""

    def drain(self, name: str) -> None:
        """Tell a container to end, and do not wait for that; the engine no longer starts the container by itself.

        An absent one is no error.
        """

    def rename(self, name: str, to: str) -> None:
        """Give a container, which may run, another name; an absent one is no error.

        Raises:
            RegistryError: Another container has that name.
        """

    def remove(self, name: str, *, at_once: bool = False) -> None:
        """Remove a container, first stopped or, `at_once`, killed; its volumes stay, and an absent one is no error."""

    def restart(self, name: str) -> None:
        """Restart a container, or start one that stopped; an absent one is no error."""

    def hand_over(self, name: str) -> None:
        """Have another registry take over in a container with our start script; open requests are answered first."""

    def clear_proofs(self, name: str) -> None:
        """Have our start script take away the remains of deleted proofs in the storage; that takes a moment."""

    def put_back(self, aside: str, name: str) -> None:
        """Start a container that was retired, or was about to be, under its name; an absent one is no error.

        Raises:
            RegistryError: Another container has that name, or the port.
        """

    def log(self, name: str, *, lines: int) -> str:
        """Return the last lines of a container's log; "" of an absent one."""

    def log_since(self, name: str, since: float) -> Generator[str, None, None]:
        """Yield the lines of a container's log from a time on, in seconds since the epoch; none of an absent one."""

    def follow(self, name: str, *, lines: int) -> Iterator[str]:
        """Yield the last lines of a container's log, then new ones until the container ends."""

    def publisher_of(self, port: int) -> str | None:
        """Return the name of a running container that publishes this TCP port."""

    def bind_mounts(self) -> list[tuple[str, str]]:
        """Return container name and host path of each bind mount, of stopped containers too."""

    def holders(self, volume: str) -> list[str]:
        """Return the names of the containers, running or not, that a volume is given to."""

    def execute(self, name: str, argv: Sequence[str]) -> ExecResult:
        """Run a program to its end, as root in a running container; in a dry run too, when the program must only read.

        Raises:
            RegistryError: The container is absent, does not run, or is paused.
        """

    def stream(self, name: str, argv: Sequence[str], errors: bytearray) -> Iterator[bytes]:
        """Yield the output of a program that root runs in a container, piece by piece; in a dry run too.

        Args:
            name: The container.
            argv: The program.
            errors: Gets the first megabyte of its other output, standard error.

        Raises:
            RegistryError: The container is absent, does not run, or is paused; or the program falls silent.
        """

    def put_files(self, name: str, folder: str, files: Sequence[File]) -> None:
        """Write files into a folder of a volume that a running container may change; each is whole at any moment.

        Raises:
            RegistryError: The container is absent, or has no such folder.
        """

    def unpack(self, name: str, folder: str, tar: Iterable[bytes]) -> None:
        """Write the files of a tar, of any size, into a folder of a volume; RegistryError where the disk is full."""

    def read_files(self, name: str, folder: str) -> dict[str, bytes]:
        """Return the files in a folder of a container, running or not, by their names; none if either is absent.

        Raises:
            RegistryError: They have more than 16 MiB.
        """

    # Volumes, ours and others'

    def volume(self, name: str) -> Volume | None:
        """Return the volume of this name, whoever made it, or None."""

    def volumes_of(self, installation: str) -> list[str]:
        """Return the names of the volumes that an installation made, without those of files."""

    def list_files_volumes(self, installation: str) -> list[str]:
        """Return the names of the volumes of files that an installation made."""

    def make_volume(self, name: str, installation: str) -> Volume | None:
        """Make and return a volume that carries the id of its installation; None in a dry run.

        One that is there stays unchanged, and is returned.
        """

    def remove_volume(self, name: str) -> None:
        """Remove a volume with its content; an absent one is no error.

        Raises:
            RegistryError: A container, running or not, has the volume.
        """

    def make_files_volume(self, name: str, installation: str) -> bool:
        """Make a volume for `fill`, for a container that is created before it; return whether there was none."""

    def fill(
        self,
        volume: str,
        installation: str,
        image: str,
        files: Sequence[File],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Write files for containers to read into a volume, which is made if absent.

        The files belong to root; a secret one has mode 0600, others 0644. Files of other names stay. A reader meanwhile
        finds each file whole, old or new.

        Args:
            volume: Name of the volume.
            installation: Id of the installation, which the volume carries as a label.
            image: Id of any image; none of its programs runs.
            files: The files.
            meanwhile: Called while the engine takes the files, once the volume is there; in a dry run too.

        Raises:
            RegistryError: The volume was not made by `fill` for this installation, or the engine refuses.
        """

    # Networks, ours and others'

    def network(self, name: str) -> Network | None:
        """Return the network of this name, whoever made it, or None."""

    def make_network(self, name: str, installation: str) -> None:
        """Make a network that carries the id of its installation; that installation's own stays unchanged.

        Containers in the network know each other by their names and by their short ids.

        Raises:
            RegistryError: Somebody else made one of that name.
        """

    def remove_network(self, name: str) -> None:
        """Remove a network; an absent one is no error.

        Raises:
            RegistryError: A running container is in the network.
        """

    # Images, and their transfer from and to registries

    def image_id(self, reference: str) -> str | None:
        """Return the id of an image, by its name or its id, or None."""

    def has_image(self, reference: str) -> bool:
        """Return whether the engine has an image of this name or id."""

    def image_content(self, reference: str) -> str | None:
        """Return a digest of all that an image can do: its layers and its configuration, labels apart."""

    def image_digest(self, reference: str) -> str | None:
        """Return repository and digest under which an image was pulled; None of one that was made or loaded here."""

    def entrypoint(self, reference: str, *, shell: bool = False) -> tuple[str, ...]:
        """Return an image's entrypoint if the image surely has a shell, else ().

        A script as the entrypoint proves the shell. In a dry run an absent image is taken for an official one.

        Args:
            reference: The image.
            shell: Whether the installation noted a shell when the image was made; a label proves nothing.
        """

    def pull(self, reference: str, login: Login | None = None) -> str | None:
        """Pull an image and return its digest in the registry; None in a dry run, or if the registry tells none.

        Without `login`, the person's own login is used, if any.

        Raises:
            RegistryError: The pull failed; the message has the engine's reason.
        """

    def try_pull(self, reference: str) -> None:
        """Pull without showing progress, in a dry run too, to learn how the engine sees a registry.

        Raises:
            RegistryError: The pull failed, as always for an image that does not exist.
        """

    def push(self, reference: str, login: Login | None = None) -> str | None:
        """Push an image and return its digest in the registry; None in a dry run, or if the registry tells none.

        Without `login`, the person's own login is used, if any.

        Raises:
            RegistryError: The push failed; the message has the engine's reason.
        """

    def save(self, reference: str) -> Iterator[bytes]:
        """Yield an image in the format of `docker save`; a RegistryError if there is none."""

    def load(self, archive: Path) -> list[str]:
        """Load such a file and return its images' names; a RegistryError for any other file, or an unreadable one."""

    def import_image(
        self, reference: str, tar: bytes, changes: Iterable[str] = (), *, typed: Sequence[str] = ()
    ) -> str:
        """Make an image of one layer from a tar archive, and return its id; "" in a dry run.

        `changes` are Dockerfile instructions applied to the image, `typed` is the command that makes such an archive.
        """

    def tag(self, image: str, reference: str) -> None:
        """Give an image another name, which another image then loses.

        Raises:
            RegistryError: There is no such image.
        """

    def untag(self, reference: str) -> None:
        """Remove a name of an image; an absent one is no error. The image goes with its last name.

        Raises:
            RegistryError: A container was made of the image, and this is its last name.
        """
