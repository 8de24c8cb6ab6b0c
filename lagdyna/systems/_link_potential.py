"""Learned potential energy of the links of a robot."""

import functools
from statistics import NormalDist

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from . import _recursions as recursions
from ._tree import KinematicTree

_FREQUENCIES = 32  # of each link
_HARMONICS = 3  # of each joint
_LENGTH = 1.5  # of the reach of a robot


class LinkPotential(eqx.Module):
    """Potential energy of where the links of a robot are, linear in its weights.

    It stands for cables, hoses, springs and counterweights that a robot description lacks. It
    is a sum of functions of each link's position in space, by random Fourier features (Rahimi
    & Recht 2007) at quasi-random frequencies, and of a few harmonics of each joint. Functions
    of three numbers are learned from far fewer motions than those of all joints together.

    **Arguments:**

    - `tree`: kinematics of the robot.
    - `length`: distance over which the energy varies, m. By default 1.5 times the
        reach of the robot.

    **Attributes:** `weights`, trainable, 0 at first; those of links in N, those of joints too.
    """

    weights: Float[Array, " features"]
    tree: KinematicTree
    length: float = eqx.field(static=True)

    def __init__(self, tree: KinematicTree, length: float | None = None):
        reach = float(np.sum(np.linalg.norm(np.array(tree.position), axis=1)))
        self.tree = tree
        self.length = _LENGTH * max(reach, 1e-3) if length is None else length
        self.weights = jnp.zeros(tree.links * (_FREQUENCIES + 2 * _HARMONICS))

    def features(self, q: Float[Array, " n"]) -> Float[Array, " features"]:
        """Compute the energies whose weighted sum is the potential energy, metres."""
        _, positions = recursions.link_poses(self.tree, q)
        waves, phases = (jnp.asarray(x, q.dtype) for x in _frequencies(self.tree.links))
        along = jnp.einsum("li,lki->lk", positions / self.length, waves)
        of_links = np.sqrt(2 / _FREQUENCIES) * jnp.cos(along + phases)
        turns = jnp.asarray(np.where(self.tree.slides, 1 / self.length, 1.0), q.dtype)
        order = jnp.arange(1, _HARMONICS + 1, dtype=q.dtype)
        angle = (turns * q)[:, None] * order
        of_joints = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=1) / jnp.tile(
            order, 2
        )
        return self.length * jnp.concatenate([of_links.ravel(), of_joints.ravel()])

    def energy(self, q: Float[Array, " n"]) -> Scalar:
        """Compute the potential energy, joules."""
        return self.weights.astype(q.dtype) @ self.features(q)

    def forces(self, q: Float[Array, " n"]) -> Float[Array, " n"]:
        """Compute the forces that hold against it, the gradient of the energy, N m or N."""
        return jax.grad(self.energy)(q)


@functools.cache
def _frequencies(links: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw frequencies of normal distribution and phases from an additive recurrence.

    The recurrence of Roberts (2018), of four dimensions: it is the same on every machine.

    **Returns:** shapes `(links, features, 3)` and `(links, features)`.
    """
    root = 2.0
    for _ in range(60):  # of x^5 = x + 1
        root = (1 + root) ** (1 / 5)
    steps = root ** -np.arange(1.0, 5.0)
    points = (0.5 + np.arange(1, links * _FREQUENCIES + 1)[:, None] * steps) % 1
    normal = np.vectorize(NormalDist().inv_cdf)(np.clip(points[:, :3], 1e-6, 1 - 1e-6))
    # Neighbouring points are alike, so that links take turns.
    shape = (_FREQUENCIES, links)
    waves = np.swapaxes(normal.reshape(*shape, 3), 0, 1)
    return waves, 2 * np.pi * points[:, 3].reshape(shape).T
