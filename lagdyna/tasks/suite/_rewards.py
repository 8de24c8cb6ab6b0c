import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ...mechanics import State
from ...models import AbstractReward


class TipReward(AbstractReward):
    """Reward for a high tip, low speed and little effort of a chain on a pivot.

        (1 + y/l)/2  *  min_i g(thetad_i, s)  -  c mean(action^2)

    Here `y` is the height of the tip above the pivot, `l` its largest value, `thetad_i` the
    angular velocity of link `i`, and `g(z, s) = 0.1^((z/s)^2)`.

    **Arguments:**

    - `lengths`: length of each link, m.
    - `speed`: `s`, rad/s.
    - `effort`: `c`, the cost of the largest action.
    """

    lengths: tuple[float, ...] = eqx.field(static=True)
    speed: float = eqx.field(static=True, default=20.0)
    effort: float = eqx.field(static=True, default=0.2)

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        theta, thetad = jnp.cumsum(next_state.q), jnp.cumsum(next_state.qd)
        lengths = jnp.asarray(self.lengths, theta.dtype)
        height = jnp.sum(lengths * jnp.cos(theta)) / sum(self.lengths)
        slow = jnp.min(0.1 ** ((thetad / self.speed) ** 2))
        return (1 + height) / 2 * slow - self.effort * jnp.mean(action**2)


class SaturatingReward(AbstractReward):
    """Reward of PILCO for a chain on a cart: 1 minus its saturating cost.

        exp(-d^2 / (2 w^2))

    Here `d` is the distance of the tip from its goal, and `w` the width. The goal is the
    position of the tip of an upright chain with the cart in the middle of the track.

    Source: Deisenroth & Rasmussen (2011).

    **Arguments:**

    - `lengths`: length of each link, m.
    - `width`: `w`, m.
    """

    lengths: tuple[float, ...] = eqx.field(static=True)
    width: float = eqx.field(static=True)

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        theta = jnp.cumsum(next_state.q[1:])
        lengths = jnp.asarray(self.lengths, theta.dtype)
        x = next_state.q[0] + jnp.sum(lengths * jnp.sin(theta))
        y = jnp.sum(lengths * (jnp.cos(theta) - 1))
        return jnp.exp(-(x**2 + y**2) / (2 * self.width**2))
