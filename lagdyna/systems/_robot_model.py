import dataclasses
from collections.abc import Sequence
from os import PathLike
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from ..mechanics import AbstractRigidBody, Coordinates, Forces, linalg
from . import _recursions as recursions
from ._link_potential import LinkPotential
from ._mjcf import read_mjcf
from ._pseudo_inertia import log_cholesky, rigid_bodies
from ._recursions import RigidBodies
from ._robot_description import RobotDescription
from ._tree import KinematicTree
from ._urdf import read_urdf


class RobotModel(AbstractRigidBody):
    """Robot arm: a tree of rigid links with revolute and prismatic joints in space.

    `RobotModel.from_urdf()` and `RobotModel.from_mjcf()` read a robot description. The
    kinematics are fixed. Inertia, armature and gravity are trainable leaves. The links are
    physically consistent for all values of the leaves. Inverse dynamics use the recursive
    Newton-Euler algorithm and forward dynamics the articulated-body algorithm (Featherstone
    2008). Both cost time in proportion to the number of joints.

    Limits of joints and contacts exert no force here. Friction is not part of a Lagrangian; see
    [`lagdyna.mechanics.AbstractDissipation`][].

    **Arguments:**

    - `tree`: kinematics, static; see [`lagdyna.systems.KinematicTree`][].
    - `inertia`: log-Cholesky parameters of the pseudo-inertia of each link, shape
        `(links, 10)` (Rucker & Wensing 2022). `bodies` has masses, first moments and moments
        of inertia.
    - `gravity`: gravitational acceleration in the world, m/s^2, shape `(3,)`.
    - `armature`: inertia of each joint's rotor behind its gear, kg m^2 (kg for a prismatic
        joint), positive, shape `(links,)`; `None` without rotors.
    - `stiffness`, `rest`: stiffness of springs in the joints, N m/rad, and the position where
        they exert no force, shape `(links,)`; `None` without springs.
    - `description`: names, limits and friction in the robot description, static.
    - `extra`: learned potential energy of what the description lacks; `None` without one.
    """

    tree: KinematicTree
    inertia: Float[Array, "links 10"]
    gravity: Float[Array, " 3"]
    armature: Float[Array, " links"] | None = None
    stiffness: Float[Array, " links"] | None = None
    rest: Float[Array, " links"] | None = None
    description: RobotDescription | None = eqx.field(static=True, default=None)
    extra: LinkPotential | None = None

    positive_parameters: ClassVar[tuple[str, ...]] = ("armature",)

    @classmethod
    def from_urdf(
        cls, robot: str | PathLike[str], *, joints: Sequence[str] | None = None
    ) -> "RobotModel":
        """Read a robot description in URDF; needs the extra `mujoco`.

        **Arguments:**

        - `robot`: path of a file, or its text. Visuals, collisions and meshes are ignored.
        - `joints`: names of the joints that move; the others are fixed at 0. By default all
            move. The order of the coordinates is that of the description.

        **Raises:** `UserError` if the file cannot be read, has a mimic, planar, floating or
        closed-loop joint, or a moving link without inertia.
        """
        return cls.from_description(read_urdf(robot, joints))

    @classmethod
    def from_mjcf(
        cls, robot: str | PathLike[str], *, joints: Sequence[str] | None = None
    ) -> "RobotModel":
        """Read a robot description in MuJoCo's MJCF; needs the extra `mujoco`.

        **Arguments:**

        - `robot`: path of a file, or its text.
        - `joints`: names of the joints that move; the others are fixed at their initial
            position. By default all move.

        **Raises:** `UserError` if the file cannot be read, has a ball or free joint or a
        constraint, or a moving link without inertia.
        """
        return cls.from_description(read_mjcf(robot, joints))

    @classmethod
    def from_description(cls, description: RobotDescription) -> "RobotModel":
        """Construct the model of a robot description that was read before."""
        links = description.links
        parameters = log_cholesky(
            np.array([link.mass for link in links]),
            np.array([link.centre for link in links]),
            np.array([link.inertia for link in links]),
        )
        armature = np.array([link.armature for link in links])
        stiffness = np.array([link.stiffness for link in links])
        rest = np.array([link.rest for link in links])
        tree = KinematicTree(
            tuple(link.parent for link in links),
            tuple(link.slides for link in links),
            tuple(link.rotation for link in links),
            tuple(link.position for link in links),
        )
        return cls(
            tree,
            jnp.asarray(parameters, float),
            jnp.asarray(description.gravity, float),
            jnp.asarray(armature, float) if np.any(armature) else None,
            jnp.asarray(stiffness, float) if np.any(stiffness) else None,
            jnp.asarray(rest, float) if np.any(stiffness) else None,
            description,
        )

    @property
    def coordinates(self) -> Coordinates:
        """An angle for each revolute joint, radians; a position for each prismatic one."""
        return Coordinates(tuple(not slides for slides in self.tree.slides))

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints, `joint1` and so on without a description."""
        if self.description is None:
            return tuple(f"joint{i + 1}" for i in range(self.tree.links))
        return self.description.joints

    @property
    def bodies(self) -> RigidBodies:
        """Mass, first moment and moments of inertia of each link."""
        return rigid_bodies(self.inertia)

    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        return linalg.cholesky(self.mass_matrix(q, jnp.zeros_like(q)), upper=True)

    def mass_matrix(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, "n n"]:
        del qd
        return jax.vmap(self.momentum, (None, 0))(q, jnp.eye(len(q), dtype=q.dtype))

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        return self._newton_euler(q, jnp.zeros_like(q), qd, 0.0)

    def kinetic_energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        rotors = 0.5 * jnp.sum(self._armature(q) * qd**2)
        return recursions.kinetic_energy(self.tree, self._bodies(q), q, qd) + rotors

    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        gravity = self.gravity.astype(q.dtype)
        energy = recursions.potential_energy(self.tree, self._bodies(q), gravity, q)
        if self.stiffness is not None and self.rest is not None:
            energy = energy + 0.5 * jnp.sum(self.stiffness * (q - self.rest) ** 2)
        return energy if self.extra is None else energy + self.extra.energy(q)

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return recursions.forward_dynamics(
            self.tree,
            self._bodies(q),
            self._armature(q),
            self.gravity.astype(q.dtype),
            q,
            qd,
            tau - self._held(q),
        )

    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return self._newton_euler(q, qd, qdd, 1.0) + self._held(q)

    def forces(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Forces:
        rest = jnp.zeros_like(q)
        return Forces(
            self.momentum(q, qdd),
            self._newton_euler(q, qd, rest, 0.0),
            self.inverse_dynamics(q, rest, rest),
        )

    def link_forces(
        self,
        bodies: RigidBodies,
        q: Float[Array, " n"],
        qd: Float[Array, " n"],
        qdd: Float[Array, " n"],
    ) -> Float[Array, " n"]:
        """Compute joint forces that move links of given inertia, shape `(n,)`.

        They are linear in `bodies`: the regressor of the robot is their derivative. Rotors and
        springs are left out.
        """
        return recursions.inverse_dynamics(
            self.tree, bodies, self.gravity.astype(q.dtype), q, qd, qdd
        )

    def without_springs(self) -> "RobotModel":
        """Return the robot without the springs in its joints."""
        return dataclasses.replace(self, stiffness=None, rest=None)

    def link_poses(
        self, q: Float[Array, " n"]
    ) -> tuple[Float[Array, "n 3 3"], Float[Array, "n 3"]]:
        """Compute rotation and position of each link's frame in the world.

        A link's frame is at its joint; `z` is the joint's axis.
        """
        return recursions.link_poses(self.tree, q)

    def frame_pose(
        self, q: Float[Array, " n"], name: str
    ) -> tuple[Float[Array, "3 3"], Float[Array, " 3"]]:
        """Compute rotation and position of a named body of the robot description.

        **Arguments:** `q`, joint positions; `name`, of a body, fixed ones included.

        **Raises:** `ValueError` if the robot has no description or no such body.
        """
        frames = {} if self.description is None else dict(self.description.frames)
        if name not in frames:
            raise ValueError(
                f"`name` was {name!r}; the bodies of the robot are {', '.join(frames)}"
            )
        frame = frames[name]
        rotation = jnp.asarray(frame.rotation, q.dtype)
        position = jnp.asarray(frame.position, q.dtype)
        if frame.link < 0:
            return rotation, position
        rotations, positions = self.link_poses(q)
        turned = rotations[frame.link]
        return turned @ rotation, positions[frame.link] + turned @ position

    def _bodies(self, q: Float[Array, " n"]) -> RigidBodies:
        bodies = jax.tree.map(lambda x: x.astype(q.dtype), self.bodies)
        if self.description is None:
            return bodies
        # A body with several joints hangs on links that have no mass.
        solid = np.array([not link.massless for link in self.description.links])
        if solid.all():
            return bodies
        return jax.tree.map(
            lambda x: jnp.where(solid.reshape(-1, *[1] * (x.ndim - 1)), x, 0.0), bodies
        )

    def _armature(self, q: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.zeros_like(q) if self.armature is None else self.armature.astype(q.dtype)

    def spring_forces(self, q: Float[Array, " n"]) -> Float[Array, " n"]:
        """Compute the forces that hold against the springs in the joints, N m or N."""
        if self.stiffness is None or self.rest is None:
            return jnp.zeros_like(q)
        return (self.stiffness * (q - self.rest)).astype(q.dtype)

    def _held(self, q: Float[Array, " n"]) -> Float[Array, " n"]:
        """Compute the forces that hold against springs and the learned potential energy."""
        force = self.spring_forces(q)
        return force if self.extra is None else force + self.extra.forces(q)

    def _newton_euler(
        self,
        q: Float[Array, " n"],
        qd: Float[Array, " n"],
        qdd: Float[Array, " n"],
        weight: float,
    ) -> Float[Array, " n"]:
        gravity = weight * self.gravity.astype(q.dtype)
        force = recursions.inverse_dynamics(self.tree, self._bodies(q), gravity, q, qd, qdd)
        return force + self._armature(q) * qdd
