"""A fit refuses or names what is wrong with its recordings."""

from pathlib import Path

import jax
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.config import DataConfig, FitConfig
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.identification import PreparedData, prepare
from lagdyna.identification._pieces import size_notes

from ..data.motions import motion, recordings, together


def prepared(path: Path, **options: object) -> PreparedData:
    options = {"angles": "all", **options}
    return prepare(FitConfig(data=DataConfig(file=str(path), **options)))  # pyright: ignore


def saved(path: Path, *arrays: dict[str, np.ndarray]) -> Path:
    write(path, TrajectorySet([Trajectory(**each) for each in arrays]))
    return path


def test_contradictions_are_refused_unless_they_are_allowed(tmp_path: Path) -> None:
    made = recordings(2)
    for each in made:
        each["qd"][:, 1] *= 30 / np.pi
        each["qdd"][:, 0] *= -1
    path = saved(tmp_path / "rpm.npz", *made)
    with pytest.raises(UserError, match=r"qd1 is 9.5. times .*; qdd0 is -.*`data.unchecked`"):
        prepared(path)
    notes = prepared(path, unchecked=True).notes
    assert any("qd1 in rev/min?" in note for note in notes)
    write(tmp_path / "good.npz", together(recordings(2)))
    assert prepared(tmp_path / "good.npz").notes == []


def test_a_pause_is_not_filled(tmp_path: Path) -> None:
    arrays = motion(0, rows=500)
    arrays["t"][300:] += 3600
    arrays = {name: arrays[name] for name in ("t", "q")}
    data = prepared(saved(tmp_path / "pause.csv", arrays))
    assert sum(part.rows for part in data.steps) == 500
    assert any("the longest of 3600.02 s, split the data into 2" in note for note in data.notes)


def test_one_nan_near_the_end_leaves_enough_to_learn_from(tmp_path: Path) -> None:
    arrays = motion(0, rows=500)
    arrays["t"][494:] += 1  # five rows after a pause
    arrays["q"][480] = np.nan
    path = tmp_path / "nan.csv"
    rows = np.column_stack([arrays[name] for name in ("t", "q", "qd", "tau")])
    np.savetxt(path, rows, delimiter=",", header="t,q0,qd0,tau0", comments="")
    data = prepared(path)
    training, validation = (part.rows for part in data.steps)
    assert 0.1 < validation / (training + validation) < 0.3


def test_short_pieces_are_left_out(tmp_path: Path) -> None:
    made = [{name: motion(k, rows=60)[name] for name in ("t", "q")} for k in range(5)]
    made.append({name: x[:4] for name, x in made[0].items()})
    data = prepared(saved(tmp_path / "short.csv", *made))
    assert data.steps.training.rows + data.steps.validation.rows == 300
    assert any("1 of 6 trajectories, with 4 rows" in note for note in data.notes)
    assert prepared(saved(tmp_path / "all.csv", *made[-1:] * 6)).raw.training.rows == 20
    with pytest.raises(UserError, match=r"`data.dt` was 9, but the longest .* 1.18 s"):
        prepared(tmp_path / "short.csv", dt=9.0)


def test_encoders_are_noted(tmp_path: Path) -> None:
    step = 2 * np.pi / 1024
    made = [{k: motion(seed, rows=300)[k] for k in ("t", "q")} for seed in range(3)]
    for each in made:
        each["q"] = np.round(each["q"] / step) * step
    (note,) = prepared(saved(tmp_path / "encoder.csv", *made)).notes
    assert "rounded to steps of 0.006136 in q0" in note


def test_few_rows_are_said() -> None:
    weights = [jax.ShapeDtypeStruct((3, 4), float), jax.ShapeDtypeStruct((5,), float)]
    few, many = np.zeros((10, 2)), np.zeros((30, 2))
    first, second = size_notes(few, many, 10.0, weights)
    assert "10 rows of training data are fewer than the 17 weights" in first
    assert "10 rows of training data are fewer than the 30 of validation" in second
    assert size_notes(many, few, 30.0, weights) == []
