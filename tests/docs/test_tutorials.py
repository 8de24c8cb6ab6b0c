"""Tutorials run at small sizes, and their pages are made of the present scripts."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "tutorials"
NAMES = [path.stem for path in sorted(FOLDER.glob("*.py")) if path.stem != "build"]
LONG = ("compare-and-extend", "robot-arm", "swap-parts", "double-pendulum-log", "filters")
EXTRAS = {"robot-arm": "mujoco"}


@pytest.fixture(scope="module")
def build() -> ModuleType:
    pytest.importorskip("jupytext")
    spec = importlib.util.spec_from_file_location("build_tutorials", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def no_figures(no_pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and fits draw nothing and write no report, which other tests look at."""
    monkeypatch.setattr("lagdyna.runs._fit_updates.draw_fit", lambda *_: None)
    monkeypatch.setattr("lagdyna.runs._directory.try_report", lambda *_: [])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, and no windows for figures."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    backend = pyplot.get_backend()
    pyplot.switch_backend("Agg")
    yield tmp_path
    pyplot.close("all")
    pyplot.switch_backend(backend)


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] if x in LONG else []) for x in NAMES]
)
def test_a_tutorial_runs(name: str, build: ModuleType, folder: Path) -> None:
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    build.run_cells(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_has_the_cells_of_the_script(name: str, build: ModuleType) -> None:
    nbformat = pytest.importorskip("nbformat")
    stored = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells
    present = build.notebook_of(name).cells
    rebuild = f"run `python docs/tutorials/build.py {name}`"
    assert [x.source for x in stored] == [x.source for x in present], rebuild
    assert [x.cell_type for x in stored] == [x.cell_type for x in present]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_the_notebook(name: str, build: ModuleType) -> None:
    nbformat = pytest.importorskip("nbformat")
    text, pictures = build.page(name, nbformat.read(FOLDER / f"{name}.ipynb", as_version=4))
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == text
    for picture, data in pictures.items():
        assert (FOLDER / picture).read_bytes() == data


def test_every_tutorial_is_built_and_listed(build: ModuleType) -> None:
    assert sorted(build.NAMES) == NAMES
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"]({name}.md)" in index
