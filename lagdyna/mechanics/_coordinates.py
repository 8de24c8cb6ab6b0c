import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Coordinates(eqx.Module):
    """Description of the generalised coordinates: angles or linear.

    Networks take an angle as `(cos, sin)`, so learned functions are periodic in it.
    Differences of angles are taken along the shorter arc. Linear coordinates are unchanged.

    **Arguments:**

    - `angles`: for each coordinate, whether it is an angle (radians) or linear (metres). The
        length is the number of degrees of freedom `n`.
    - `chain`: whether consecutive angles are relative joint angles of a serial chain. The
        embedding then also contains sums of consecutive angles. These are the orientations of
        the links, relative to the ground and to each other.

    **Raises:** `ValueError` if `angles` is empty.
    """

    angles: tuple[bool, ...] = eqx.field(static=True)
    chain: bool = eqx.field(static=True)

    def __init__(self, angles: tuple[bool, ...], chain: bool = False):
        if len(angles) == 0:
            raise ValueError("`angles` is empty; give one boolean per coordinate, at least one")
        self.angles = tuple(bool(angle) for angle in angles)
        self.chain = bool(chain)

    @property
    def n(self) -> int:
        """Number of degrees of freedom."""
        return len(self.angles)

    @property
    def embedding_size(self) -> int:
        """Length of `embed(q)`.

        Each angle and each sum of angles counts twice, each linear coordinate once.
        """
        return len(self.angles) + sum(self.angles) + 2 * len(self._angle_sums)

    def first(self, n: int) -> "Coordinates":
        """Return the first `n` coordinates."""
        return Coordinates(self.angles[:n], self.chain)

    def embed(self, q: Float[Array, " n"]) -> Float[Array, " embedding"]:
        """Embed `q` as input features of a network.

        The features are the linear coordinates, then all cosines, then all sines. For a
        chain, sums of two or more consecutive angles follow as further angles.

        **Returns:** the features, shape `(embedding_size,)`.
        """
        is_angle = np.asarray(self.angles)
        angles = q[is_angle]
        if self._angle_sums:
            sums = [jnp.sum(q[first:last]) for first, last in self._angle_sums]
            angles = jnp.concatenate([angles, jnp.stack(sums)])
        return jnp.concatenate([q[~is_angle], jnp.cos(angles), jnp.sin(angles)])

    @property
    def embedded_angles(self) -> Float[np.ndarray, "angles n"]:
        """Rows of the sums of coordinates whose cosines and sines are in `embed(q)`."""
        rows = [np.eye(self.n)[i] for i, angle in enumerate(self.angles) if angle]
        for first, last in self._angle_sums:
            rows.append(np.eye(self.n)[first:last].sum(axis=0))
        return np.stack(rows) if rows else np.zeros((0, self.n))

    @property
    def _angle_sums(self) -> list[tuple[int, int]]:
        """Ranges `(first, last)` of consecutive angles that the embedding sums."""
        ranges = [(i, j) for i in range(self.n) for j in range(i + 2, self.n + 1)]
        return [(i, j) for i, j in ranges if self.chain and all(self.angles[i:j])]

    def wrap(self, q: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Wrap every angle into `(-pi, pi]`.

        Angles that already lie in the interval are returned bit for bit.
        """
        # Subtracting whole turns, unlike a remainder, keeps the bits of an angle inside.
        wrapped = q - 2 * jnp.pi * jnp.round(q / (2 * jnp.pi))
        # Rounding, and -pi itself, can leave the result just outside the interval.
        wrapped = jnp.where(wrapped > jnp.pi, wrapped - 2 * jnp.pi, wrapped)
        wrapped = jnp.where(wrapped <= -jnp.pi, wrapped + 2 * jnp.pi, wrapped)
        return jnp.where(np.asarray(self.angles), wrapped, q)

    def difference(
        self, a: Float[Array, "*batch n"], b: Float[Array, "*batch n"]
    ) -> Float[Array, "*batch n"]:
        """Compute `a - b`, for angles along the shorter arc."""
        return self.wrap(a - b)
