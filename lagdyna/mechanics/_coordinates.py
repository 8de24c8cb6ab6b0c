import math

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
    - `link_lengths`: lengths of the links of a planar arm that reaches for a target, metres;
        empty by default. The first coordinates are then its relative joint angles, the first
        of them from the x axis, and the last two coordinates are x and y of the target. The
        embedding then also contains the vector from the tip to the target and their distance,
        in units of the arm's length.

    **Raises:** `ValueError` if `angles` is empty, a length is not positive and finite, or the
    coordinates are not those of the links and a target.
    """

    angles: tuple[bool, ...] = eqx.field(static=True)
    chain: bool = eqx.field(static=True)
    link_lengths: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        angles: tuple[bool, ...],
        chain: bool = False,
        link_lengths: tuple[float, ...] = (),
    ):
        if len(angles) == 0:
            raise ValueError("`angles` is empty; give one boolean per coordinate, at least one")
        self.angles = tuple(bool(angle) for angle in angles)
        self.chain = bool(chain)
        self.link_lengths = tuple(float(length) for length in link_lengths)
        links = len(self.link_lengths)
        if any(not 0 < length < math.inf for length in self.link_lengths):
            raise ValueError(
                f"`link_lengths` was {self.link_lengths}; positive finite lengths, metres, are "
                "accepted"
            )
        if links and self.angles != (*(True,) * links, False, False):
            raise ValueError(
                f"`link_lengths` has {links} links, which need {links} angles, then x and y of "
                f"a target; `angles` was {self.angles}"
            )

    @property
    def n(self) -> int:
        """Number of degrees of freedom."""
        return len(self.angles)

    @property
    def embedding_size(self) -> int:
        """Length of `embed(q)`.

        Each angle and each sum of angles counts twice, each linear coordinate once, and a
        target three times more.
        """
        plain = len(self.angles) + sum(self.angles) + 2 * len(self._angle_sums)
        return plain + 3 * bool(self.link_lengths)

    def first(self, n: int) -> "Coordinates":
        """Return the first `n` coordinates, without the links if the target is left out."""
        links = self.link_lengths if n == self.n else ()
        return Coordinates(self.angles[:n], self.chain, links)

    def embed(self, q: Float[Array, " n"]) -> Float[Array, " embedding"]:
        """Embed `q` as input features of a network.

        The features are the linear coordinates, then all cosines, then all sines. For a
        chain, sums of two or more consecutive angles follow as further angles. With links,
        the vector from tip to target and their distance come last.

        **Returns:** the features, shape `(embedding_size,)`.
        """
        is_angle = np.asarray(self.angles)
        angles = q[is_angle]
        if self._angle_sums:
            sums = [jnp.sum(q[first:last]) for first, last in self._angle_sums]
            angles = jnp.concatenate([angles, jnp.stack(sums)])
        parts = [q[~is_angle], jnp.cos(angles), jnp.sin(angles)]
        if self.link_lengths:
            parts.append(self.to_target(q))
        return jnp.concatenate(parts)

    def to_target(self, q: Float[Array, " n"]) -> Float[Array, " 3"]:
        """Compute the vector from tip to target and their distance, in lengths of the arm.

        The coordinates must have `link_lengths`.
        """
        lengths = jnp.asarray(self.link_lengths, q.dtype)
        directions = jnp.cumsum(q[:-2])
        tip = jnp.stack([lengths @ jnp.cos(directions), lengths @ jnp.sin(directions)])
        vector = (q[-2:] - tip) / sum(self.link_lengths)
        # A smooth distance, whose derivative exists at the target too.
        distance = jnp.sqrt(vector @ vector + _LEAST_DISTANCE**2)
        return jnp.append(vector, distance)

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


_LEAST_DISTANCE = 0.01  # from tip to target, in lengths of the arm
