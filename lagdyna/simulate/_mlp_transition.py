import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..mechanics import Coordinates, State, frozen
from ..models import Activation, Network, softplus
from ._transition import AbstractTransition, check_limits, stopped


class MLPTransition(AbstractTransition):
    """Black-box discrete-time dynamics model: a network that predicts the change of state.

        (q, qd) -> (q, qd) + scale network(embed(q), qd / velocity_scale, action)

    This is the black-box baseline of Ramesh & Ravindran (2023). With
    [`lagdyna.learners.ResidualLoss`][] it is the constrained network of Das et al. (2026).
    The model has no `dt` and does not tie positions to velocities. Its predictions are
    valid only for the `dt` of its training data.

    **Arguments:**

    - `coordinates`: which coordinates are angles. The network receives an angle as
        `(cos, sin)`.
    - `action_size`: number of actions `m`.
    - `scale`: scale of the change of each coordinate and velocity, a `State` of shapes
        `(n,)`. It is not learned; see [`lagdyna.learners.step_scale`][]. Ones by default.
    - `velocity_scale`: divisor of each velocity at the input of the network, length `n`.
        Ones by default.
    - `velocity_limits`: largest magnitude of each velocity, length `n`. No limits by
        default.
    - `context_size`: number of trailing context coordinates, such as a target position.
        They stay constant, and the network does not receive them.
    - `stops`: as in [`lagdyna.simulate.SolvedTransition`][].
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise activation function.
    - `key`: random key for the initial weights.

    **Raises:** `ValueError` if a scale, `velocity_limits` or `stops` does not have length `n`,
    a limit or stop is not positive, or `context_size` is negative or not less than `n`.
    """

    network: Network
    coordinates: Coordinates
    scale: State
    velocity_scale: tuple[float, ...] = eqx.field(static=True)
    velocity_limits: tuple[float, ...] | None = eqx.field(static=True)
    context_size: int = eqx.field(static=True)
    stops: tuple[float, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        coordinates: Coordinates,
        action_size: int,
        *,
        scale: State | None = None,
        velocity_scale: tuple[float, ...] | None = None,
        velocity_limits: tuple[float, ...] | None = None,
        context_size: int = 0,
        stops: tuple[float, ...] | None = None,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = softplus,
        key: PRNGKeyArray,
    ):
        n = coordinates.n
        scale = State(jnp.ones(n), jnp.ones(n)) if scale is None else scale
        velocity_scale = (1.0,) * n if velocity_scale is None else velocity_scale
        given = (velocity_scale, velocity_limits, stops)
        lengths = [len(each) for each in given if each is not None]
        if any(length != n for length in (*scale.q.shape, *scale.qd.shape, *lengths)):
            raise ValueError(
                f"`scale`, `velocity_scale`, `velocity_limits` and `stops` must have {n} "
                "entries, one per coordinate"
            )
        if not 0 <= context_size < n:
            raise ValueError(
                f"`context_size` was {context_size}; with {n} coordinates, an integer from 0 "
                f"to {n - 1} is accepted"
            )
        check_limits(velocity_limits)
        check_limits(stops, "stops")
        moving = coordinates.first(n - context_size)
        in_size = moving.embedding_size + moving.n + action_size
        out_size = 2 * moving.n
        self.network = Network(in_size, out_size, hidden, activation, output_scale=0.1, key=key)
        self.context_size = context_size
        self.coordinates = coordinates
        self.scale = scale
        self.velocity_scale = velocity_scale
        self.velocity_limits = velocity_limits
        self.stops = stops

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        q, qd = state
        n = self.coordinates.n - self.context_size
        moving = self.coordinates.first(n)
        v = qd[:n] / jnp.asarray(self.velocity_scale[:n], qd.dtype)
        change = self.network(jnp.concatenate([moving.embed(q[:n]), v, action]))
        scale = frozen(self.scale)
        q = q.at[:n].add(scale.q[:n] * change[:n])
        qd = qd.at[:n].add(scale.qd[:n] * change[n:])
        if self.stops is not None:
            q, qd = stopped(State(q, qd), self.stops)
        if self.velocity_limits is not None:
            limits = jnp.asarray(self.velocity_limits, qd.dtype)
            qd = jnp.clip(qd, -limits, limits)
        return State(self.coordinates.wrap(q), qd)
