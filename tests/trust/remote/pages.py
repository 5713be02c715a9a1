"""Reads the page that is offered, as a browser would."""

from __future__ import annotations

import html.parser
from typing import TYPE_CHECKING

from tests.trust import sample
from trusted_registry.trust.remote import page

if TYPE_CHECKING:
    from collections.abc import Sequence

KIT = b"#!/bin/sh\nprintf 'trusted %s' \"$*\" > done\n"
NAME = "trust-192.168.0.12-eeacef9c0f43815d.sh"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Element:
    """A part of a page: its tag, its attributes, and all the text in it."""

    def __init__(self, tag: str, attributes: dict[str, str], parents: tuple[Element, ...]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.parents = parents
        self.text = ""


class Read(html.parser.HTMLParser):
    """Reads a page, and insists that every element is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        made = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        self.elements.append(made)
        if tag not in VOID:
            self._open.append(made)

    def handle_endtag(self, tag: str) -> None:
        """End the innermost element, which must be this one."""
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        """Keep a text in all that it is in."""
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        """Return the elements of some tags, in their order."""
        return [element for element in self.elements if element.tag in tags]

    def boxes(self, section: str = "") -> list[str]:
        """Return what is to be typed, in a section or everywhere."""
        return [it.text for it in self.all("pre") if not section or _is_in(it, section)]


def _is_in(element: Element, section: str) -> bool:
    return any(it.attributes.get("aria-labelledby") == section for it in element.parents)


def rendered(
    *registry_hosts: str,
    registry_host: str = "192.168.0.12",
    kit: bytes = KIT,
    name: str = NAME,
    images: Sequence[tuple[str, str]] = (),
) -> bytes:
    return page.render(sample.anchor(*registry_hosts), registry_host, kit=kit, kit_name=name, images=images)
