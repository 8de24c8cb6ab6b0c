"""Structure of the library: imports run one way, files and rooms stay small."""

import ast
import functools
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import lagdyna

PACKAGE = Path(lagdyna.__file__).parent

# A room may import those of the levels before its own.
LEVELS = (
    ("tables",),
    ("runtime",),
    ("statistics",),
    ("mechanics",),
    ("systems",),
    ("models",),
    ("simulate",),
    ("control",),
    ("data",),
    ("learners",),
    ("regressor",),
    ("filters",),
    ("options",),
    ("tasks",),
    ("scores",),
    ("checks",),
    ("agents",),
    ("results",),
    ("plot",),
    ("parts",),
    ("config",),
    ("progress",),
    ("training", "identification", "excitation"),  # independent of each other
    ("reports",),
    ("runs",),
    ("export", "logs", "worlds", "sweeps", "reproductions"),  # independent of each other
    ("cli",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def room_of(module: str) -> str | None:
    """The room of a module; `None` for the modules beside the rooms."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else None


def statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a module, within functions too, except those for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for other in node.orelse:
                yield from statements(ast.Module([other], []))
        else:
            yield from statements(node)


@functools.cache
def imported(module: str) -> set[str]:
    """The modules of lagdyna that a module imports, by their full names."""
    path, found = FILES[module], set()
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            outer = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*outer, *(node.module or "").split(".")]).rstrip(".")
            inner = [f"{source}.{alias.name}" for alias in node.names]
            names = [name if name in FILES else source for name in inner]
        found |= {name for name in names if name in FILES}
    return found


def test_every_folder_is_a_room() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if [*path.glob("*.py")]}
    assert folders == set(LEVEL)


@pytest.mark.parametrize("room", LEVEL)
def test_imports_run_one_way(room: str) -> None:
    wrong = [
        f"{module} imports {other}"
        for module in FILES
        if room_of(module) == room
        for other in imported(module)
        if room_of(other) not in (None, room) and LEVEL[room_of(other) or ""] >= LEVEL[room]
    ]
    assert not wrong


def test_modules_beside_the_rooms_import_no_room() -> None:
    """Except for the entry point."""
    wrong = [
        f"{module} imports {other}"
        for module in FILES
        if room_of(module) is None and module != "lagdyna.__main__"
        for other in imported(module)
        if room_of(other) is not None
    ]
    assert not wrong


def test_no_modules_import_each_other_in_a_circle() -> None:
    """A package does not count as imported by its own modules."""
    edges = {
        module: {
            other for other in imported(module) if not f"{module}.".startswith(f"{other}.")
        }
        for module in FILES
    }
    graphlib.TopologicalSorter(edges).prepare()  # raises an error that names the circle


def test_no_file_is_long() -> None:
    lengths = {
        name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in FILES.items()
    }
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_room_is_large() -> None:
    lengths = dict.fromkeys(LEVEL, 0)
    for name, path in FILES.items():
        room = room_of(name)
        if room in lengths:
            lengths[room] += len(path.read_text(encoding="utf-8").splitlines())
    tenth = sum(lengths.values()) / 10
    assert {room: length for room, length in lengths.items() if length > tenth} == {}
