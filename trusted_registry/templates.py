"""Templates: renders the files of templates/ with checked values, escaped in HTML."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "templates"


def render(name: str, **values: object) -> str:
    """Return templates/NAME.j2 rendered with these checked values.

    Raises:
        jinja2.UndefinedError: The template uses an undefined value: a bug of this project.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        # Configuration files are not HTML: settings.py has checked their values.
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",), default=False),
    )
    return environment.get_template(f"{name}.j2").render(values)


class Rendered:
    """A file of a template, rendered when its content is first asked for; until then, Jinja need not be loaded.

    Args:
        name: Name of the template, without `.j2`.
        values: Checked values, each of which JSON can hold.
    """

    def __init__(self, name: str, **values: object) -> None:
        """Return the file that a template makes of these values."""
        self._name, self._values = name, values

    @functools.cached_property
    def content(self) -> bytes:
        """The rendered bytes.

        Raises:
            jinja2.UndefinedError: The template uses an undefined value: a bug of this project.
        """
        return render(self._name, **self._values).encode()

    @property
    def digest(self) -> str:
        """SHA-256 in hex of the template and its values: of other ones if what is rendered differs."""
        template = (FOLDER / f"{self._name}.j2").read_bytes()
        return hashlib.sha256(template + json.dumps(self._values, sort_keys=True).encode()).hexdigest()
