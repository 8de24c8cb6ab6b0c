import equinox as eqx
import jax.numpy as jnp
import pytest

from lagdyna import UserError
from lagdyna.control import ActionBox, ComputedTorque, GravityCompensation
from lagdyna.mechanics import FixedActuation, MechanicalSystem, ViscousDissipation
from lagdyna.systems import PlanarChain

from ..helpers import close, random_state

ARM = PlanarChain.two_link_arm()


def arm(matrix=((50.0, 0.0), (10.0, 40.0)), friction=0.7):
    return MechanicalSystem(
        ARM,
        ARM.coordinates,
        FixedActuation(matrix, (1.0, -2.0)),
        ViscousDissipation(jnp.asarray([friction, friction])),
    )


BOX = ActionBox((-20.0, -20.0), (20.0, 20.0))


def test_error_obeys_a_linear_equation(x64):
    """Friction, an offset of the motors and coupled motors included."""
    system = arm()
    controller = ComputedTorque(system, BOX, 25.0)
    q, qd, wanted = random_state(0, 2)
    action = eqx.filter_jit(controller)(q, qd, wanted, 0.3 * wanted, 2 * wanted)
    difference = eqx.filter_jit(ARM.coordinates.difference)
    expected = 2 * wanted + 25 * difference(wanted, q)
    expected = expected + 10 * (0.3 * wanted - qd)  # critical damping
    close(eqx.filter_jit(system.forward_dynamics)(q, qd, action), expected, 1e-9)


def test_gravity_compensation_rests_at_the_desired_configuration(x64):
    system = arm()
    controller = eqx.filter_jit(
        GravityCompensation(system, BOX, jnp.asarray([30.0, 20.0]), 5.0)
    )
    q, rest = jnp.asarray([0.7, -1.1]), jnp.zeros(2)
    acceleration = eqx.filter_jit(system.forward_dynamics)(q, rest, controller(q, rest, q))
    close(acceleration, rest, 1e-9)
    # Off by a whole turn is not off.
    close(controller(q, rest, q + 2 * jnp.pi), controller(q, rest, q), 1e-9)


def test_actions_are_clipped():
    controller = ComputedTorque(arm(), ActionBox.unit(2), 1e6)
    q, qd, wanted = random_state(1, 2)
    action = eqx.filter_jit(controller)(q, qd, wanted)
    assert float(jnp.max(jnp.abs(action))) == 1


def test_systems_with_too_few_actuators_are_refused():
    idle = arm(((0.0, 0.0), (10.0, 40.0)))
    with pytest.raises(UserError, match=r"q\[0\] has no actuator; use a plan with a tracker"):
        ComputedTorque(idle, BOX, 25.0)
    with pytest.raises(UserError, match="only 1 are independent"):
        GravityCompensation(arm(((1.0, 1.0), (1.0, 1.0))), BOX, 1.0, 1.0)
    with pytest.raises(UserError, match="`box` has limits of 1 actions"):
        ComputedTorque(arm(), ActionBox.unit(1), 25.0)
