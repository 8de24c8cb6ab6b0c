"""Recursive rigid-body dynamics of kinematic trees.

Featherstone (2008), Rigid Body Dynamics Algorithms, chapters 5 and 7. Each link's quantities
are in its own frame. The cost grows linearly with the number of links.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ._tree import KinematicTree
from ._vectors import (
    Matrix,
    Vector,
    add,
    cross,
    cross_columns,
    cross_rows,
    dot,
    matrix,
    minus_outer,
    plus,
    product,
    scale,
    times,
    transpose,
    turn,
    unturn,
    vector,
)


class RigidBodies(NamedTuple):
    """Inertial parameters of links in their own frames.

    **Attributes:** `mass`, kg; `moment`, mass times the position of the centre of mass, kg m;
    `inertia`, matrix of the moments of inertia about the frame's origin, kg m^2.
    """

    mass: Float[Array, " links"]
    moment: Float[Array, "links 3"]
    inertia: Float[Array, "links 3 3"]


class _Joint(NamedTuple):
    """Pose and axis of a joint at a configuration; entries of a scan.

    `turns` and `slides` are 1 and 0 for a revolute joint, 0 and 1 for a prismatic one.
    """

    rotation: Float[Array, "3 3"]
    position: Float[Array, " 3"]
    cosine: Scalar
    sine: Scalar
    turns: Scalar
    slides: Scalar


def inverse_dynamics(
    tree: KinematicTree,
    bodies: RigidBodies,
    gravity: Float[Array, " 3"],
    q: Float[Array, " n"],
    qd: Float[Array, " n"],
    qdd: Float[Array, " n"],
) -> Float[Array, " n"]:
    """Compute joint forces by the recursive Newton-Euler algorithm, shape `(n,)`."""

    def outward(state, x):
        w, dw, a = state
        joint, body, qd, qdd = x
        r = vector(joint.position)
        w_r = cross(w, r)
        a = _to_link(joint, add(a, cross(dw, r), cross(w, w_r)))
        w, dw = _to_link(joint, w), _to_link(joint, dw)
        speed, change = joint.slides * qd, joint.slides * qdd
        a = (a[0] + 2 * w[1] * speed, a[1] - 2 * w[0] * speed, a[2] + change)
        speed, change = joint.turns * qd, joint.turns * qdd
        dw = (dw[0] + w[1] * speed, dw[1] - w[0] * speed, dw[2] + change)
        w = (w[0], w[1], w[2] + speed)
        h, inertia = vector(body.moment), matrix(body.inertia)
        force = add(scale(body.mass, a), cross(dw, h), cross(w, cross(w, h)))
        torque = add(times(inertia, dw), cross(w, times(inertia, w)), cross(h, a))
        return (w, dw, a), (force, torque)

    def inward(below, x):
        joint, own_force, own_torque = x
        force, torque = add(below[0], own_force), add(below[1], own_torque)
        tau = joint.turns * torque[2] + joint.slides * force[2]
        force = _to_parent(joint, force)
        torque = add(_to_parent(joint, torque), cross(vector(joint.position), force))
        return (force, torque), tau

    zero = _zero(q)
    joints = _joints(tree, q)
    base = zero, zero, vector(-gravity)
    forces, torques = tree.outward(outward, base, (joints, bodies, qd, qdd))
    return tree.inward(inward, (zero, zero), (joints, forces, torques))[1]


class _Articulated(NamedTuple):
    """Articulated inertia `[[inertia, coupling], [coupling', mass]]` and bias wrench."""

    inertia: Matrix
    coupling: Matrix
    mass: Matrix
    torque: Vector
    force: Vector


def forward_dynamics(
    tree: KinematicTree,
    bodies: RigidBodies,
    armature: Float[Array, " n"],
    gravity: Float[Array, " 3"],
    q: Float[Array, " n"],
    qd: Float[Array, " n"],
    tau: Float[Array, " n"],
) -> Float[Array, " n"]:
    """Compute accelerations by the articulated-body algorithm, shape `(n,)`."""
    zero = _zero(q)
    joints = _joints(tree, q)

    def velocities(state, x):
        joint, qd = x
        w, v = _velocity(joint, state, qd)
        return (w, v), (w, v)

    def inertias(below: _Articulated, x):
        joint, body, armature, qd, tau, w, v = x
        h, own_inertia = vector(body.moment), matrix(body.inertia)
        inertia = plus(below.inertia, own_inertia)
        coupling = plus(below.coupling, _skew(h))
        mass = plus(below.mass, _diagonal(body.mass))
        momentum = add(scale(body.mass, v), cross(w, h))
        spin = add(times(own_inertia, w), cross(h, v))
        torque = add(below.torque, cross(w, spin), cross(v, momentum))
        force = add(below.force, cross(w, momentum))

        turns, slides = joint.turns, joint.slides
        upper = _mix(turns, inertia[2], slides, _column(coupling, 2))
        lower = _mix(turns, coupling[2], slides, mass[2])
        weight = turns * upper[2] + slides * lower[2] + armature
        drive = tau - turns * torque[2] - slides * force[2]
        result = upper, lower, 1 / weight, drive

        gain = 1 / weight
        scaled_upper, scaled_lower = scale(gain, upper), scale(gain, lower)
        inertia = minus_outer(inertia, scaled_upper, upper)
        coupling = minus_outer(coupling, scaled_upper, lower)
        mass = minus_outer(mass, scaled_lower, lower)
        change_w, change_v = _bias(joint, w, v, qd)
        torque = add(
            torque,
            times(inertia, change_w),
            times(coupling, change_v),
            scale(drive, scaled_upper),
        )
        force = add(
            force,
            times(transpose(coupling), change_w),
            times(mass, change_v),
            scale(drive, scaled_lower),
        )
        rotation = _rotation(joint)
        r = vector(joint.position)
        mass = _rotate(rotation, mass)
        turned = _rotate(rotation, coupling)
        coupling = plus(turned, cross_columns(r, mass))
        inertia = plus(
            _minus(_rotate(rotation, inertia), cross_rows(turned, r)),
            cross_columns(r, transpose(coupling)),
        )
        force = times(rotation, force)
        torque = add(times(rotation, torque), cross(r, force))
        return _Articulated(inertia, coupling, mass, torque, force), result

    def accelerations(state, x):
        joint, qd, w, v, (upper, lower, gain, drive) = x
        dw, a = state
        a = _to_link(joint, add(a, cross(dw, vector(joint.position))))
        change_w, change_v = _bias(joint, w, v, qd)
        dw, a = add(_to_link(joint, dw), change_w), add(a, change_v)
        qdd = gain * (drive - dot(upper, dw) - dot(lower, a))
        dw = (dw[0], dw[1], dw[2] + joint.turns * qdd)
        a = (a[0], a[1], a[2] + joint.slides * qdd)
        return (dw, a), qdd

    w, v = tree.outward(velocities, (zero, zero), (joints, qd))
    nothing = _diagonal(zero[0])
    start = _Articulated(nothing, nothing, nothing, zero, zero)
    _, factors = tree.inward(inertias, start, (joints, bodies, armature, qd, tau, w, v))
    base = zero, vector(-gravity)
    return tree.outward(accelerations, base, (joints, qd, w, v, factors))


def kinetic_energy(
    tree: KinematicTree, bodies: RigidBodies, q: Float[Array, " n"], qd: Float[Array, " n"]
) -> Scalar:
    """Compute the kinetic energy of the links, joules."""

    def outward(state, x):
        joint, body, qd = x
        w, v = _velocity(joint, state, qd)
        h = vector(body.moment)
        spin = dot(w, times(matrix(body.inertia), w))
        return (w, v), 0.5 * (body.mass * dot(v, v) + spin) + dot(v, cross(w, h))

    zero = _zero(q)
    return jnp.sum(tree.outward(outward, (zero, zero), (_joints(tree, q), bodies, qd)))


def potential_energy(
    tree: KinematicTree,
    bodies: RigidBodies,
    gravity: Float[Array, " 3"],
    q: Float[Array, " n"],
) -> Scalar:
    """Compute the gravitational potential energy, joules, 0 at the world's origin."""

    def inward(below, x):
        joint, mass, moment = x
        mass = mass + below[0]
        moment = _to_parent(joint, add(vector(moment), below[1]))
        return (mass, add(moment, scale(mass, vector(joint.position)))), None

    zero = _zero(q)
    xs = _joints(tree, q), bodies.mass, bodies.moment
    (_, moment), _ = tree.inward(inward, (zero[0], zero), xs)
    return -dot(vector(gravity), moment)


def link_poses(
    tree: KinematicTree, q: Float[Array, " n"]
) -> tuple[Float[Array, "n 3 3"], Float[Array, "n 3"]]:
    """Compute the rotation and position of each link in the world."""

    def outward(state, x: _Joint):
        rotation, position = state
        position = add(position, times(rotation, vector(x.position)))
        rotation = product(rotation, _rotation(x))
        return (rotation, position), (rotation, position)

    zero = _zero(q)
    identity = _diagonal(zero[0] + 1)
    rotations, positions = tree.outward(outward, (identity, zero), _joints(tree, q))
    rows = [jnp.stack(row, axis=-1) for row in rotations]
    return jnp.stack(rows, axis=-2), jnp.stack(positions, axis=-1)


def _joints(tree: KinematicTree, q: Float[Array, " n"]) -> _Joint:
    """Compute the pose of each joint, stacked over the links."""
    arrays = tree.arrays(q.dtype)
    slides = jnp.asarray(tree.slides, q.dtype)
    position, angle = arrays["position"], q
    if any(tree.slides):
        position = position + arrays["rotation"][:, :, 2] * (slides * q)[:, None]
        angle = (1 - slides) * q
    return _Joint(
        arrays["rotation"], position, jnp.cos(angle), jnp.sin(angle), 1 - slides, slides
    )


def _zero(q: Float[Array, " n"]) -> Vector:
    zero = jnp.zeros((), q.dtype)
    return zero, zero, zero


def _to_link(joint: _Joint, v: Vector) -> Vector:
    return unturn(joint.cosine, joint.sine, times(transpose(matrix(joint.rotation)), v))


def _to_parent(joint: _Joint, v: Vector) -> Vector:
    return times(matrix(joint.rotation), turn(joint.cosine, joint.sine, v))


def _rotation(joint: _Joint) -> Matrix:
    c, s = joint.cosine, joint.sine
    rows = [(c * x + s * y, c * y - s * x, z) for x, y, z in matrix(joint.rotation)]
    return rows[0], rows[1], rows[2]


def _velocity(
    joint: _Joint, parent: tuple[Vector, Vector], qd: Scalar
) -> tuple[Vector, Vector]:
    """Compute the angular and linear velocity of a link from those of its parent."""
    w, v = parent
    v = _to_link(joint, add(v, cross(w, vector(joint.position))))
    w = _to_link(joint, w)
    return (
        (w[0], w[1], w[2] + joint.turns * qd),
        (v[0], v[1], v[2] + joint.slides * qd),
    )


def _bias(joint: _Joint, w: Vector, v: Vector, qd: Scalar) -> tuple[Vector, Vector]:
    """Compute the acceleration of a link by its joint's velocity, `v x S qd`."""
    zero = jnp.zeros_like(qd)
    turning, sliding = joint.turns * qd, joint.slides * qd
    return (
        (w[1] * turning, -w[0] * turning, zero),
        (v[1] * turning + w[1] * sliding, -v[0] * turning - w[0] * sliding, zero),
    )


def _mix(a: Scalar, u: Vector, b: Scalar, v: Vector) -> Vector:
    return add(scale(a, u), scale(b, v))


def _column(a: Matrix, i: int) -> Vector:
    return a[0][i], a[1][i], a[2][i]


def _rotate(rotation: Matrix, a: Matrix) -> Matrix:
    return product(product(rotation, a), transpose(rotation))


def _minus(a: Matrix, b: Matrix) -> Matrix:
    minus = -jnp.ones_like(b[0][0])
    return plus(a, (scale(minus, b[0]), scale(minus, b[1]), scale(minus, b[2])))


def _skew(v: Vector) -> Matrix:
    zero = jnp.zeros_like(v[0])
    return (zero, -v[2], v[1]), (v[2], zero, -v[0]), (-v[1], v[0], zero)


def _diagonal(x: Scalar) -> Matrix:
    zero = jnp.zeros_like(x)
    return (x, zero, zero), (zero, x, zero), (zero, zero, x)
