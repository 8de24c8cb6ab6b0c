"""Parts of the torques of a learned model."""

import jax
import jax.numpy as jnp
import numpy as np

from lagdyna.mechanics import (
    Coordinates,
    FixedActuation,
    MechanicalSystem,
    SumDissipation,
    ViscousDissipation,
)
from lagdyna.mechanics import CoulombDissipation as Coulomb
from lagdyna.simulate import LagrangianField, LearnedModel, SolvedTransition
from lagdyna.systems import PlanarChain

ANGLES = Coordinates((True, True))


def test_forces_add_up_to_the_torques(x64: None) -> None:
    friction = SumDissipation(
        (ViscousDissipation(jnp.asarray([0.3, 0.2])), Coulomb(jnp.asarray([0.5, 0.1])))
    )
    motors = FixedActuation(((1.0, 0.0), (0.0, 1.0)))
    system = MechanicalSystem(PlanarChain.two_link_arm(), ANGLES, motors, friction)
    model = LearnedModel(SolvedTransition(LagrangianField(system), ANGLES, 0.01))
    q, qd, qdd = [0.4, -0.7], [1.0, -2.0], [3.0, 0.5]

    @jax.jit
    def torques() -> dict[str, jax.Array]:
        inertial = model.mass_matrix(q, qd) @ jnp.asarray(qdd)
        found = {"gravity": model.gravity(q), "friction": model.friction(q, qd)}
        return {
            **found,
            "sum": inertial + model.coriolis(q, qd) + found["gravity"] + found["friction"],
            "all": model.inverse_dynamics(q, qd, qdd),
            "slope": jax.grad(lambda x: model.potential(x))(jnp.asarray(q)),
            # Potential energies in two positions, hanging and standing straight.
            "potential": jnp.stack([model.potential([angle, 0.0]) for angle in (0.0, jnp.pi)]),
        }

    found = torques()
    np.testing.assert_allclose(found["sum"], found["all"], rtol=1e-12)
    expected = [0.3 * 1 + 0.5, -0.2 * 2 - 0.1]  # at speeds far above the width of 0.05
    np.testing.assert_allclose(found["friction"], expected, rtol=1e-12)
    np.testing.assert_allclose(found["gravity"], found["slope"], rtol=1e-12)
    # Rods of 1 kg and 1 m: centres at 1/2, from the textbook; 0 hangs or stands straight.
    [difference] = np.abs(np.diff(found["potential"]))
    np.testing.assert_allclose(difference, 2 * 9.81 * 2.0, rtol=1e-12)
