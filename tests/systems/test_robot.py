"""Tests of robots against Lagrange's equations, from energies by homogeneous transforms."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.systems import KinematicTree, RobotModel
from lagdyna.systems._pseudo_inertia import is_consistent, log_cholesky, rigid_bodies


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


# Parents and prismatic joints: a tree, a chain, and two arms on one base.
TREES = {
    "tree": ((-1, 0, 1, 0), (False, False, True, False)),
    "chain": ((-1, 0, 1), (True, False, False)),
    "two arms": ((-1, 0, -1, 2, 2), (True, False, False, False, True)),
}


def random_robot(name: str, seed: int = 0) -> RobotModel:
    parents, slides = TREES[name]
    rng, n = np.random.default_rng(seed), len(parents)
    rotation = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))[:, None, None]
    tree = KinematicTree(
        parents,
        slides,
        tuple(tuple(tuple(map(float, row)) for row in each) for each in rotation),
        tuple(tuple(map(float, each)) for each in rng.normal(size=(n, 3))),
    )
    return RobotModel(
        tree,
        *jax.device_put(
            (
                0.3 * rng.normal(size=(n, 10)),
                rng.normal(size=3),
                rng.uniform(0.1, 0.3, n),
                rng.uniform(0.1, 0.3, n),
                rng.normal(size=n),
            )
        ),
    )


def pseudo_inertia(row):
    """Compute the pseudo-inertia of a link from its factor (Rucker & Wensing 2022, eq. 8)."""
    alpha, d1, d2, d3, s12, s23, s13, t1, t2, t3 = row
    factor = jnp.array(
        [
            [jnp.exp(d1), s12, s13, t1],
            [0, jnp.exp(d2), s23, t2],
            [0, 0, jnp.exp(d3), t3],
            [0, 0, 0, 1],
        ]
    )
    return jnp.exp(2 * alpha) * factor @ factor.T


def lagrange(robot: RobotModel, q, qd, qdd) -> dict[str, Any]:
    """Derive energies and forces from poses alone."""
    armature: Any = robot.armature
    stiffness: Any = robot.stiffness

    def poses(q):
        found = []
        for i, parent in enumerate(robot.tree.parents):
            c, s = jnp.cos(q[i]), jnp.sin(q[i])
            turn = jnp.array([[c, -s, 0.0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
            if robot.tree.slides[i]:
                turn = jnp.eye(4).at[2, 3].set(q[i])
            fixed = jnp.eye(4).at[:3, :3].set(jnp.array(robot.tree.rotation[i]))
            fixed = fixed.at[:3, 3].set(jnp.array(robot.tree.position[i]))
            found.append((found[parent] if parent >= 0 else jnp.eye(4)) @ fixed @ turn)
        return jnp.stack(found)

    bodies = jnp.stack([pseudo_inertia(row) for row in robot.inertia])

    def kinetic(q, qd):
        rate = jax.jvp(poses, (q,), (qd,))[1]
        links = 0.5 * jnp.einsum("lab,lbc,lac->", rate, bodies, rate)
        return links + 0.5 * jnp.sum(armature * qd**2)

    def potential(q):
        weight = -jnp.einsum("a,lab,lb->", robot.gravity, poses(q)[:, :3], bodies[:, 3])
        return weight + 0.5 * jnp.sum(stiffness * (q - robot.rest) ** 2)

    def momentum(q, qd):
        return jax.grad(kinetic, argnums=1)(q, qd)

    change = jax.jvp(momentum, (q, qd), (qd, qdd))[1]
    return {
        "kinetic": kinetic(q, qd),
        "potential": potential(q),
        "mass": jax.jacfwd(momentum, argnums=1)(q, qd),
        "inverse": change - jax.grad(kinetic)(q, qd) + jax.grad(potential)(q),
        "gravity": jax.grad(potential)(q),
        "poses": poses(q)[:, :3],
    }


def recursive(robot: RobotModel, q, qd, qdd) -> dict[str, Any]:
    """Compute the same by the recursions."""
    forces = robot.forces(q, qd, qdd)
    tau = forces.inertial + forces.coriolis + forces.conservative
    rotations, positions = robot.link_poses(q)
    return {
        "kinetic": robot.kinetic_energy(q, qd),
        "potential": robot.potential_energy(q),
        "mass": robot.mass_matrix(q, qd),
        "inverse": tau,
        "gravity": forces.conservative,
        "poses": jnp.concatenate([rotations, positions[..., None]], axis=-1),
        "forward": robot.forward_dynamics(q, qd, tau),
    }


@pytest.mark.parametrize(
    "name", ["tree", *(pytest.param(x, marks=pytest.mark.slow) for x in ("chain", "two arms"))]
)
def test_recursions_are_lagranges_equations(name: str) -> None:
    robot = random_robot(name)
    q, qd, qdd = np.random.default_rng(1).normal(size=(3, 6, robot.tree.links))
    each = (None, 0, 0, 0)
    right = jax.jit(jax.vmap(lagrange, each))(robot, q, qd, qdd)
    found = jax.jit(jax.vmap(recursive, each))(robot, q, qd, qdd)
    for key, value in right.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-10, atol=1e-10, err_msg=key)
    # Forward dynamics invert inverse dynamics.
    np.testing.assert_allclose(found["forward"], qdd, rtol=1e-9, atol=1e-9)
    mass = np.asarray(found["mass"])
    np.testing.assert_allclose(mass, mass.transpose(0, 2, 1), rtol=1e-12, atol=1e-12)
    assert np.linalg.eigvalsh(mass).min() > 0
    # A single entry gives the numbers of the batch, in one recursion.
    one = jax.jit(lambda *x: robot.inverse_dynamics(*x))(q[2], qd[2], qdd[2])
    np.testing.assert_allclose(np.asarray(found["inverse"])[2], one, rtol=1e-10, atol=1e-12)


def test_free_motion_keeps_the_energy() -> None:
    robot = random_robot("tree")
    n, step = robot.tree.links, 2e-3

    def rate(x):
        q, qd = x[:n], x[n:]
        return jnp.concatenate([qd, robot.forward_dynamics(q, qd, jnp.zeros(n))])

    def runge_kutta(x, _):
        def stage(k, weight):
            k = rate(x + weight * step * k)
            return k, k

        _, k = jax.lax.scan(stage, jnp.zeros(2 * n), jnp.array([0.0, 0.5, 0.5, 1.0]))
        return x + step / 6 * jnp.array([1.0, 2, 2, 1]) @ k, robot.energy(x[:n], x[n:])

    start = np.random.default_rng(2).normal(size=2 * n)
    end, energy = jax.jit(lambda x: jax.lax.scan(runge_kutta, x, length=200))(start)
    energy = np.asarray(energy)
    assert np.linalg.norm(end - start) > 0.1  # it moved
    np.testing.assert_allclose(energy, energy[0], rtol=0, atol=1e-9 * float(abs(energy).max()))


def test_forces_are_linear_in_the_bodies_and_differentiable_in_the_parameters() -> None:
    robot = random_robot("tree")
    q, qd, qdd = jax.device_put([*np.random.default_rng(3).normal(size=(3, robot.tree.links))])

    @jax.jit
    def measured(inertia, direction):
        def square(inertia):
            changed = dataclasses.replace(robot, inertia=inertia)
            return jnp.sum(changed.inverse_dynamics(q, qd, qdd) ** 2)

        bodies = robot.bodies
        other = jax.tree.map(lambda x: x + 1.0, bodies)
        both = jax.tree.map(lambda x, y: 2 * x - 3 * y, bodies, other)
        forces = jax.vmap(lambda each: robot.link_forces(each, q, qd, qdd))(
            jax.tree.map(lambda *x: jnp.stack(x), bodies, other, both)
        )
        values = jax.vmap(lambda h: square(inertia + h * direction))(jnp.array([1e-5, -1e-5]))
        return jax.grad(square)(inertia), values, forces

    direction = np.random.default_rng(4).normal(size=robot.inertia.shape)
    gradient, values, forces = map(np.asarray, measured(robot.inertia, direction))
    assert np.isfinite(gradient).all()
    slope = (values[0] - values[1]) / 2e-5
    np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-6)
    np.testing.assert_allclose(forces[2], 2 * forces[0] - 3 * forces[1], rtol=1e-10, atol=1e-10)


def test_links_of_any_parameters_can_exist() -> None:
    parameters = np.random.default_rng(5).normal(size=(300, 10))
    bodies: Any = jax.tree.map(np.asarray, jax.jit(rigid_bodies)(jax.device_put(parameters)))
    assert (bodies.mass > 0).all()
    centre = bodies.moment / bodies.mass[:, None]
    shift = np.sum(centre**2, 1)[:, None, None] * np.eye(3) - np.einsum(
        "li,lj->lij", centre, centre
    )
    own = bodies.inertia - bodies.mass[:, None, None] * shift
    assert all(is_consistent(each) for each in own)
    # The way back gives the same parameters.
    np.testing.assert_allclose(
        log_cholesky(bodies.mass, centre, own), parameters, rtol=1e-6, atol=1e-6
    )
    pseudo = np.asarray(jax.jit(jax.vmap(pseudo_inertia))(parameters))
    np.testing.assert_allclose(pseudo[:, 3, 3], bodies.mass, rtol=1e-12)
    second = pseudo[:, :3, :3]
    about = np.trace(second, axis1=1, axis2=2)[:, None, None] * np.eye(3) - second
    np.testing.assert_allclose(about, bodies.inertia, rtol=1e-9, atol=1e-12)


def test_impossible_inertia_becomes_the_nearest_possible() -> None:
    plate = np.diag([1.0, 1.0, 3.0])
    assert not is_consistent(plate)
    parameters = log_cholesky(np.ones(1), np.zeros((1, 3)), plate[None])
    found = jax.jit(rigid_bodies)(jax.device_put(parameters))
    [inertia] = np.asarray(found.inertia)
    moments = np.linalg.eigvalsh(inertia)
    assert is_consistent(inertia)
    np.testing.assert_allclose(moments, [1.5, 1.5, 3.0], rtol=1e-5)


def test_trees_are_checked() -> None:
    frame = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    origin = (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"`parents\[1\]` was 1; a smaller index"):
        KinematicTree((-1, 1), (False, False), (frame, frame), (origin, origin))
    with pytest.raises(ValueError, match=r"one entry per link, got lengths \[1, 2\]"):
        KinematicTree((-1, 0), (False,), (frame, frame), (origin, origin))
    tree = random_robot("tree").tree
    assert random_robot("chain").joints == ("joint1", "joint2", "joint3")
    assert tree.branches == ((0, 1), (1, 3), (3, 4))
    assert random_robot("tree").coordinates.angles == (True, True, False, True)
