"""A host of the lab: a container with an engine, an address and an ordinary user, used as a person uses a machine."""

from __future__ import annotations

import dataclasses
import io
import logging
import shlex
import tarfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.e2e.checkout import HOME
from tests.e2e.clock import FUTURE, Clock
from trusted_registry.engine import exec_output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from docker.models.containers import Container
    from docker.models.networks import Network

    from tests.e2e.suites import Suite

LOG = logging.getLogger("lab")
CLOCK = Clock()
MOST = 15
"""Seconds that a clock which was set back is waited for."""

DEFAULTS = {"INVOKE_REGISTRY_IMAGE": "registry:2", "NO_COLOR": "1", "COLUMNS": "200", "LANG": "C.UTF-8"}
"""What a person on a host without the Hub sets once: the registry's image that the host has; and plain output."""

DOMAIN = "lab.local"
"""Every host is NAME.lab.local to the others, by the outer engine's DNS."""

WIDTH = 96
"""Columns of a terminal that a command gets, after the time and the host."""

STOPPED = 124
"""Exit status of `timeout` when it had to stop the program."""


@dataclass(frozen=True)
class Done:
    """A command that ran on a host: its exit status and what it said, both streams in one where order matters less."""

    host: str
    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both streams."""
        return f"{self.out}{self.err}"

    def __str__(self) -> str:
        """Return the command and its end, as a failed assertion should show them."""
        return f"{self.host}$ {shlex.join(self.argv)}\n{self.said.strip()}\n(exit status {self.code})"


@dataclass
class Host:
    """One host. Commands run as root unless a user is named; `inv` runs as the ordinary user unless one is."""

    name: str
    suite: Suite
    container: Container = field(repr=False)
    network: Network = field(repr=False)
    settings: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS), repr=False)
    history: list[Done] = field(default_factory=list, repr=False)

    @property
    def address(self) -> str:
        """The IPv4 address on the lab's network."""
        return self._endpoint("IPAddress")

    @property
    def address6(self) -> str:
        """The IPv6 address on the lab's network; empty where that has none."""
        return self._endpoint("GlobalIPv6Address")

    @property
    def domain_name(self) -> str:
        """The name by which the other hosts find this one."""
        return f"{self.name}.{DOMAIN}"

    def _endpoint(self, key: str) -> str:
        self.container.reload()
        return str(self.container.attrs["NetworkSettings"]["Networks"][self.network.name][key])

    def run(
        self,
        *argv: str,
        user: str = "root",
        env: Mapping[str, str] | None = None,
        folder: str = HOME,
        seconds: int = 120,
    ) -> Done:
        """Run a command to its end, whatever that is; after `seconds` it is stopped, and that is an exit status too.

        One that is told of a certificate from the future, just after this machine's clock was really set back, is run
        once more when the clock has caught up.
        """
        begun, whole = time.monotonic(), ("timeout", "--kill-after=5", str(seconds), *argv)
        CLOCK.look()
        done = dataclasses.replace(self.silently(*whole, user=user, env=env, folder=folder), argv=argv)
        self.history.append(done)
        if FUTURE.search(done.said) and done.code != 0 and 0 < (back := CLOCK.set_back()) < MOST:
            LOG.warning("%-11s the clock was set back by %.1f s: %s is run again", self.name, back, shown(argv))
            time.sleep(back)
            done = dataclasses.replace(self.silently(*whole, user=user, env=env, folder=folder), argv=argv)
            self.history.append(done)
        end = "" if done.code == 0 else f"  → {done.code}"
        LOG.info("%-11s %5.1f s  %s%s", self.name, time.monotonic() - begun, shown(argv), end)
        return done

    def silently(
        self, *argv: str, user: str = "root", env: Mapping[str, str] | None = None, folder: str = HOME
    ) -> Done:
        """Run a command that is no step of a scenario: a look while waiting, or for evidence."""
        home = "/root" if user == "root" else f"/home/{user}"
        assert self.container.client
        api, environ = self.container.client.api, {"HOME": home, **(env or {})}
        number = api.exec_create(self.container.id, list(argv), user=user, environment=environ, workdir=folder)["Id"]
        frames = list(exec_output.start(api, number))
        out, err = (b"".join(frame[at] or b"" for frame in frames) for at in (0, 1))
        code = api.exec_inspect(number)["ExitCode"]
        assert code is not None, f"{self.name} was taken away while it ran {shlex.join(argv)}"
        return Done(self.name, argv, code, _text(out), _text(err))

    def does(self, *argv: str, user: str = "root", env: Mapping[str, str] | None = None, seconds: int = 120) -> Done:
        """Run a command that must succeed."""
        done = self.run(*argv, user=user, env=env, seconds=seconds)
        assert done.code == 0, f"This should have worked:\n{done}"
        return done

    def fails(
        self, *argv: str, saying: str, user: str = "root", env: Mapping[str, str] | None = None, seconds: int = 120
    ) -> Done:
        """Run a command that must fail, by itself and with these words."""
        done = self.run(*argv, user=user, env=env, seconds=seconds)
        assert done.code not in (0, STOPPED), f"This should have failed:\n{done}"
        assert saying in done.said, f"This should have failed with “{saying}”:\n{done}"
        return done

    def inv(self, *words: str, user: str = "dev", **settings: str) -> Done:
        """Run tasks that must succeed, with settings by name: `registry_port="8443"`."""
        return self.does("./inv", *words, user=user, env=self._environment(settings))

    def inv_fails(self, *words: str, saying: str, user: str = "dev", seconds: int = 120, **settings: str) -> Done:
        """Run tasks that must fail in the way that a person can mend: exit 1 or 2, and no traceback."""
        env = self._environment(settings)
        done = self.fails("./inv", *words, saying=saying, user=user, env=env, seconds=seconds)
        assert done.code in (1, 2), f"This is not the exit status of an error that was foreseen:\n{done}"
        assert "Traceback" not in done.said, f"This should be one line and a cure:\n{done}"
        return done

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        given = {f"INVOKE_{key.upper()}": value for key, value in settings.items()}
        return {**self.settings, **given}

    def begin(self, *argv: str, log: str, env: Mapping[str, str] | None = None) -> None:
        """Start a command and leave it running, its words in a file; a bounded loop, so that it ends by itself."""
        script = 'log=$1; shift; exec "$@" > "$log" 2>&1'
        self.container.exec_run(["sh", "-c", script, "begin", log, *argv], environment=dict(env or {}), detach=True)

    def read(self, path: str) -> str:
        """Return a file's text."""
        return self.does("cat", path).out

    def peek(self, path: str) -> str:
        """Return what a file says so far."""
        return self.silently("cat", path).out

    def write(self, path: str, content: bytes | str, *, owner: int = 0, mode: int = 0o644) -> None:
        """Put a file on the host; its folder must be there."""
        payload = content.encode() if isinstance(content, str) else content
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            member = tarfile.TarInfo(path.rpartition("/")[2])
            member.size, member.mode, member.uid, member.gid = len(payload), mode, owner, owner
            tar.addfile(member, io.BytesIO(payload))
        assert self.container.put_archive(path.rpartition("/")[0] or "/", buffer.getvalue())

    def wait_for(self, what: str, condition: Callable[[], bool], *, seconds: float = 60) -> None:
        """Ask again and again until a condition holds."""
        begun = time.monotonic()
        _await(self.name, what, condition, seconds)
        LOG.info("%-11s %5.1f s  (%s)", self.name, time.monotonic() - begun, what)

    def answers(self) -> bool:
        """Whether the engine answers."""
        there = ["curl", "--silent", "--unix-socket", "/run/docker.sock", "http://engine/_ping"]
        return self.silently(*there).code == 0

    def wait(self) -> None:
        """Wait for the engine."""
        _await(self.name, "the engine answers", self.answers, 60)

    def import_image(self, archive: str, reference: str, program: str) -> None:
        """Make an image of a file on the host; it runs one program."""
        done = self.silently("docker", "import", "--change", f'ENTRYPOINT ["{program}"]', archive, reference)
        assert done.code == 0, f"{archive} did not become an image:\n{done}"

    def containers(self) -> dict[str, str]:
        """Return the engine's running containers, their numbers by name."""
        lines = self.does("docker", "ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}").out.split()
        return dict(zip(lines[::2], lines[1::2], strict=True))

    def lose_power(self) -> None:
        """End everything on the host at once and start it again, as after a power cut."""
        self.container.restart(timeout=0)
        self.wait()

    def move(self, address: str) -> None:
        """Take the host off the network and bring it back with another address."""
        self.network.disconnect(self.container)
        self.network.connect(self.container, aliases=[self.name, self.domain_name], ipv4_address=address)


def _await(name: str, what: str, condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{name}: {what} did not come within {seconds:.0f} s"
        time.sleep(0.1)


def _text(stream: bytes | None) -> str:
    return (stream or b"").decode(errors="replace")


def shown(argv: Sequence[str]) -> str:
    """Return a command as one short line of progress."""
    line = shlex.join(argv).replace("\n", " ")
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
