"""Files of templates: rendered when they are asked for, and told apart before that."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import jinja2
import pytest

from tests.conftest import ROOT
from trusted_registry import templates
from trusted_registry.templates import Rendered

if TYPE_CHECKING:
    from pathlib import Path

VALUES = {"hosts": ["a", "b"], "manager": "192.168.0.12", "token": "1"}
NAME = "swarm-join.sh"


def test_a_file_is_rendered_from_its_template() -> None:
    assert Rendered(NAME, **VALUES).content == templates.render(NAME, **VALUES).encode()


def test_two_files_of_equal_templates_and_values_have_one_digest() -> None:
    assert Rendered(NAME, **VALUES).digest == Rendered(NAME, **dict(reversed(VALUES.items()))).digest


@pytest.mark.parametrize("other", [{"token": "2"}, {"hosts": ["b", "a"]}, {"hosts": []}, {"more": None}])
def test_another_value_is_another_digest(other: dict[str, object]) -> None:
    assert Rendered(NAME, **VALUES).digest != Rendered(NAME, **{**VALUES, **other}).digest


def test_another_template_is_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Rendered(NAME, **VALUES).digest
    changed = shutil.copytree(templates.FOLDER, tmp_path / "templates") / f"{NAME}.j2"
    monkeypatch.setattr(templates, "FOLDER", changed.parent)
    assert Rendered(NAME, **VALUES).digest == before
    changed.write_text(f"{changed.read_text()}# more\n")
    assert Rendered(NAME, **VALUES).digest != before


def test_a_value_that_is_missing_is_a_bug_that_shows_when_the_file_is_rendered() -> None:
    with pytest.raises(jinja2.UndefinedError):
        _ = Rendered(NAME).content


@pytest.mark.process
@pytest.mark.parametrize(("asked", "loaded"), [("digest", False), ("content", True)])
def test_jinja_is_loaded_for_the_content_alone(asked: str, loaded: bool) -> None:  # noqa: FBT001 - a parameter of the test
    code = (
        "import sys; from trusted_registry.templates import Rendered\n"
        f"Rendered({NAME!r}, **{VALUES!r}).{asked}; print('jinja2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{loaded}\n"


@pytest.mark.parametrize(
    "name", ["registry.yml", "start.sh", "mirror.sh", "haproxy.cfg", "splitter.cfg", "swarm-front.cfg"]
)
def test_a_template_of_an_instance_is_one_file_as_its_digest_takes_it_to_be(name: str) -> None:
    text = (templates.FOLDER / f"{name}.j2").read_text()
    assert re.search(r"{%-? *(include|import|extends|from) ", text) is None
