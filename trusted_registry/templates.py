"""Templates: renders the files of templates/ with checked values, escaped in HTML."""

from __future__ import annotations

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
