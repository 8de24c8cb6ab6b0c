"""Evaluations of a run's policy on new episodes."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.runs import evaluate
from lagdyna.runs._evaluate import _check_renders
from lagdyna.tasks import get_task

from .. import environments as environments  # registers them

SHORT = dataclasses.replace(get_task("Pendulum-v1"), env_id="lagdyna-tests/ShortPendulum-v0")


@pytest.fixture(scope="module")
def run(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, since evaluations are written into a run."""
    return Path(shutil.copytree(whole, tmp_path_factory.mktemp("evaluate") / "run"))


def test_an_evaluation_is_written_and_never_overwritten(run: Path, tmp_path: Path) -> None:
    first = evaluate(run, episodes=3)
    second = evaluate(run, episodes=3)
    assert first["out"] != second["out"]
    assert first["returns"] == second["returns"]
    assert evaluate(run, episodes=3, seed=1)["returns"] != first["returns"]
    written = evaluate(run, episodes=3, out=tmp_path / "mine")
    found = json.loads((tmp_path / "mine" / "evaluation.json").read_text())
    assert found["return_mean"] == pytest.approx(np.mean(written["returns"]))
    with pytest.raises(UserError, match="not empty"):
        evaluate(run, episodes=3, out=tmp_path / "mine")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "`episodes` was 0: expected `int` >= 1"),
        ({"seed": -1}, "`seed` was -1: expected `int` >= 0"),
        ({"video": "film.avi"}, "`video` was 'film.avi', which ends in '.avi'"),
    ],
)
def test_impossible_options_are_refused(run: Path, options: dict, message: str) -> None:
    before = {path.name for path in run.iterdir()}
    with pytest.raises(UserError, match=message):
        evaluate(run, **options)
    assert before == {path.name for path in run.iterdir()}


def test_a_film_needs_an_environment_that_renders() -> None:
    _check_renders(SHORT)
    still = dataclasses.replace(SHORT, env_id="lagdyna-tests/Still-v0")
    with pytest.raises(UserError, match=r"'lagdyna-tests/Still-v0' draws nothing.*'rgb_array'"):
        _check_renders(still)
