"""The bench's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import catalogue, options

TITLES = {measure.name: measure.title for measure in catalogue.MEASURES}
FILE = Path("bench.json")


def _refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        options.parse(words, TITLES, FILE)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_all_are_measured_by_default() -> None:
    chosen = options.parse([], TITLES, FILE)
    quick = ("list", "up", "again", "cert", "trust", "kit", "tls", "front", "gap")
    assert chosen.only == (*quick, "images", "carry", "mirror", "bucket", "hosts")
    assert (chosen.runs, chosen.json, chosen.picture) == (7, FILE, False)


def test_only_those_that_are_named_are_measured_in_the_order_of_all() -> None:
    assert options.parse(["--only", "cert, up,cert"], TITLES, FILE).only == ("up", "cert")


@pytest.mark.parametrize(("name", "near"), [("certs", "cert"), ("trsut", "trust"), ("host", "hosts"), ("TLS", "tls")])
def test_an_unknown_measure_ends_with_2_and_the_nearest_name(
    capsys: pytest.CaptureFixture[str], name: str, near: str
) -> None:
    said = _refused(capsys, "--only", f"up,{name}")
    assert f"there is no measure '{name}'; did you mean {near}?" in said


def test_no_name_at_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no measure is named" in _refused(capsys, "--only", ",")


def test_fewer_runs_than_make_a_median_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "fewer than 5 say little" in _refused(capsys, "--runs", "4")


def test_a_file_that_could_not_be_written_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = _refused(capsys, "--json", str(tmp_path / "missing" / "bench.json"))
    assert f"there is no folder {tmp_path / 'missing'}" in said


def test_the_help_names_every_measure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parse(["--help"], TITLES, FILE)
    said = capsys.readouterr().out
    assert [name for name, title in TITLES.items() if f"  {name:7} {title}\n" not in said] == []
