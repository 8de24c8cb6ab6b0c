"""Learned models behind sensors and motors: measured positions and commands."""

import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, Signals, State
from lagdyna.simulate import (
    LagrangianField,
    LearnedModel,
    SignalTransition,
    SolvedTransition,
    rollout,
)
from lagdyna.systems import Pendulum

ANGLE = Coordinates((True,))
ROD = MechanicalSystem(Pendulum.rod(), ANGLE, FixedActuation(((1.0,),)))


@pytest.mark.usefixtures("x64")
def test_a_learned_model_takes_measured_positions_and_commands() -> None:
    inner = SolvedTransition(LagrangianField(ROD), ANGLE, 0.01, solver="euler")
    signals = Signals(0.01, gain=(0.5,), offset=(0.2,), delay=0.02, position_offset=(0.3,))
    model, plain = LearnedModel(SignalTransition(inner, signals)), LearnedModel(inner)
    assert model.signals is signals
    assert plain.signals is None
    q, qd, qdd = 1.3, 2.0, -1.0
    for name in ("inverse_dynamics", "mass_matrix", "energy"):
        given = {"inverse_dynamics": ([qd], [qdd])}.get(name, ([qd],))
        found, expected = (getattr(x, name)([y], *given) for x, y in ((model, q), (plain, 1.0)))
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    # The command that causes an acceleration is that of the torque, back through the motor.
    command = signals.command(model.inverse_dynamics([q], [qd], [qdd]))
    np.testing.assert_allclose(model.forward_dynamics([q], [qd], command), [qdd], rtol=1e-9)
    measured, true = (State(jnp.asarray([x]), jnp.asarray([qd])) for x in (q, 1.0))
    actions = jnp.asarray([[1.0], [2.0], [-3.0], [0.5]])
    late = jnp.asarray([[0.7], [0.7], [0.7], [1.2]])  # 0.5 u + 0.2, two steps later
    expected = rollout(inner, true, late)
    found = model.rollout(measured, actions)
    np.testing.assert_allclose(found.q, ANGLE.wrap(expected.q + 0.3), rtol=1e-9)
    np.testing.assert_allclose(found.qd, expected.qd, rtol=1e-9)
