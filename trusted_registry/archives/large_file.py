"""Large file: written piece by piece, and known by its name only once complete."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from trusted_registry import files


@contextlib.contextmanager
def new(path: Path, size: int) -> Iterator[int]:
    """Yield the descriptor of a new, private file that gets its name once complete, in place of a file of that name.

    Args:
        path: Path of the file; its folder must be there.
        size: Bytes of the complete file, about.

    Raises:
        RegistryError: The operating system refuses the file, or the disk has no room for that many bytes.
    """
    part = path.with_name(f".{path.name}.part")
    with contextlib.ExitStack() as stack:
        with files.explained(path):
            part.unlink(missing_ok=True)  # of a run that was killed
            if shutil.disk_usage(path.parent).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, files.PRIVATE_FILE)
        stack.callback(part.unlink, missing_ok=True)
        stack.callback(os.close, file)
        yield file
        with files.explained(path):
            os.fsync(file)
            part.replace(path)
