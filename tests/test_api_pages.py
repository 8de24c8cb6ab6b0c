"""Every public name stands on its room's page, and pages name nothing that does not exist."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import lagdyna

TOP = Path(__file__).parents[1]
API = TOP / "docs" / "api"
PAGES = [
    *sorted(TOP.glob("docs/**/*.md")),
    *(TOP / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
]
ROOMS = sorted(
    path.parent.name
    for path in (TOP / "lagdyna").glob("[a-z]*/__init__.py")
    if path.parent.name != "cli"  # its page is made from the commands
)


def public_names(room: str) -> set[str]:
    """The names that a room's `__init__.py` exports."""
    tree = ast.parse((TOP / "lagdyna" / room / "__init__.py").read_text(encoding="utf-8"))
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or an attribute or annotated field of one."""
    found, parts = lagdyna, dotted.split(".")[1:]
    for i, part in enumerate(parts):
        if hasattr(found, part):
            found = getattr(found, part)
        elif part in getattr(found, "__annotations__", {}):
            return i == len(parts) - 1
        else:
            try:
                found = importlib.import_module(f"{found.__name__}.{part}")
            except (AttributeError, ImportError):
                return False
    return True


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_stand_on_the_page_of_their_room(room: str) -> None:
    page = (API / f"{room}.md").read_text(encoding="utf-8")
    # Constants stand in a table, all others have an entry.
    entry = rf"^(?:::: |\| `)lagdyna\.{room}\.(\w+)"
    entries = re.findall(entry, page, flags=re.MULTILINE)
    assert len(entries) == len(set(entries))
    assert set(entries) == public_names(room)


def test_every_room_has_a_page_in_the_navigation() -> None:
    navigation = (TOP / "mkdocs.yml").read_text(encoding="utf-8")
    assert {path.stem for path in API.glob("*.md")} == {*ROOMS, "lagdyna"}
    for name in (*ROOMS, "lagdyna"):
        assert f"api/{name}.md" in navigation


def test_short_forms_stand_on_the_page_of_the_package() -> None:
    page = (API / "lagdyna.md").read_text(encoding="utf-8")
    for name in set(dir(lagdyna)) - set(ROOMS):
        assert f"lagdyna.{name}" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_pages_name_nothing_that_does_not_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/.-])lagdyna(?:\.[A-Za-z_]\w*)+", text))
    if page.stem == "CHANGELOG":  # it also names what was removed
        named = {name for name in named if not name.startswith("lagdyna.experiments")}
        named -= {f"lagdyna.agents.{name}" for name in REMOVED}
    assert [name for name in sorted(named) if not exists(name)] == []


REMOVED = ("Behaviour", "clipped", "mixed_starts", "promising_states", "pushed_states")


@pytest.mark.parametrize("room", [*ROOMS, "lagdyna"])
def test_pages_open_with_a_link_to_the_page_that_uses_the_room(room: str) -> None:
    opening = (API / f"{room}.md").read_text(encoding="utf-8").splitlines()[2]
    assert re.match(r"\[[^\]]+\]\(\.\./(concepts|guides|reference|results)/[\w-]+\.md", opening)
