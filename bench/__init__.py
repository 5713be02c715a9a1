"""How quick this project is, as ratios to what a person would type by hand: `nox -s bench`."""
