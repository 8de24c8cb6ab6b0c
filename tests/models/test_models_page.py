"""Test that the tests named on the pages of concepts exist."""

import re
from pathlib import Path

TOP = Path(__file__).parents[2]
CONCEPTS = TOP / "docs" / "concepts"


def test_every_test_that_the_pages_name_is_there() -> None:
    named = {
        page.stem: re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8"))
        for page in CONCEPTS.glob("*.md")
    }
    assert len(named["models"]) == 9
    assert len(named["transitions"]) == 1
    for found in named.values():
        for file, name in found:
            assert f"def {name}(" in (TOP / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_every_tick_of_the_table_of_models_names_a_test() -> None:
    page = (CONCEPTS / "models.md").read_text(encoding="utf-8")
    ticked = {int(number) for number in re.findall(r"\[(\d)\]", page)}
    listed = {int(number) for number in re.findall(r"^(\d)\. ", page, flags=re.MULTILINE)}
    assert ticked == listed == set(range(1, 10))
