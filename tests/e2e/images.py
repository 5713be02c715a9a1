"""The hosts' images: made once for what they are made from, and made anew when that changes.

`python -m tests.e2e.images [--rebuild] [SUITE…]` makes them side by side and says how long each took.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import shlex
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import nox.project
from docker.errors import ImageNotFound

from tests.e2e import bases, wheelhouse
from tests.e2e.checkout import ROOT
from tests.e2e.outer import LABEL, OWN, connect
from tests.e2e.suites import DESKTOP, DESKTOP_WHEELS, SUITES
from tests.e2e.trouble import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from docker import DockerClient

    from tests.e2e.suites import Suite

INPUTS = f"{LABEL}.inputs"
"""Label that holds the digest of what an image was made from."""

RECIPE = Path(__file__).parent / "node"
BAKED = ("pyproject.toml", "inv")
"""What of the checkout decides how its environment is made: the rest reaches a host when it starts."""


def name(suite: Suite, *, desktop: bool = False) -> str:
    """Return the image of a suite's hosts, or of those with browsers and Java."""
    return f"{OWN}{'desktop' if desktop else 'node'}:{suite.name}"


def inputs(suite: Suite, *, desktop: bool = False) -> str:
    """Return the digest of everything that a suite's image is made from, its packages by name alone."""
    more = (*DESKTOP, *DESKTOP_WHEELS) if desktop else ()
    digest = hashlib.sha256(repr((suite, suite.packages, wheelhouse.required(), more)).encode())
    for path in (*sorted(RECIPE.iterdir()), *(ROOT / baked for baked in BAKED)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def find(suite: Suite, engine: DockerClient, *, desktop: bool = False) -> bool:
    """Whether the engine has this suite's image, made from what it would be made from today."""
    try:
        found = engine.images.get(name(suite, desktop=desktop))
    except ImageNotFound:
        return False
    return bool(found.labels.get(INPUTS) == inputs(suite, desktop=desktop))


def make(
    suite: Suite, engine: DockerClient, *, rebuild: bool, say: Callable[[str], None], desktop: bool = False
) -> None:
    """Have this suite's image, by making it unless it is there.

    Raises:
        LabError: It cannot be made; the last words of what failed are the reason.
    """
    what = "image with browsers and Java" if desktop else "host image"
    if not rebuild and find(suite, engine, desktop=desktop):
        say(f"{suite.name}: its {what} is there")
        return
    begun = time.monotonic()
    base = bases.make(suite, engine, rebuild=rebuild, say=say)
    say(f"{suite.name}: the base is there after {time.monotonic() - begun:.0f} s")
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), suite, engine, DESKTOP_WHEELS if desktop else ())
        _build(Path(folder), base, suite, engine, desktop=desktop)
    say(f"{suite.name}: {what} made in {time.monotonic() - begun:.0f} s")


def make_all(suites: Iterable[Suite], engine: DockerClient, *, rebuild: bool, say: Callable[[str], None]) -> None:
    """Make several suites' images side by side; unpacking one leaves a core to the next."""
    with ThreadPoolExecutor(max_workers=len(SUITES)) as pool:
        for made in [pool.submit(make, suite, engine, rebuild=rebuild, say=say) for suite in suites]:
            made.result()
    # Only now: what a build has just committed dangles until its next step stands on it.
    prune(engine)


def prune(engine: DockerClient) -> None:
    """Take away the lab's images that others took the names of; no build may run meanwhile."""
    engine.images.prune(filters={"dangling": True, "label": f"{LABEL}=1"})


def _fill(context: Path, suite: Suite, engine: DockerClient, more: Iterable[str]) -> None:
    """Lay out what the recipe copies: its own files, the wheels, and as much of a checkout as ./inv needs."""
    shutil.copytree(RECIPE, context, dirs_exist_ok=True)
    wheelhouse.fetch(context / "wheels", python=suite.python, machine=engine.info()["Architecture"], more=more)
    package = context / "checkout" / "trusted_registry"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for file in BAKED:
        shutil.copy2(ROOT / file, context / "checkout")
    for named_in_pyproject in ("README.md", "LICENSE"):
        (context / "checkout" / named_in_pyproject).touch()


def _build(context: Path, base: str, suite: Suite, engine: DockerClient, *, desktop: bool) -> None:
    tag, more = name(suite, desktop=desktop), " ".join(DESKTOP) if desktop else ""
    events = engine.api.build(
        path=str(context),
        tag=tag,
        buildargs={
            "BASE": base,
            "PACKAGES": " ".join(suite.packages),
            "MORE": more,
            "SUITE": suite.name,
            "OTHER": suite.other,
            "TESTS": _shell_words(),
        },
        labels={INPUTS: inputs(suite, desktop=desktop)},
        network_mode="host",
        rm=True,
        forcerm=True,
        decode=True,
    )
    said: list[str] = []
    for event in events:
        said.append(event.get("stream", "").strip())
        if "error" in event:
            last_words = "\n".join(filter(None, [*said[-8:], event["error"]]))
            raise LabError(f"The image {tag} cannot be made:\n{last_words}")


def _shell_words() -> str:
    """Return the packages that the tests take, as words of a command."""
    project = nox.project.load_toml(ROOT / "pyproject.toml")["project"]
    return shlex.join(it.replace(" ", "") for it in (*project["dependencies"], *wheelhouse.tested_with()))


def main(argv: list[str]) -> int:
    """Make the images named on the command line, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.images", description="Make the lab's host images.")
    parser.add_argument("--rebuild", action="store_true", help="make them anew, from the base up")
    parser.add_argument("suite", nargs="*", choices=[*SUITES, []], help="only these; all of them otherwise")
    given = parser.parse_args(argv)
    wanted = [SUITES[suite] for suite in given.suite or SUITES]
    begun = time.monotonic()
    try:
        with contextlib.closing(connect()) as engine:
            make_all(wanted, engine, rebuild=given.rebuild, say=_say)
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _say(f"host images: {time.monotonic() - begun:.0f} s")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
