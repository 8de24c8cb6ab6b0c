import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..mechanics import Coordinates, State, frozen
from ..models import Activation, Network, softplus
from ._transition import AbstractTransition, check_limits


class MLPTransition(AbstractTransition):
    """A network for the change of state over one action: the discrete black box.

        (q, qd) -> (q, qd) + scale network(embed(q), qd / velocity_scale, action)

    The baseline of Ramesh & Ravindran (2023), and of Das et al. (2026) with
    [`lagdyna.learners.ResidualLoss`][]. It knows neither `dt` nor that positions follow from
    velocities, and holds for the `dt` of its data only.

    **Arguments:**

    - `coordinates`: which coordinates are angles; the network sees those as `(cos, sin)`.
    - `action_size`: `m`.
    - `scale`: the magnitude of the change of each coordinate and velocity, a `State` of
        shapes `(n,)`, not learned; see [`lagdyna.learners.step_scale`][]. Ones by default.
    - `velocity_scale`: the magnitude that each velocity is divided by, length `n`; ones
        by default.
    - `velocity_limits`: the largest magnitude of each velocity; infinite by default.
    - `held`: how many of the last coordinates stay as they are, such as where a target
        lies. The network does not see them.
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise.
    - `key`: for the initial weights.

    **Raises:** `ValueError` if a scale or the limits are not of length `n`, a limit is not
    positive, or nothing would move.
    """

    network: Network
    coordinates: Coordinates
    scale: State
    velocity_scale: tuple[float, ...] = eqx.field(static=True)
    velocity_limits: tuple[float, ...] | None = eqx.field(static=True)
    held: int = eqx.field(static=True)

    def __init__(
        self,
        coordinates: Coordinates,
        action_size: int,
        *,
        scale: State | None = None,
        velocity_scale: tuple[float, ...] | None = None,
        velocity_limits: tuple[float, ...] | None = None,
        held: int = 0,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = softplus,
        key: PRNGKeyArray,
    ):
        n = coordinates.n
        scale = State(jnp.ones(n), jnp.ones(n)) if scale is None else scale
        velocity_scale = (1.0,) * n if velocity_scale is None else velocity_scale
        limits = (0.0,) * n if velocity_limits is None else velocity_limits
        lengths = (*scale.q.shape, *scale.qd.shape, len(velocity_scale), len(limits))
        if lengths != (n,) * 4:
            raise ValueError(
                f"`scale`, `velocity_scale` and `velocity_limits` must have {n} entries, one "
                "for each coordinate"
            )
        if not 0 <= held < n:
            raise ValueError(f"`held` must leave one of {n} coordinates to move, got {held}")
        check_limits(velocity_limits)
        moving = coordinates.first(n - held)
        in_size = moving.embedding_size + moving.n + action_size
        out_size = 2 * moving.n
        self.network = Network(in_size, out_size, hidden, activation, output_scale=0.1, key=key)
        self.held = held
        self.coordinates = coordinates
        self.scale = scale
        self.velocity_scale = velocity_scale
        self.velocity_limits = velocity_limits

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        q, qd = state
        n = self.coordinates.n - self.held
        moving = self.coordinates.first(n)
        v = qd[:n] / jnp.asarray(self.velocity_scale[:n], qd.dtype)
        change = self.network(jnp.concatenate([moving.embed(q[:n]), v, action]))
        unit = frozen(self.scale)
        q = q.at[:n].add(unit.q[:n] * change[:n])
        qd = qd.at[:n].add(unit.qd[:n] * change[n:])
        if self.velocity_limits is not None:
            limits = jnp.asarray(self.velocity_limits, qd.dtype)
            qd = jnp.clip(qd, -limits, limits)
        return State(self.coordinates.wrap(q), qd)
