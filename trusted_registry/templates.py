"""Renders the files of templates/; every value that reaches one was checked in settings.py, and is escaped in HTML."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "templates"


def render(name: str, **values: object) -> str:
    """Return the text of templates/NAME.j2 with these values.

    Raises:
        jinja2.UndefinedError: The template names a value that was not given: a mistake in this project.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        # Configuration files are not HTML: values are checked where they come in.
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",), default=False),
    )
    return environment.get_template(f"{name}.j2").render(values)
