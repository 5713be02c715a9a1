"""Times one command and its memory: `python stopwatch.py LOG COMMAND…` prints JSON.

A process of its own because Linux counts, as a child's peak, the memory that its parent had when it was started
(getrusage(2), `ru_maxrss`, kept over execve): only a small parent measures small children.
"""

import json
import os
import signal
import sys
import time


def main(log: str, *argv: str) -> None:
    """Run a command with its output in a file, and print its status, its seconds and its peak memory in bytes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command is meant, and is waited for
    begun = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, setsigdef=[signal.SIGINT])
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begun
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, kilobytes here
    code = os.waitstatus_to_exitcode(status)
    sys.stdout.write(json.dumps({"code": code, "seconds": seconds, "peak": usage.ru_maxrss * unit}))


if __name__ == "__main__":
    main(*sys.argv[1:])
