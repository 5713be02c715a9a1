"""The page of mirrors: what comes first comes before, the second start proves, and its sample is what is printed."""

from __future__ import annotations

import inspect
import re

from tests.docs.pages import ROOT, TEXTS, commands
from trusted_registry.mirror import proving
from trusted_registry.tasks import mirror_holdings

PAGE = ROOT / "docs" / "mirror.md"


def test_the_registry_s_certificate_comes_before_its_mirrors_and_the_line_that_proves_them_after() -> None:
    assert commands(PAGE)[:2] == ["./inv mirror.up docker.io,ghcr.io", "./inv mirror.up docker.io"]
    assert "./inv up" in TEXTS[PAGE].partition("```")[0]


def test_the_proof_on_the_page_is_what_the_task_prints() -> None:
    words = inspect.getsource(proving)
    for line in re.findall(r"^proof: .*$", TEXTS[PAGE], re.MULTILINE):
        said = line.replace("docker.io/library/hello-world:latest", "{reference}").replace("every part", "{all_}")
        assert f'f"{said}"' in words


def test_the_sample_of_the_list_has_its_columns() -> None:
    assert "  ".join(mirror_holdings._COLUMNS) in re.sub(r" {2,}", "  ", TEXTS[PAGE])
