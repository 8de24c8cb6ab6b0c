"""Recordings of a fit: completed, resampled, and with their control."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.config import DataConfig
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.identification import plant_of, prepare, sizes_of
from lagdyna.identification._data import coordinates_of
from lagdyna.mechanics import Coordinates
from lagdyna.runs import fit_model, load_fit

from .small import small

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_consecutive_angles_of_a_chain_are_those_of_its_joints() -> None:
    data = DataConfig(file="arm.npz", angles="all", chain=True)
    assert coordinates_of(data, 2) == Coordinates((True, True), chain=True)
    data = DataConfig(file="arm.npz", angles=(1, 2), chain=True)
    assert coordinates_of(data, 3) == Coordinates((False, True, True), chain=True)


def test_missing_velocities_and_unequal_steps_are_completed(
    recordings: TrajectorySet, tmp_path: Path
) -> None:
    uneven = np.delete(np.arange(41), [5, 17, 18])
    path = tmp_path / "positions.csv"
    write(path, TrajectorySet([Trajectory(x.t[uneven], x.q[uneven]) for x in recordings]))
    report = fit_model(small(path), tmp_path / "run")
    assert report["loss"] == "one-step"
    assert report["control"] is None
    assert report["dt"] == pytest.approx(0.05)
    assert any("velocities were estimated" in note for note in report["notes"])
    assert any("interpolated" in note for note in report["notes"])
    assert report["validation"]["torque"] is None


def test_actions_drive_through_a_known_or_a_learned_map(
    recordings: TrajectorySet, tmp_path: Path
) -> None:
    path = tmp_path / "actions.npz"
    actions = [
        Trajectory(x.t, x.q, x.qd, x.qdd, action=np.asarray(x.tau) / 2) for x in recordings
    ]
    write(path, TrajectorySet(actions))
    for force in (None, ((2.0,),)):
        out = tmp_path / str(force)
        report = fit_model(small(path, data={} if force is None else {"force": force}), out)
        assert report["control"] == "action"
        actuation = load_fit(out).model.system.actuation
        push = actuation(jnp.zeros(1), jnp.ones(1))
        # The known map is rounded by the conversion to natural units and back.
        assert (abs(float(push[0]) - 2.0) < 1e-6) == (force is not None)
    with pytest.raises(UserError, match=r"`data.force`.*1 rows of 1 numbers"):
        fit_model(small(path, data={"force": ((1.0, 2.0),)}), tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_the_plant_has_the_scales_of_the_training_data(file: Path) -> None:
    config = small(file)
    data = prepare(config)
    sizes = sizes_of(config, data)
    plant = plant_of(config, sizes)
    q = np.concatenate([np.diff(x.q, axis=0) for x in data.steps.training])
    qd = np.concatenate([np.diff(np.asarray(x.qd), axis=0) for x in data.steps.training])
    assert plant.step_scale is not None
    np.testing.assert_allclose(plant.step_scale.q, np.sqrt(np.mean(q**2, 0)), rtol=1e-4)
    rms = np.sqrt(np.mean(qd**2, 0))
    np.testing.assert_allclose(plant.step_scale.qd, rms, rtol=1e-4)
    np.testing.assert_allclose(plant.acceleration_scale, rms / 0.05, rtol=1e-4)
    assert (plant.name, plant.dt, plant.substeps) == ("the data", pytest.approx(0.05), 1)
