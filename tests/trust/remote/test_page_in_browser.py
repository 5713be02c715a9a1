"""The page as a browser shows it, on a phone and on a desk: `nox -s browser`, where Chromium is installed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.browser import MEASURE, browser
from tests.trust import sample
from tests.trust.remote.pages import NAME, rendered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser import Browser

pytestmark = [pytest.mark.process, pytest.mark.browser]
SIZES = {"phone": (390, 844), "small phone": (320, 640), "desk": (1280, 900)}
each = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page, saved; with a long kit and names as long as they get."""
    saved = tmp_path_factory.mktemp("page") / "trust.html"
    long = f"{'a' * 60}.{'b' * 60}.{'c' * 60}.local"
    names = (long, f"{long}:65535", "192.168.0.12", "[fd00::12]")
    saved.write_bytes(rendered(*names, registry_host=long, kit=b"#!/bin/sh\n" * 4000))
    return saved.as_uri()


@pytest.fixture(scope="module")
def url_of_200(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page with 200 images, some with names as long as they get."""
    saved = tmp_path_factory.mktemp("images") / "trust.html"
    images = [(f"team-{number}/{'application' * (number % 20 + 1)}:{number}", "12.3 MB") for number in range(200)]
    saved.write_bytes(rendered(images=images))
    return saved.as_uri()


@pytest.fixture
def seen() -> Iterator[Browser]:
    """A browser of the test's own."""
    with browser() as made:
        yield made


@each
def test_nothing_but_code_is_wider_than_the_screen(size: tuple[int, int], seen: Browser, url: str) -> None:
    seen.open(url, *size)
    found = seen.evaluate(MEASURE)
    assert (found["width"], found["scrolls"], found["sticks_out"]) == (size[0], size[0], [])


@each
def test_200_images_are_listed_folded_and_each_has_its_lines(
    size: tuple[int, int], seen: Browser, url_of_200: str
) -> None:
    seen.open(url_of_200, *size)
    assert seen.evaluate("document.querySelectorAll('details.image').length") == 200
    assert seen.evaluate("document.documentElement.scrollHeight") <= 5500, "nobody unfolded them"
    seen.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true; })")
    found = seen.evaluate(MEASURE)
    assert (found["width"], found["scrolls"], found["sticks_out"]) == (size[0], size[0], [])
    assert (found["buttons"], found["smallest"] >= 13) == (found["boxes"], True)
    line = """[...document.querySelectorAll("details.image")][7].innerText"""
    shown = f"team-7/{'application' * 8}:7"
    assert all(
        it in seen.evaluate(line) for it in (f"docker pull 192.168.0.12/{shown}", f"image: 192.168.0.12/{shown}")
    )


def test_the_measure_would_notice_what_sticks_out(seen: Browser, url: str) -> None:
    seen.open(url, *SIZES["phone"])
    seen.evaluate("document.querySelector('h1').style.width = '900px'")
    found = seen.evaluate(MEASURE)
    assert (found["scrolls"] > 390, len(found["sticks_out"])) == (True, 1)


@each
def test_the_fingerprint_that_is_shown_is_the_authority_s(size: tuple[int, int], seen: Browser, url: str) -> None:
    seen.open(url, *size)
    assert seen.evaluate(MEASURE)["fingerprint"] == sample.SHA256
    assert seen.evaluate("document.getElementById('fingerprint').innerText").split() == page_lines()


def page_lines() -> list[str]:
    """Return the fingerprint as four lines."""
    return [sample.SHA256[at : at + 24] for at in range(0, 95, 24)]


@each
def test_no_text_is_too_small_to_read(size: tuple[int, int], seen: Browser, url: str) -> None:
    seen.open(url, *size)
    assert seen.evaluate(MEASURE)["smallest"] >= 13


@pytest.mark.parametrize("size", [SIZES["phone"], SIZES["desk"]], ids=["phone", "desk"])
def test_unfolded_by_nobody_it_is_short_and_no_command_is_hidden_by_its_button(
    size: tuple[int, int], seen: Browser, url: str
) -> None:
    seen.open(url, *size)
    hidden = """[...document.querySelectorAll(".box")].filter(box => {
      const [button, text] = ["button", "pre"].map(it => box.querySelector(it).getBoundingClientRect());
      return button.bottom > text.top; }).length"""
    assert (seen.evaluate("document.documentElement.scrollHeight") <= 5000, seen.evaluate(hidden)) == (True, 0)


@pytest.mark.parametrize(("system", "mine"), [("Win32", "windows"), ("MacIntel", "macos"), ("Linux x86_64", "linux")])
def test_the_reader_s_own_system_is_the_first_and_the_one_that_is_unfolded(
    system: str, mine: str, seen: Browser, url: str
) -> None:
    seen.call("Emulation.setUserAgentOverride", userAgent="a browser", platform=system)
    seen.open(url, *SIZES["desk"])
    opened = """[...document.querySelectorAll("section > details[open]")].map(it => it.querySelector("h2").id)"""
    first = """document.querySelectorAll("main > section")[1].getAttribute("aria-labelledby")"""
    assert (seen.evaluate(first), seen.evaluate(opened)) == (mine, [mine])


def test_it_is_dark_at_night(seen: Browser, url: str) -> None:
    papers = []
    for dark in (False, True):
        seen.open(url, *SIZES["phone"], dark=dark)
        papers.append(seen.evaluate(MEASURE)["paper"])
    assert papers == ["rgb(255, 255, 255)", "rgb(20, 23, 28)"]


def test_each_command_can_be_copied_without_a_secure_context(seen: Browser, url: str) -> None:
    seen.open(url, *SIZES["desk"])
    found = seen.evaluate(MEASURE)
    assert found["buttons"] == found["boxes"] > 20
    copied = """(() => { let said = ""; document.addEventListener("copy", () => { said = getSelection().toString(); });
      document.querySelector("[aria-labelledby=linux] .box button").click(); return said; })()"""
    assert seen.evaluate(copied).splitlines()[-1] == f"sudo sh {NAME}"


def test_without_scripts_everything_is_there_but_the_buttons(seen: Browser, url: str) -> None:
    seen.call("Emulation.setScriptExecutionDisabled", value=True)
    seen.open(url, *SIZES["phone"])
    document = seen.call("DOM.getDocument", depth=-1)["root"]["nodeId"]
    found = {
        name: len(seen.call("DOM.querySelectorAll", nodeId=document, selector=name)["nodeIds"])
        for name in ("button", "pre", "a[download]")
    }
    assert (found["button"], found["pre"] > 20, found["a[download]"]) == (0, True, 2)


def test_on_paper_all_of_a_command_is_seen_and_nothing_to_press(seen: Browser, url: str) -> None:
    seen.open(url, 700, 1000, media="print")
    hidden = """[...document.querySelectorAll("pre")].filter(it => it.scrollWidth > it.clientWidth + 1).length"""
    pressed = """[...document.querySelectorAll("button, nav, .get")].filter(it => it.offsetParent).length"""
    assert (seen.evaluate(hidden), seen.evaluate(pressed)) == (0, 0)


def test_nothing_is_fetched_and_nothing_refused(seen: Browser, url: str) -> None:
    seen.open(url, *SIZES["phone"])
    asked = seen.evaluate("performance.getEntriesByType('resource').map(it => it.name)")
    assert (asked, seen.refused) == ([], [])


def test_a_picture_of_it_can_be_taken(seen: Browser, url: str, tmp_path: Path) -> None:
    seen.open(url, *SIZES["phone"])
    seen.picture(tmp_path / "phone.png")
    head = (tmp_path / "phone.png").read_bytes()[:24]
    assert (head[:8], struct.unpack(">II", head[16:24])) == (b"\x89PNG\r\n\x1a\n", (390, 844))
