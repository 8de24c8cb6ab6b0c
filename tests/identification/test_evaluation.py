"""Evaluation of models: rollouts, errors and energies."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State
from lagdyna.data import Trajectory, TrajectorySet
from lagdyna.identification import energy_drift, motions, rollout_errors
from lagdyna.mechanics import FixedActuation, MechanicalSystem
from lagdyna.simulate import LagrangianField, LearnedModel, SolvedTransition
from lagdyna.systems import Pendulum

from ..helpers import random_delan
from .small import ANGLE


def test_energy_and_rollout_errors_are_those_of_mechanics(x64: None) -> None:
    """A free swing from 0.1 rad off upright, under the true and under too much gravity."""
    t = 0.05 * np.arange(60)

    def model(gravity: float, solver: str = "dopri8") -> LearnedModel:
        system = MechanicalSystem(Pendulum.rod(gravity=gravity), ANGLE, FixedActuation(((),)))
        return LearnedModel(
            SolvedTransition(LagrangianField(system), ANGLE, 0.05, solver=solver)
        )

    start, nothing = State(jnp.asarray([0.1]), jnp.zeros(1)), np.zeros((60, 0))
    path = model(10.0).rollout(start, jnp.zeros((59, 0)))
    q, qd = np.asarray(path.q), np.asarray(path.qd)
    swing = TrajectorySet([Trajectory(t, q, qd)])
    truth = motions(model(10.0), swing, [nothing])
    drift = energy_drift(truth)
    assert drift is not None
    kinetic = qd[:, 0] ** 2 / 6  # of a rod of 1 kg and 1 m
    assert drift["joules"] == pytest.approx(kinetic.max(), rel=1e-9)
    assert max(drift["data"], drift["rollout"]) < 1e-6
    wrong = motions(model(20.0), swing, [nothing])
    drift = energy_drift(wrong)
    assert drift is not None
    # The data keep T + 5 cos(q); the energy of this model has 5 cos(q) more.
    more = 5 * (np.cos(q[:, 0]) - np.cos(0.1))
    assert drift["data"] == pytest.approx(np.sqrt(np.mean(more**2)) / kinetic.max(), rel=1e-4)
    assert drift["rollout"] < 1e-4
    errors = rollout_errors(wrong, ANGLE, 0.05)
    ahead = model(20.0).rollout(start, jnp.zeros((10, 0)))
    at = errors["horizon"].index(10)
    assert errors["seconds"][at] == pytest.approx(0.5)
    assert errors["q"][at][0] == pytest.approx(abs(float(ahead.q[10, 0] - q[10, 0])), rel=1e-9)


def test_trajectories_of_other_lengths_share_their_programs(
    recordings: TrajectorySet, compilations: Callable[[], int]
) -> None:
    delan = random_delan(0, (True,))
    system = MechanicalSystem(delan, ANGLE, FixedActuation(((1.0,),)))
    model = LearnedModel(SolvedTransition(LagrangianField(system), ANGLE, 0.05))
    pieces = [recordings[0].between(0, rows) for rows in (33, 34, 37, 40)]
    controls = [np.asarray(piece.tau) for piece in pieces]
    alone = motions(model, TrajectorySet(pieces[:1]), controls[:1])
    before = compilations()
    several = motions(model, TrajectorySet(pieces[1:]), controls[1:])
    # Slicing an array to its length is a small program of its own; the model's are shared.
    assert compilations() - before <= 4 * len(several)
    assert [len(motion.t) for motion in (*alone, *several)] == [33, 34, 37, 40]
    for motion in several:
        np.testing.assert_allclose(motion.predicted.q[:33], alone[0].predicted.q, rtol=1e-5)
