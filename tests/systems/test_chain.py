"""Tests of planar chains against Kane's equations, derived with SymPy."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sm
import sympy.physics.mechanics as me

from lagdyna.systems import DoublePendulum, Pendulum, PlanarChain


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def random_chain(rng, links, cart):
    return PlanarChain(
        jnp.asarray(rng.uniform(0.5, 2.0, links)),
        jnp.asarray(rng.uniform(0.5, 1.5, links)),
        jnp.asarray(rng.uniform(0.2, 0.8, links)),
        jnp.asarray(rng.uniform(0.05, 0.3, links)),
        jnp.asarray(9.3),
        jnp.asarray(1.3) if cart else None,
    )


def kane(chain: PlanarChain):
    """Derive the mass matrix and the forcing vector as functions of `(q, qd)`."""
    cart = chain.cart_mass is not None
    n = chain.links + cart
    q, u = me.dynamicsymbols(f"q:{n}"), me.dynamicsymbols(f"u:{n}")
    world = me.ReferenceFrame("world")
    joint = me.Point("pivot")
    joint.set_vel(world, 0)
    bodies, loads = [], []
    if cart:
        joint = joint.locatenew("cart", q[0] * world.x)
        joint.set_vel(world, u[0] * world.x)
        bodies.append(me.Particle("cart", joint, float(chain.cart_mass)))
    theta = omega = 0
    for i in range(chain.links):
        theta, omega = theta + q[i + cart], omega + u[i + cart]
        mass, length = float(chain.mass[i]), float(chain.length[i])
        # Upright is the link along world.y; a positive angle leans towards world.x.
        link = world.orientnew(f"link{i}", "Axis", [theta, -world.z])
        link.set_ang_vel(world, -omega * world.z)
        centre = joint.locatenew(f"centre{i}", float(chain.centre[i]) * length * link.y)
        centre.v2pt_theory(joint, world, link)
        end = joint.locatenew(f"end{i}", length * link.y)
        end.v2pt_theory(joint, world, link)
        inertia = me.inertia(link, 0, 0, float(chain.inertia[i]))
        bodies.append(me.RigidBody(f"link{i}", centre, link, mass, (inertia, centre)))
        loads.append((centre, -mass * float(chain.gravity) * world.y))
        joint = end
    rates = [x.diff() - v for x, v in zip(q, u, strict=True)]
    method = me.KanesMethod(world, q, u, rates)
    method.kanes_equations(bodies, loads)
    return sm.lambdify((q, u), (method.mass_matrix, method.forcing), cse=True)


# Every link is one more of the same terms, and SymPy takes long for many.
@pytest.mark.parametrize("cart", [False, True])
@pytest.mark.parametrize(
    "links", [1, 2, 3, 4, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 6, 7))]
)
def test_motion_matches_kanes_equations(links, cart):
    rng = np.random.default_rng(links)
    chain = random_chain(rng, links, cart)
    n = links + cart
    assert chain.coordinates.n == n
    equations = kane(chain)

    @eqx.filter_jit
    def motion(chain, q, qd, tau, qdd):
        return (
            chain.forward_dynamics(q, qd, tau),
            chain.inverse_dynamics(q, qd, qdd),
            chain.mass_matrix(q, qd),
        )

    for _ in range(3):
        q, qd, tau, qdd = rng.normal(size=(4, n)) * np.array([[2.0], [2.0], [3.0], [3.0]])
        mass, forcing = equations(q, qd)
        forward, inverse, mass_matrix = motion(chain, *map(jnp.asarray, (q, qd, tau, qdd)))
        expected = np.linalg.solve(mass, forcing.ravel() + tau)
        np.testing.assert_allclose(forward, expected, rtol=1e-10, atol=1e-10)
        expected = mass @ qdd - forcing.ravel()
        np.testing.assert_allclose(inverse, expected, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(mass_matrix, mass, rtol=1e-12, atol=1e-12)


def test_potential_energy_is_weight_times_height():
    chain = random_chain(np.random.default_rng(3), 3, cart=True)
    q = np.array([0.4, 0.3, -1.1, 2.0])
    theta = [0.3, -0.8, 1.2]
    height, joint = 0.0, 0.0
    for i in range(3):
        centre = joint + float(chain.centre[i] * chain.length[i]) * np.cos(theta[i])
        height += float(chain.mass[i]) * centre
        joint += float(chain.length[i]) * np.cos(theta[i])
    np.testing.assert_allclose(chain.potential_energy(jnp.asarray(q)), 9.3 * height)


def test_one_link_is_the_pendulum():
    pendulum = Pendulum.rod(mass=1.7, length=0.8, gravity=9.1)
    chain = PlanarChain.rods(1, mass=1.7, length=0.8, gravity=9.1)
    q, qd, tau = jnp.array([0.7]), jnp.array([-1.3]), jnp.array([0.4])
    np.testing.assert_allclose(
        eqx.filter_jit(chain.forward_dynamics)(q, qd, tau),
        eqx.filter_jit(pendulum.forward_dynamics)(q, qd, tau),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        eqx.filter_jit(chain.energy)(q, qd), eqx.filter_jit(pendulum.energy)(q, qd), rtol=1e-12
    )


def test_double_pendulum_is_a_chain_in_other_coordinates():
    pendulum = DoublePendulum(jnp.array([1.2, 0.7]), jnp.array([0.9, 1.1]), jnp.asarray(9.8))
    chain = PlanarChain(
        pendulum.mass, pendulum.length, jnp.ones(2), jnp.zeros(2), pendulum.gravity
    )
    q, qd = jnp.array([0.6, -2.0]), jnp.array([1.5, 0.4])
    # Absolute from hanging: q = pi + theta, or its mirror image; relative: differences.
    relative = jnp.array([q[0] - jnp.pi, q[1] - q[0]])
    relative_rate = jnp.array([qd[0], qd[1] - qd[0]])
    qdd = eqx.filter_jit(pendulum.forward_dynamics)(q, qd, jnp.zeros(2))
    chained = eqx.filter_jit(chain.forward_dynamics)(relative, relative_rate, jnp.zeros(2))
    np.testing.assert_allclose(jnp.cumsum(chained), qdd, rtol=1e-10)
    np.testing.assert_allclose(
        eqx.filter_jit(pendulum.energy)(q, qd),
        eqx.filter_jit(chain.energy)(relative, relative_rate),
        rtol=1e-12,
    )


def test_double_pendulum_matches_the_textbook():
    # The closed form usually quoted, for masses and lengths 1 (myphysicslab.com).
    (a, b), (w, v), g = (0.9, -0.4), (1.1, 2.3), 9.8
    d = 3 - np.cos(2 * a - 2 * b)
    first = -3 * g * np.sin(a) - g * np.sin(a - 2 * b)
    first -= 2 * np.sin(a - b) * (v**2 + w**2 * np.cos(a - b))
    second = 2 * w**2 + 2 * g * np.cos(a) + v**2 * np.cos(a - b)
    expected = np.array([first, 2 * np.sin(a - b) * second]) / d
    qdd = eqx.filter_jit(DoublePendulum.unit().forward_dynamics)(
        jnp.array([a, b]), jnp.array([w, v]), jnp.zeros(2)
    )
    np.testing.assert_allclose(qdd, expected, rtol=1e-6)


def test_defaults_are_those_of_the_suite():
    chain = PlanarChain.rods(2, cart_mass=1.0)
    np.testing.assert_allclose(chain.mass, 0.1)
    np.testing.assert_allclose(chain.inertia, 0.1 / 12)
    np.testing.assert_allclose(chain.centre, 0.5)
    assert (float(chain.gravity), float(chain.cart_mass)) == (9.8, 1.0)
    arm = PlanarChain.two_link_arm()
    assert arm.coordinates.angles == (True, True)


def test_every_parameter_has_the_gradient_of_its_finite_difference():
    chain = random_chain(np.random.default_rng(5), 2, cart=True)
    q, qd, tau = jnp.array([[0.1, 0.8, -0.5], [0.3, 1.0, -2.0], [1.0, 0.0, 0.5]])
    leaves, structure = jax.tree.flatten(chain)
    assert len(leaves) == 6

    @jax.jit
    def acceleration(leaves):
        chain = jax.tree.unflatten(structure, leaves)
        return jnp.sum(chain.forward_dynamics(q, qd, tau) ** 2)

    gradients = jax.grad(acceleration)(leaves)
    for i, gradient in enumerate(gradients):
        up, down = list(leaves), list(leaves)
        up[i], down[i] = leaves[i] + 1e-6, leaves[i] - 1e-6
        slope = (acceleration(up) - acceleration(down)) / 2e-6
        np.testing.assert_allclose(jnp.sum(gradient), slope, rtol=1e-5)
        assert jnp.all(gradient != 0)


def test_float32_stays_float32():
    with jax.enable_x64(False):
        chain = PlanarChain.rods(4, cart_mass=1.0)
        x = jnp.linspace(-1, 1, 5)
        assert eqx.filter_jit(chain.forward_dynamics)(x, x, x).dtype == jnp.float32


def test_wrong_arguments():
    with pytest.raises(ValueError, match="links"):
        PlanarChain.rods(0)
    with pytest.raises(ValueError, match="per link"):
        eqx.tree_at(lambda c: c.mass, PlanarChain.rods(2), jnp.ones(3)).__check_init__()


def test_armature_adds_to_the_mass_matrix_in_joint_coordinates():
    q, qd = jnp.array([0.4, 1.1]), jnp.array([0.7, -0.2])
    chain = PlanarChain.two_link_arm()
    rotors = dataclasses.replace(chain, armature=jnp.array([0.5, 0.2]))
    added = rotors.mass_matrix(q, qd) - chain.mass_matrix(q, qd)
    np.testing.assert_allclose(added, np.diag([0.5, 0.2]), atol=1e-6)


def test_a_chain_says_what_no_link_can_have():
    chain = PlanarChain.two_link_arm()
    assert chain.warnings() == []
    wrong = dataclasses.replace(
        chain, centre=jnp.array([0.5, 1.2]), inertia=jnp.array([0.3, 0.3])
    )
    outside, large = sorted(wrong.warnings())
    assert outside.startswith("`centre[1]` is 1.2, so the centre of mass of link 1 is outside")
    # At most the inertia of two point masses at the ends, m l^2 / 4.
    assert large.startswith("`inertia[0]` is 0.3 kg m^2")
    assert large.endswith("at most 0.25")
