from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._state import State


class Units(NamedTuple):
    """Natural units of a system: in them its motion, masses and forces are of order one.

    Networks train well on numbers of order one, whatever the size of the machine. The unit of
    force on coordinate `i` is `energy / position[i]`, and that of its mass
    `energy time^2 / position[i]^2`, so the equations of motion keep their form.

    **Attributes:**

    - `time`: seconds.
    - `energy`: joules.
    - `position`: unit of each coordinate, length `n`, metres; 1 for an angle.
    - `origin`: value of each coordinate that becomes 0, length `n`; 0 for an angle.
    - `action`: unit of each action, length `m`.
    """

    time: float
    energy: float
    position: tuple[float, ...]
    origin: tuple[float, ...]
    action: tuple[float, ...]

    @property
    def velocity(self) -> tuple[float, ...]:
        """Unit of each velocity, m/s or rad/s."""
        return tuple(length / self.time for length in self.position)

    @property
    def acceleration(self) -> tuple[float, ...]:
        """Unit of each acceleration, m/s^2 or rad/s^2."""
        return tuple(length / self.time**2 for length in self.position)

    @property
    def force(self) -> tuple[float, ...]:
        """Unit of each generalised force, N or N m."""
        return tuple(self.energy / length for length in self.position)

    @property
    def momentum(self) -> tuple[float, ...]:
        """Unit of each generalised momentum."""
        return tuple(self.energy * self.time / length for length in self.position)

    @property
    def mass(self) -> tuple[float, ...]:
        """Unit of each diagonal entry of the mass matrix, kg or kg m^2."""
        return tuple(self.energy * self.time**2 / length**2 for length in self.position)

    def inverse(self) -> "Units":
        """Return the units that convert natural quantities back."""
        return Units(
            time=1 / self.time,
            energy=1 / self.energy,
            position=tuple(1 / x for x in self.position),
            origin=tuple(-c / x for c, x in zip(self.origin, self.position, strict=True)),
            action=tuple(1 / x for x in self.action),
        )

    def natural_q(self, q: Float[Array, " n"]) -> Float[Array, " n"]:
        """Convert coordinates to natural units. Context that follows them is unchanged."""
        origin, unit = self.extended(self.origin, q, 0.0), self.extended(self.position, q)
        return (q - origin) / unit

    def natural_qd(self, qd: Float[Array, " n"]) -> Float[Array, " n"]:
        """Convert velocities to natural units."""
        return qd / self.extended(self.velocity, qd)

    def natural(self, state: State) -> State:
        """Convert a state to natural units."""
        return State(self.natural_q(state.q), self.natural_qd(state.qd))

    def si(self, state: State) -> State:
        """Convert a state in natural units to SI units."""
        q, qd = state
        unit, origin = self.extended(self.position, q), self.extended(self.origin, q, 0.0)
        return State(q * unit + origin, qd * self.extended(self.velocity, qd))

    def extended(
        self, unit: tuple[float, ...], like: Float[Array, "*batch n"], rest: float = 1.0
    ) -> np.ndarray:
        """Extend a unit of the coordinates to a whole state, whose context has unit 1.

        **Arguments:** `unit`, such as `position`; `like`, an array of the length and type of
        the result; `rest`, the value for the context.
        """
        return np.asarray([*unit, *(rest,) * (like.shape[-1] - len(unit))], like.dtype)


def unit_array(units: tuple[float, ...], like: Array) -> Array:
    """Convert units to an array of the type of `like`."""
    return jnp.asarray(np.asarray(units), like.dtype)
