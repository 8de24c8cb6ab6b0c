"""Fits by filters, their posteriors and the calibration."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.identification import fit_problem
from lagdyna.parts import (
    AutoFilterConfig,
    BlockEKFConfig,
    DeLaNConfig,
    EKFConfig,
    LowRankEKFConfig,
    NeuralODEConfig,
    ParticleConfig,
    UKFConfig,
)
from lagdyna.runs import fit_model, load_fit
from lagdyna.simulate import LearnedModel

from .small import small

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.mark.parametrize(
    "learner",
    [
        EKFConfig(updates=20, batch=4),
        LowRankEKFConfig(updates=20, batch=4),
        UKFConfig(updates=20, batch=4),
        ParticleConfig(updates=20, batch=4, particles=8),
    ],
    ids=lambda learner: learner.name,
)
def test_a_filter_leaves_a_posterior(file: Path, tmp_path: Path, learner: Any) -> None:
    # Of the models with accelerations, the one whose programs are shortest.
    config = small(file, model=NeuralODEConfig(hidden=(4,)), learner=learner)
    report = fit_model(config, tmp_path / "run")
    assert np.isfinite(report["loss_training"])
    found = load_fit(tmp_path / "run")
    assert found.report == report
    assert all(np.isfinite(record["log_evidence"]) for record in found.records)
    # The posterior is that of the model, with the temperature in the report.
    assert found.posterior is not None
    q = qd = tau = jnp.asarray([0.3])

    def acceleration(model: LearnedModel) -> Array:
        return model.forward_dynamics(q, qd, tau)

    prediction = eqx.filter_jit(found.posterior.predict)(acceleration)
    calibration = report["calibration"]
    assert float(found.posterior.temperature) == pytest.approx(calibration["temperature"])
    assert float(prediction.covariance[0, 0]) > 0
    if learner.name.startswith("ekf"):
        np.testing.assert_array_equal(prediction.mean, acceleration(found.model))


def test_the_intervals_of_the_posterior_have_their_coverage(
    recordings: TrajectorySet, tmp_path: Path
) -> None:
    """For noisy accelerations, on trajectories that were not learned from."""
    path = tmp_path / "noisy.npz"
    rng = np.random.default_rng(0)
    noisy = [
        Trajectory(
            **{**each.arrays, "qdd": each.arrays["qdd"] + 0.5 * rng.normal(size=(each.rows, 1))}
        )
        for each in recordings
    ]
    write(path, TrajectorySet(noisy))
    config = small(
        path,
        model=DeLaNConfig(hidden=(16,)),
        learner=EKFConfig(updates=300, batch=16),
    )
    report = fit_model(config, tmp_path / "run")
    found, level = report["calibration"], np.array([0.5, 0.9, 0.99])
    assert found["levels"] == level.tolist()
    # Every other row of the validation data was counted.
    deviation = np.sqrt(level * (1 - level) / (report["validation"]["rows"] // 2))
    assert np.all(np.abs(found["coverage"] - level) < 2.5 * deviation)
    # The noise that was found is the noise that was added.
    size = np.sqrt(np.mean([np.mean(each.arrays["qdd"] ** 2) for each in noisy]))
    np.testing.assert_allclose(np.sqrt(found["noise"]) * size, [0.5], rtol=0.15)


def test_auto_is_the_full_filter_for_few_weights_and_blocks_for_many(file: Path) -> None:
    def learner(hidden: int) -> Any:
        model = DeLaNConfig(hidden=(hidden, hidden))
        config = small(file, model=model, learner=AutoFilterConfig(updates=1, batch=4))
        return fit_problem(config).config.learner

    assert learner(4) == EKFConfig(updates=1, batch=4)
    assert learner(70) == BlockEKFConfig(updates=1, batch=4, blocks="layer")
