"""The measures by name: what each needs, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import bucket, carry, fronted, gap, hosts, images, kit, measures, mirrors
from bench.programs import (
    CURL,
    IP,
    NSENTER,
    OPENSSL,
    SKOPEO,
    SSH_KEYGEN,
    SSHD,
    UNSHARE,
    ansible,
    engine,
    own_etc,
    rootful_engine,
    s3,
    s_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.deadline import Pace
    from bench.programs import Need
    from bench.report import Row
    from bench.stand import Stand


@dataclass
class Setup:
    """What the measures work with.

    Args:
        small: A registry with a P-256 key.
        large: One with an rsa:4096 key.
        picture: Whether `hosts` draws its picture.
        image: The registry's own, once it is known.
        no_image: Why it cannot be had, once that is known.
    """

    small: Stand
    large: Stand
    picture: bool = False
    image: str = field(default="", init=False)
    no_image: str = field(default="", init=False)


@dataclass(frozen=True)
class Measure:
    """A measure.

    Args:
        name: What `--only` calls it.
        title: What it times.
        limit: Seconds after which it is interrupted; no further run begins that would end after two thirds of them.
        needs: Looks for what it needs.
        rows: Measures.
        image: Whether the registry's image must be there.
    """

    name: str
    title: str
    limit: float
    needs: tuple[Need, ...]
    rows: Callable[[Setup, Pace], Iterable[Row]]
    image: bool = False


MEASURES = (
    Measure("list", "inv --list", 60, (), lambda setup, pace: measures.listing(setup.small, pace)),
    Measure(
        "up",
        "inv up",
        120,
        (engine, rootful_engine, OPENSSL, CURL, own_etc),
        lambda setup, pace: measures.up(setup.small, setup.image, pace),
        image=True,
    ),
    Measure(
        "again",
        "inv up again",
        60,
        (engine, rootful_engine, own_etc),
        lambda setup, pace: measures.again(setup.small, pace),
        image=True,
    ),
    Measure("cert", "inv cert", 60, (OPENSSL,), lambda setup, pace: measures.cert(setup.small, pace)),
    Measure("trust", "inv trust.linux", 75, (UNSHARE,), lambda setup, pace: measures.trust(setup.small, pace)),
    Measure("kit", "the kit", 30, (), lambda setup, pace: kit.alone(setup.small, pace)),
    Measure(
        "tls",
        "new TLS connections",
        75,
        (engine, s_time),
        lambda setup, pace: measures.handshakes((setup.small, setup.large), pace),
        image=True,
    ),
    Measure(
        "front",
        "a front before the registry",
        150,
        (engine, rootful_engine, s_time, own_etc),
        lambda setup, pace: fronted.rates(setup.small, setup.image, pace),
        image=True,
    ),
    Measure(
        "gap",
        "the gap at a renewal",
        100,
        (engine, own_etc, IP, NSENTER, UNSHARE),
        lambda setup, pace: gap.renewal(setup.small, pace),
        image=True,
    ),
    Measure(
        "images",
        "images of a large registry",
        240,
        (engine, rootful_engine, CURL, own_etc),
        lambda setup, pace: images.large(setup.small, pace, picture=setup.picture),
        image=True,
    ),
    Measure(
        "carry",
        "images in a file",
        420,
        (engine, rootful_engine, SKOPEO, own_etc),
        lambda setup, pace: carry.carried(setup.small, pace),
        image=True,
    ),
    Measure(
        "mirror",
        "a mirror beside its upstream",
        240,
        (engine, rootful_engine, SKOPEO, own_etc),
        lambda setup, pace: mirrors.mirrored(setup.small, setup.large, pace),
        image=True,
    ),
    Measure(
        "bucket",
        "images in a bucket beside a volume",
        240,
        (engine, rootful_engine, own_etc, s3),
        lambda setup, pace: bucket.rates(setup.small, setup.large, pace),
        image=True,
    ),
    Measure(
        "hosts",
        "inv trust.hosts",
        330,
        (ansible, SSHD, SSH_KEYGEN),
        lambda setup, pace: hosts.many(setup.small, pace, picture=setup.picture),
    ),
)
"""In the order in which they are measured: the slowest last."""

PICTURE = 300
"""Seconds that `hosts` may take more where it draws its picture."""
