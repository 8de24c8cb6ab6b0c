import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..mechanics import AbstractRigidBody, Coordinates, linalg


class PlanarChain(AbstractRigidBody):
    """Rigid links in a vertical plane, one hung on the other, on a pivot or on a cart.

    The first coordinate is the cart's position `x` in metres, if there is a cart; the
    others are relative joint angles in radians. Link `i` stands at `theta_i`, the sum of
    the joint angles up to its own, from upright. With `r_ki` the length of link `i` that
    carries the centre of mass of link `k` (all of it below `k`, up to that centre for
    `k` itself), the mass matrix in the absolute angles is in closed form

        sum_k m_k r_ki r_kj cos(theta_i - theta_j), and I_i added on the diagonal,

    a cart couples through `sum_k m_k r_ki cos(theta_i)`, and the potential is
    `g sum_ki m_k r_ki cos(theta_i)`. `PlanarChain.rods()` makes the chains of Ramesh &
    Ravindran (2023), `PlanarChain.two_link_arm()` the robot of the DeLaN papers.

    **Arguments:** (all are trainable leaves)

    - `mass`: of each link, kg, shape `(links,)`.
    - `length`: of each link, m, shape `(links,)`.
    - `centre`: where along each link its centre of mass lies, a fraction, shape `(links,)`.
    - `inertia`: of each link about its centre of mass, kg m^2, shape `(links,)`.
    - `gravity`: m/s^2, a scalar array.
    - `cart_mass`: kg, a scalar array, or `None` for a chain on a fixed pivot.

    **Raises:** `ValueError` if there is no link or the lengths of the arrays differ.
    """

    mass: Float[Array, " links"]
    length: Float[Array, " links"]
    centre: Float[Array, " links"]
    inertia: Float[Array, " links"]
    gravity: Float[Array, ""]
    cart_mass: Float[Array, ""] | None = None

    def __check_init__(self):
        shapes = {x.shape for x in (self.mass, self.length, self.centre, self.inertia)}
        if len(shapes) != 1 or 0 in self.mass.shape:
            raise ValueError(
                "`mass`, `length`, `centre` and `inertia` must have one entry per link, "
                f"got shapes {sorted(shapes)}"
            )

    @classmethod
    def rods(
        cls,
        links: int,
        *,
        mass: float = 0.1,
        length: float = 1.0,
        gravity: float = 9.8,
        cart_mass: float | None = None,
    ) -> "PlanarChain":
        """`links` equal uniform rods: centre of mass at half the length, `I = m l^2 / 12`.

        The defaults are those of every chain of Ramesh & Ravindran (2023), whose reacher
        has gravity 0 and whose carts have mass 1. (Their pendulum is a point mass; see
        [`lagdyna.systems.Pendulum`][].)

        **Raises:** `ValueError` if `links` is not positive.
        """
        if links < 1:
            raise ValueError(f"`links` must be at least 1, got {links}")
        every = jnp.ones(links)
        return cls(
            mass * every,
            length * every,
            0.5 * every,
            mass * length**2 / 12 * every,
            jnp.asarray(gravity, every.dtype),
            None if cart_mass is None else jnp.asarray(cart_mass, every.dtype),
        )

    @classmethod
    def two_link_arm(cls, gravity: float = 9.81) -> "PlanarChain":
        """The planar arm with two actuated joints, as in the DeLaN papers.

        Two rods of 1 kg and 1 m. The papers print no parameters of theirs, so these are
        this library's choice.
        """
        return cls.rods(2, mass=1.0, length=1.0, gravity=gravity)

    @property
    def links(self) -> int:
        """The number of links."""
        return self.mass.shape[0]

    @property
    def coordinates(self) -> Coordinates:
        """One linear coordinate if there is a cart, then one angle for each link."""
        return Coordinates((False,) * (self.cart_mass is not None) + (True,) * self.links)

    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        theta = self._absolute_angles(q)
        cosine, sine = jnp.cos(theta), jnp.sin(theta)
        lever = self._levers()
        coupling = lever.T @ (self.mass[:, None] * lever)
        matrix = coupling * (jnp.outer(cosine, cosine) + jnp.outer(sine, sine))
        matrix = matrix + jnp.diag(self.inertia)
        # From absolute to relative angles: each joint carries all the links beyond it.
        carried = jnp.tri(self.links, dtype=self.mass.dtype).T
        matrix = carried @ matrix @ carried.T
        if self.cart_mass is not None:
            row = carried @ (self.mass @ lever * cosine)
            total = self.cart_mass + jnp.sum(self.mass)
            matrix = jnp.block([[total[None, None], row[None]], [row[:, None], matrix]])
        return linalg.cholesky(matrix.astype(q.dtype), upper=True)

    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        moments = self.mass @ self._levers()
        return self.gravity * jnp.sum(moments * jnp.cos(self._absolute_angles(q)))

    def _absolute_angles(self, q: Float[Array, " n"]) -> Float[Array, " links"]:
        return jnp.cumsum(q if self.cart_mass is None else q[1:])

    def _levers(self) -> Float[Array, "links links"]:
        """`r_ki`: how much of link `i` lies between the pivot and the centre of link `k`."""
        before = jnp.tri(self.links, k=-1, dtype=self.mass.dtype)
        return before * self.length + jnp.diag(self.centre * self.length)
