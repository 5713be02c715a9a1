"""Pulls by way of a mirror, empty and full, beside the same from its upstream; the upstream is a registry here."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from bench import images
from bench.relay import relay
from bench.report import Compared, Row
from bench.stand import INV, ROOT, Stand, as_root, output
from bench.timing import BenchError, Side, Spread, in_turn, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.deadline import Pace

UPSTREAM = "upstream.example.org"
"""The upstream's name, which nobody has (RFC 2606)."""
LAYERS, LAYER = 4, 50_000_000
"""Layers of the image, and bytes of each."""
CLIENTS = 10
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_PULLS = """
rm -rf "$3" && mkdir "$3"
for client in $(seq "$1"); do
    skopeo copy --quiet --src-cert-dir "$2" "docker://$4" "dir:$3/$client" &
    pulls="$pulls $!"
done
for pull in $pulls; do wait "$pull" || exit; done
"""


def mirrored(here: Stand, upstream: Stand, pace: Pace) -> list[Row]:
    """Time pulls of 200 MB by one client and by ten, and weigh an idle mirror.

    Args:
        here: The registry with the mirror.
        upstream: The one that is mirrored.
        pace: How often each is timed.
    """
    upstream.clear()
    here.clear()
    output(
        [INV, "cert", "registry.tls"],
        env=upstream.env | {"INVOKE_REGISTRY_NAMES": UPSTREAM, "INVOKE_CERTIFICATE_KEY": here.key},
    )
    images.fill(upstream, _files())
    as_root("sh", "-c", 'cat "$1" >>"$2"', "sh", str(upstream.certificates / "ca.crt"), _BUNDLE)
    with relay(here.host, (here.host, upstream.port)) as proxy, contextlib.ExitStack() as stack:
        env = here.env | {"HTTPS_PROXY": proxy}
        here.inv("up")
        stack.callback(here.inv, "mirror.down", UPSTREAM, "--purge", "--yes")
        output([INV, "mirror.up", UPSTREAM], env=env)
        sides = {"upstream": (upstream, upstream.registry), "mirror": (here, _mirror(here))}
        one, ten = ({it: _pull(here, *sides[it], number) for it in sides} for number in (1, CLIENTS))
        by_one, by_ten = in_turn(one, pace=pace.share(0.3)), in_turn(ten, pace=pace.share(0.6))
        memory = _memory(f"{here.name}-mirror-{UPSTREAM}")
        empty = {"empty": replace(one["mirror"], before=lambda: _empty(here, env))}
        first = in_turn(empty, pace=pace, warm=False)["empty"]
    size, direct = f"{LAYERS * LAYER // 10**6} MB", seconds(by_one["upstream"])
    mirror, all_of_mirror, all_direct = (
        seconds(by_one["mirror"]),
        seconds(by_ten["mirror"]),
        seconds(by_ten["upstream"]),
    )
    asked = ("from its upstream", "s")
    return [
        Row(f"{size} from the mirror", *asked, mirror, direct, Compared.RATIO, 1.1),
        Row(
            f"{size} from the mirror, {CLIENTS} clients at once", *asked, all_of_mirror, all_direct, Compared.RATIO, 1.1
        ),
        Row(f"{size} by way of the empty mirror", *asked, seconds(first), direct, Compared.RATIO),
        Row("memory of an idle mirror", "", "MB", memory, None, Compared.ALONE, 60),
    ]


def _mirror(here: Stand) -> str:
    return str(json.loads(here.inv("mirror.list", "--json"))[0]["mirror"])


def _pull(here: Stand, of: Stand, registry: str, number: int) -> Side:
    """Return pulls of the image by so many clients at once."""
    trusted, into = here.folder / f"trusted-{of.name}", here.folder / "pulled"
    trusted.mkdir(exist_ok=True)
    shutil.copy(of.certificates / "ca.crt", trusted)
    return Side(["sh", "-c", _PULLS, "sh", str(number), str(trusted), str(into), f"{registry}/app:1"], here.env, ROOT)


def _empty(here: Stand, env: Mapping[str, str]) -> None:
    """Have a new mirror that holds nothing."""
    here.inv("mirror.down", UPSTREAM, "--purge", "--yes")
    output([INV, "mirror.up", UPSTREAM], env=dict(env))


def _memory(container: str) -> Spread:
    """Return the memory of a container's programs, in MB: `docker stats` counts the pages of files as well."""
    said = output(["docker", "top", container, "-eo", "pid,rss"])
    try:
        kib = sum(int(line.split()[1]) for line in said.splitlines()[1:])
    except (IndexError, ValueError):
        raise BenchError(f"docker top said {said!r}") from None
    return Spread((kib * 1024 / 1e6,))


def _files() -> Iterator[tuple[str, bytes]]:
    config = b'{"os":"linux","architecture":"amd64"}'
    return images.files_of("app", "1", config, *(os.urandom(LAYER) for _ in range(LAYERS)))
