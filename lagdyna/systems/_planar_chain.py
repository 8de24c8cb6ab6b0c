from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..mechanics import AbstractRigidBody, Coordinates, linalg


class PlanarChain(AbstractRigidBody):
    """Planar serial chain of rigid links in a vertical plane, on a pivot or on a cart.

    With a cart, the first coordinate is its position `x` in metres. The other coordinates are
    relative joint angles in radians. The absolute angle `theta_i` of link `i` from upright is
    the sum of the joint angles up to joint `i`. Let `r_ki` be the part of link `i` between the
    pivot and the centre of mass of link `k`: the whole length if `i < k`, the distance to the
    centre of mass if `i = k`, and 0 otherwise. The mass matrix in absolute angles is

        M_ij = sum_k m_k r_ki r_kj cos(theta_i - theta_j) + I_i (if i = j)

    A cart adds the coupling `sum_k m_k r_ki cos(theta_i)`. The potential energy is
    `g sum_ki m_k r_ki cos(theta_i)`. `PlanarChain.rods()` constructs the chains of Ramesh &
    Ravindran (2023), and `PlanarChain.two_link_arm()` the robot of the DeLaN papers.

    **Arguments:** (all are trainable leaves)

    - `mass`: mass of each link, kg, shape `(links,)`.
    - `length`: length of each link, m, shape `(links,)`.
    - `centre`: position of the centre of mass along each link, as a fraction of its length,
        shape `(links,)`.
    - `inertia`: moment of inertia of each link about its centre of mass, kg m^2, shape
        `(links,)`.
    - `gravity`: gravitational acceleration, m/s^2, a scalar array.
    - `cart_mass`: mass of the cart, kg, a scalar array, or `None` for a chain on a fixed pivot.
    - `armature`: inertia of each joint's rotor as the joint feels it, the rotor's inertia
        times the squared gear ratio, kg m^2, shape `(links,)`. It adds to the diagonal of the
        mass matrix in joint angles. `None`, the default, for none.

    **Raises:** `ValueError` if there is no link or if the arrays differ in length.
    """

    mass: Float[Array, " links"]
    length: Float[Array, " links"]
    centre: Float[Array, " links"]
    inertia: Float[Array, " links"]
    gravity: Float[Array, ""]
    cart_mass: Float[Array, ""] | None = None
    armature: Float[Array, " links"] | None = None

    positive_parameters: ClassVar[tuple[str, ...]] = (
        "mass",
        "length",
        "inertia",
        "cart_mass",
        "armature",
    )

    def __check_init__(self):
        each = [self.mass, self.length, self.centre, self.inertia]
        named = "`mass`, `length`, `centre` and `inertia`"
        if self.armature is not None:
            each.append(self.armature)
            named = "`mass`, `length`, `centre`, `inertia` and `armature`"
        shapes = {x.shape for x in each}
        if len(shapes) != 1 or 0 in self.mass.shape:
            raise ValueError(
                f"{named} must have one entry per link, got shapes {sorted(shapes)}"
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
        """Construct a chain of equal uniform rods.

        The centre of mass is at half the length, and `I = m l^2 / 12`. The defaults are those
        of Ramesh & Ravindran (2023). Their reacher has gravity 0 and their carts have a mass of
        1 kg. Their pendulum is a point mass; see [`lagdyna.systems.Pendulum`][].

        **Arguments:**

        - `links`: number of links.
        - `mass`: mass of each link, kg.
        - `length`: length of each link, m.
        - `gravity`: gravitational acceleration, m/s^2.
        - `cart_mass`: mass of the cart, kg, or `None` for a fixed pivot.

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
        """Construct a planar arm of two rods, as in the DeLaN papers.

        The rods have 1 kg and 1 m. The papers do not print their parameters; these values are
        this library's choice.
        """
        return cls.rods(2, mass=1.0, length=1.0, gravity=gravity)

    @property
    def links(self) -> int:
        """Number of links."""
        return self.mass.shape[0]

    @property
    def coordinates(self) -> Coordinates:
        """One linear coordinate if there is a cart, then one angle for each link."""
        return Coordinates((False,) * (self.cart_mass is not None) + (True,) * self.links)

    def warnings(self) -> list[str]:
        """Describe links whose mass could not be distributed as their parameters say."""
        found = []
        for i in range(self.links):
            mass, length, centre, inertia = (
                float(x[i]) for x in (self.mass, self.length, self.centre, self.inertia)
            )
            if not 0 <= centre <= 1:
                found.append(
                    f"`centre[{i}]` is {centre:.3g}, so the centre of mass of link {i} is "
                    "outside the link, which 0 to 1 describe"
                )
            elif inertia > (largest := mass * centre * (1 - centre) * length**2):
                found.append(
                    f"`inertia[{i}]` is {inertia:.3g} kg m^2, and a link of {mass:.3g} kg "
                    f"within its {length:.3g} m with this centre of mass has at most "
                    f"{largest:.3g}"
                )
        return found

    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        theta = self._absolute_angles(q)
        cosine, sine = jnp.cos(theta), jnp.sin(theta)
        levers = self._levers()
        coupling = levers.T @ (self.mass[:, None] * levers)
        matrix = coupling * (jnp.outer(cosine, cosine) + jnp.outer(sine, sine))
        matrix = matrix + jnp.diag(self.inertia)
        # Transform from absolute to relative angles: each joint moves all links beyond it.
        descendants = jnp.tri(self.links, dtype=self.mass.dtype).T
        matrix = descendants @ matrix @ descendants.T
        if self.armature is not None:
            matrix = matrix + jnp.diag(self.armature)
        if self.cart_mass is not None:
            row = descendants @ (self.mass @ levers * cosine)
            total = self.cart_mass + jnp.sum(self.mass)
            matrix = jnp.block([[total[None, None], row[None]], [row[:, None], matrix]])
        return linalg.cholesky(matrix.astype(q.dtype), upper=True)

    def potential_energy(self, q: Float[Array, " n"]) -> Scalar:
        moments = self.mass @ self._levers()
        return self.gravity * jnp.sum(moments * jnp.cos(self._absolute_angles(q)))

    def _absolute_angles(self, q: Float[Array, " n"]) -> Float[Array, " links"]:
        return jnp.cumsum(q if self.cart_mass is None else q[1:])

    def _levers(self) -> Float[Array, "links links"]:
        """Compute `r_ki`, the part of link `i` between the pivot and the centre of link `k`.

        **Returns:** an array of shape `(links, links)` with rows `k` and columns `i`, metres.
        """
        before = jnp.tri(self.links, k=-1, dtype=self.mass.dtype)
        return before * self.length + jnp.diag(self.centre * self.length)
