import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Coordinates(eqx.Module):
    """Which generalised coordinates are angles and which are linear.

    Networks see an angle as `(cos, sin)`, so what they learn is periodic; states are
    compared along the shorter way round the circle. Linear coordinates pass through.

    **Arguments:**

    - `angles`: for each coordinate, whether it is an angle in radians. Its length is the
        number of degrees of freedom `n`.
    - `chain`: whether angles that follow each other are those of the joints of a chain, each
        counted from the link before. Networks then see the sums of consecutive angles too,
        which are the directions of the links, from the ground and from each other.

    **Raises:** `ValueError` if `angles` is empty.
    """

    angles: tuple[bool, ...] = eqx.field(static=True)
    chain: bool = eqx.field(static=True)

    def __init__(self, angles: tuple[bool, ...], chain: bool = False):
        if len(angles) == 0:
            raise ValueError("`angles` was empty: a system has at least one coordinate")
        self.angles = tuple(bool(angle) for angle in angles)
        self.chain = bool(chain)

    @property
    def n(self) -> int:
        """The number of degrees of freedom."""
        return len(self.angles)

    @property
    def embedding_size(self) -> int:
        """The length of `embed(q)`: two for each angle and each sum of angles, one for each
        linear coordinate."""
        return len(self.angles) + sum(self.angles) + 2 * len(self._sums)

    def first(self, n: int) -> "Coordinates":
        """The first `n` of them."""
        return Coordinates(self.angles[:n], self.chain)

    def embed(self, q: Float[Array, " n"]) -> Float[Array, " embedding"]:
        """What networks see of `q`: linear coordinates, then cosines, then sines of angles and,
        of a chain, of the sums of two and more angles that follow each other."""
        is_angle = np.asarray(self.angles)
        directions = q[is_angle]
        if self._sums:
            sums = [jnp.sum(q[first:last]) for first, last in self._sums]
            directions = jnp.concatenate([directions, jnp.stack(sums)])
        return jnp.concatenate([q[~is_angle], jnp.cos(directions), jnp.sin(directions)])

    @property
    def _sums(self) -> list[tuple[int, int]]:
        """The ranges of coordinates that are summed."""
        ranges = [(i, j) for i in range(self.n) for j in range(i + 2, self.n + 1)]
        return [(i, j) for i, j in ranges if self.chain and all(self.angles[i:j])]

    def wrap(self, q: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """`q`, every angle brought into `(-pi, pi]`; the identity, to the bit, inside it."""
        # Counting turns, rather than taking a remainder, leaves an angle already inside
        # the interval untouched to the last bit.
        near = q - 2 * jnp.pi * jnp.round(q / (2 * jnp.pi))
        # Rounding, and -pi itself, can leave it just outside.
        near = jnp.where(near > jnp.pi, near - 2 * jnp.pi, near)
        near = jnp.where(near <= -jnp.pi, near + 2 * jnp.pi, near)
        return jnp.where(np.asarray(self.angles), near, q)

    def difference(
        self, a: Float[Array, "*batch n"], b: Float[Array, "*batch n"]
    ) -> Float[Array, "*batch n"]:
        """`a - b`, for angles along the shorter way round the circle."""
        return self.wrap(a - b)
