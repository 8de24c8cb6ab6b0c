import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, Scalar

from ...mechanics import MechanicalSystem, State

# Where the reward has fallen to a tenth: at this speed (rad/s), and this far from the middle
# of the track (m).
_SPEED_MARGIN = 20.0
_TRACK_MARGIN = 2.0


class SuiteTask(eqx.Module):
    """A task of the rigid-body suite of Ramesh & Ravindran (2023), in pure JAX.

    A chain of links, on a pivot or on a cart, hangs down and shall stand upright and still.
    Everything is a function of single states, to be put under `jit`, `vmap`, `scan` and
    `grad`; nothing ends an episode but its length. The physical parameters are leaves of
    `system`, so that `equinox.tree_at` changes them, and `jax.vmap` over a task with batched
    leaves gives each copy its own. Precision is that of the state, and `reset` takes that of
    the parameters; the reference is float64, under `jax.enable_x64`.

    Make one with [`lagdyna.tasks.suite_task`][].

    **Arguments:**

    - `name`: the short name, such as `"acrobot"`.
    - `system`: its coordinates are that of a cart, if there is one, in metres, then relative
        joint angles in radians, all 0 when the chain is upright.
    - `action_size`: how many actions `m` its actuation takes.
    - `dt`: seconds between two actions, which is one step of the classic Runge-Kutta method.
    - `horizon`: steps of an episode.
    - `spread`: the standard deviation of the coordinates at the start, m and rad.

    **Raises:** `ValueError` if the coordinates are not as above, or `action_size`, `dt`,
    `horizon` or `spread` is out of range.
    """

    name: str = eqx.field(static=True)
    system: MechanicalSystem
    action_size: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    horizon: int = eqx.field(static=True, default=1000)
    spread: float = eqx.field(static=True, default=0.01)

    def __check_init__(self):
        angles = self.system.coordinates.angles
        if not all(angles[1:]) or angles == (False,):
            raise ValueError(
                "`system` must have one linear coordinate or none, and after it angles only, "
                f"one at least; which of its coordinates are angles was {angles}"
            )
        if self.action_size < 1:
            raise ValueError(f"`action_size` must be at least 1, got {self.action_size}")
        if not (self.dt > 0 and np.isfinite(self.dt)):
            raise ValueError(f"`dt` must be a positive number of seconds, got {self.dt}")
        if self.horizon < 1:
            raise ValueError(f"`horizon` must be at least 1, got {self.horizon}")
        if not (self.spread >= 0 and np.isfinite(self.spread)):
            raise ValueError(f"`spread` must be finite and not negative, got {self.spread}")

    @property
    def n(self) -> int:
        """The number of coordinates."""
        return self.system.coordinates.n

    @property
    def has_cart(self) -> bool:
        """Whether the first coordinate is the position of a cart."""
        return not self.system.coordinates.angles[0]

    @property
    def observation_size(self) -> int:
        """The length of an observation."""
        return self.system.coordinates.embedding_size + self.n

    def reset(self, key: Key[Array, ""]) -> State:
        """A first state: hanging at rest, each coordinate off by `spread` times a normal."""
        weights = jax.tree.leaves(eqx.filter(self.system, eqx.is_inexact_array))
        dtype = jnp.result_type(*weights) if weights else jnp.result_type(float)
        hanging = np.zeros(self.n)
        hanging[int(self.has_cart)] = np.pi
        noise = self.spread * jax.random.normal(key, (self.n,), dtype)
        q = self.system.coordinates.wrap(jnp.asarray(hanging, dtype) + noise)
        return State(q, jnp.zeros_like(q))

    def advance(self, state: State, action: Float[Array, " m"]) -> State:
        """The state `dt` later. `action` is clipped to `[-1, 1]^m` and held.

        Angles of the result are in `(-pi, pi]`. Links that spin so fast that a step of `dt`
        cannot follow them, and gives what is not finite, stay as they are.

        **Raises:** `ValueError` for a state or an action of another shape.
        """
        return self._followed(state, action)[0]

    def step(self, state: State, action: Float[Array, " m"]) -> tuple[State, Scalar]:
        """The state `dt` later, as `advance` gives it, and its reward: 0 if it could not.

        **Raises:** `ValueError` for a state or an action of another shape.
        """
        following, finite = self._followed(state, action)
        return following, jnp.where(finite, self.reward(following), 0)

    def _followed(
        self, state: State, action: Float[Array, " m"]
    ) -> tuple[State, Bool[Array, ""]]:
        """The next state, and whether it could be computed."""
        action, shapes = jnp.asarray(action), {jnp.shape(x) for x in state}
        if action.shape != (self.action_size,) or shapes != {(self.n,)}:
            raise ValueError(
                f"`action` has shape {action.shape} and the state has arrays of shapes "
                f"{sorted(shapes)}; ({self.action_size},) and ({self.n},) are accepted, and "
                "batches by `jax.vmap`"
            )
        action = jnp.clip(action.astype(state.q.dtype), -1, 1)
        q, qd = _runge_kutta_step(self.system, state, action, self.dt)
        finite = jnp.all(jnp.isfinite(q) & jnp.isfinite(qd))
        after = State(self.system.coordinates.wrap(q), qd)
        return jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state), finite

    def observe(self, state: State) -> Float[Array, " obs"]:
        """`x` of a cart, then cosine and sine of each angle in turn, then all velocities."""
        q, qd = state
        angles = q[int(self.has_cart) :]
        pairs = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=-1)
        return jnp.concatenate([q[: int(self.has_cart)], pairs.ravel(), qd])

    def reward(self, state: State) -> Scalar:
        """How upright, how still and how central the state is, in `[0, 1]`.

            mean_i (cos theta_i + 1)/2  *  (1 + min_i g(thetad_i, 20))/2

        with `theta_i` the angle of link `i` from upright, the sum of the joint angles up to
        its own, and `g(z, m) = 0.1^((z/m)^2)`; with a cart, times `(1 + g(x, 2))/2` where
        `|x| <= 2` and times 0.1 elsewhere.
        """
        first = int(self.has_cart)
        theta, thetad = jnp.cumsum(state.q[first:]), jnp.cumsum(state.qd[first:])
        upright = jnp.mean((jnp.cos(theta) + 1) / 2)
        reward = upright * (1 + jnp.min(_gaussian(thetad, _SPEED_MARGIN))) / 2
        if self.has_cart:
            x = state.q[0]
            central = (1 + _gaussian(x, _TRACK_MARGIN)) / 2
            reward = reward * jnp.where(jnp.abs(x) <= _TRACK_MARGIN, central, 0.1)
        return reward


def _gaussian(z: Float[Array, "*shape"], margin: float) -> Float[Array, "*shape"]:
    """1 at 0 and 0.1 at `margin`."""
    return jnp.exp(np.log(0.1) * (z / margin) ** 2)


def _runge_kutta_step(
    system: MechanicalSystem, state: State, action: Float[Array, " m"], h: float
) -> State:
    """One step of the classic fourth-order method, which Diffrax does not have."""

    def slope(at: State) -> State:
        return State(at.qd, system.forward_dynamics(at.q, at.qd, action))

    def along(k: State, h: float) -> State:
        return State(state.q + h * k.q, state.qd + h * k.qd)

    k1 = slope(state)
    k2 = slope(along(k1, h / 2))
    k3 = slope(along(k2, h / 2))
    k4 = slope(along(k3, h))
    mean = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
    return along(mean, h)
