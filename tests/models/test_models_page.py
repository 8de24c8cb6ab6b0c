"""Test that the tests named on the models page exist."""

import re
from pathlib import Path

TOP = Path(__file__).parents[2]


def test_every_test_that_the_page_names_is_there() -> None:
    page = (TOP / "docs" / "concepts" / "models.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) == 10
    for file, name in named:
        assert f"def {name}(" in (TOP / file).read_text(encoding="utf-8"), f"{file}::{name}"
    ticked = {int(number) for number in re.findall(r"\[(\d)\]", page)}
    assert ticked == set(range(1, 10))
