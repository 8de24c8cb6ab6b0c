import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, Scalar

from ...mechanics import MechanicalSystem, State
from ...models import AbstractReward

# Speed (rad/s) and cart position (m) at which the Gaussian factor of the reward is 0.1.
_SPEED_MARGIN = 20.0
_TRACK_MARGIN = 2.0


class SuiteTask(eqx.Module):
    """Task of the rigid-body suite, in pure JAX.

    A chain of links, on a pivot or on a cart, hangs down at the start. The goal is to hold it
    upright at rest. Episodes have a fixed length and never terminate. The defaults are those
    of Ramesh & Ravindran (2023).

    All methods take single states and work under `jit`, `vmap`, `scan` and `grad`. The physical
    parameters are leaves of `system`; change them with `equinox.tree_at`. To give each copy its
    own parameters, apply `jax.vmap` to a task with batched leaves. `reset` uses the precision
    of the parameters, the other methods that of the state. The reference precision is float64,
    under `jax.enable_x64`.

    Construct a task with [`lagdyna.tasks.suite_task`][].

    **Arguments:**

    - `name`: the short name, such as `"acrobot"`.
    - `system`: the mechanical system. Its coordinates are the position of a cart (metres), if
        there is one, then relative joint angles (radians). All are 0 for an upright chain.
    - `action_size`: number of actions `m` of the actuation.
    - `dt`: seconds between two actions.
    - `horizon`: steps per episode.
    - `spread`: standard deviation of the initial coordinates, m and rad, one number or one per
        coordinate.
    - `speed_spread`: standard deviation of the initial velocities, m/s and rad/s.
    - `substeps`: number of equal steps of the classic Runge-Kutta method per `dt`.
    - `objective`: the reward of a transition; `None` for that of Ramesh & Ravindran (2023).

    **Raises:** `ValueError` if the coordinates are not as above, or if `action_size`, `dt`,
    `horizon`, `spread`, `speed_spread` or `substeps` is out of range.
    """

    name: str = eqx.field(static=True)
    system: MechanicalSystem
    action_size: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    horizon: int = eqx.field(static=True, default=1000)
    spread: float | tuple[float, ...] = eqx.field(static=True, default=0.01)
    speed_spread: float = eqx.field(static=True, default=0.0)
    substeps: int = eqx.field(static=True, default=1)
    objective: AbstractReward | None = None

    def __check_init__(self):
        angles = self.system.coordinates.angles
        if not all(angles[1:]) or angles == (False,):
            raise ValueError(
                "`system` must have one linear coordinate or none, followed by at least one "
                f"angle and nothing else; `coordinates.angles` was {angles}"
            )
        if self.action_size < 1:
            raise ValueError(f"`action_size` must be at least 1, got {self.action_size}")
        if not (self.dt > 0 and np.isfinite(self.dt)):
            raise ValueError(f"`dt` must be a positive number of seconds, got {self.dt}")
        if self.horizon < 1:
            raise ValueError(f"`horizon` must be at least 1, got {self.horizon}")
        if self.substeps < 1:
            raise ValueError(f"`substeps` must be at least 1, got {self.substeps}")
        for name in ("spread", "speed_spread"):
            given = np.asarray(getattr(self, name))
            if not np.all((given >= 0) & np.isfinite(given)):
                raise ValueError(
                    f"`{name}` must be finite and not negative, got {getattr(self, name)}"
                )
        if np.ndim(self.spread) and np.shape(self.spread) != (len(angles),):
            raise ValueError(
                f"`spread` has {np.size(self.spread)} entries; one number, or {len(angles)}, "
                "one for each coordinate, are accepted"
            )

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return self.system.coordinates.n

    @property
    def has_cart(self) -> bool:
        """Whether the first coordinate is the position of a cart."""
        return not self.system.coordinates.angles[0]

    @property
    def observation_size(self) -> int:
        """Length of an observation."""
        return self.system.coordinates.embedding_size + self.n

    def reset(self, key: Key[Array, ""]) -> State:
        """Sample a first state: hanging at rest, with normal noise.

        **Arguments:**

        - `key`: PRNG key of the noise. Its standard deviation is `spread` on the coordinates
            and `speed_spread` on the velocities.

        **Returns:** the state, arrays of shape `(n,)`.
        """
        weights = jax.tree.leaves(eqx.filter(self.system, eqx.is_inexact_array))
        dtype = jnp.result_type(*weights) if weights else jnp.result_type(float)
        hanging = np.zeros(self.n)
        hanging[int(self.has_cart)] = np.pi
        spread = jnp.asarray(self.spread, dtype)
        noise = spread * jax.random.normal(key, (self.n,), dtype)
        q = self.system.coordinates.wrap(jnp.asarray(hanging, dtype) + noise)
        if self.speed_spread == 0:
            return State(q, jnp.zeros_like(q))
        speeds = jax.random.normal(jax.random.fold_in(key, 1), (self.n,), dtype)
        return State(q, self.speed_spread * speeds)

    def advance(self, state: State, action: Float[Array, " m"]) -> State:
        """Compute the state after `dt`, with the action held.

        Angles of the result are in `(-pi, pi]`. If the result is not finite, because the links
        spin too fast for the step, the state is returned unchanged.

        **Arguments:**

        - `state`: the current state, arrays of shape `(n,)`.
        - `action`: control, shape `(m,)`, clipped to `[-1, 1]^m`.

        **Raises:** `ValueError` for a state or an action of another shape.
        """
        return self._integrate(state, action)[0]

    def step(self, state: State, action: Float[Array, " m"]) -> tuple[State, Scalar]:
        """Compute the state after `dt`, as in `advance`, and its reward.

        The reward is 0 if the integration was not finite.

        **Arguments:**

        - `state`: the current state, arrays of shape `(n,)`.
        - `action`: control, shape `(m,)`, clipped to `[-1, 1]^m`.

        **Returns:** the next state and the reward, a scalar.

        **Raises:** `ValueError` for a state or an action of another shape.
        """
        following, finite = self._integrate(state, action)
        action = jnp.clip(jnp.asarray(action, state.q.dtype), -1, 1)
        return following, jnp.where(finite, self.reward(following, action), 0)

    def _integrate(
        self, state: State, action: Float[Array, " m"]
    ) -> tuple[State, Bool[Array, ""]]:
        """Integrate one step and return the next state and whether it is finite."""
        action, shapes = jnp.asarray(action), {jnp.shape(x) for x in state}
        if action.shape != (self.action_size,) or shapes != {(self.n,)}:
            raise ValueError(
                f"`action` has shape {action.shape} and the state has arrays of shapes "
                f"{sorted(shapes)}; ({self.action_size},) and ({self.n},) are accepted; use "
                "`jax.vmap` for batches"
            )
        action = jnp.clip(action.astype(state.q.dtype), -1, 1)
        q, qd = self._solve(state, action)
        finite = jnp.all(jnp.isfinite(q) & jnp.isfinite(qd))
        result = State(self.system.coordinates.wrap(q), qd)
        return jax.tree.map(lambda new, old: jnp.where(finite, new, old), result, state), finite

    def _solve(self, state: State, action: Float[Array, " m"]) -> State:
        """Integrate one `dt`."""
        if self.substeps == 1:
            return _runge_kutta_step(self.system, state, action, self.dt)

        def body(at: State, _: None) -> tuple[State, None]:
            return _runge_kutta_step(self.system, at, action, self.dt / self.substeps), None

        return jax.lax.scan(body, state, length=self.substeps)[0]

    def observe(self, state: State) -> Float[Array, " obs"]:
        """Compute the observation of a state, shape `(observation_size,)`.

        It contains the position of a cart, then cosine and sine of each angle in turn, then all
        velocities.
        """
        q, qd = state
        angles = q[int(self.has_cart) :]
        pairs = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=-1)
        return jnp.concatenate([q[: int(self.has_cart)], pairs.ravel(), qd])

    def reward(self, state: State, action: Float[Array, " m"] | None = None) -> Scalar:
        """Compute the reward of a state, and of the action that led to it.

        It is that of the `objective`, if the task has one. Otherwise it is in `[0, 1]` and
        does not depend on the action:

            mean_i (cos theta_i + 1)/2  *  (1 + min_i g(thetad_i, 20))/2

        Here `theta_i` is the angle of link `i` from upright, the sum of the joint angles up to
        joint `i`, and `g(z, m) = 0.1^((z/m)^2)`. With a cart, the reward is multiplied by
        `(1 + g(x, 2))/2` if `|x| <= 2`, and by 0.1 otherwise.

        **Arguments:**

        - `state`: the state that is reached.
        - `action`: control in `[-1, 1]^m`, shape `(m,)`; zeros by default.
        """
        if self.objective is not None:
            still = jnp.zeros(self.action_size, state.q.dtype)
            return self.objective(state, still if action is None else action, state)
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
    """Evaluate the Gaussian that is 1 at 0 and 0.1 at `margin`."""
    return jnp.exp(np.log(0.1) * (z / margin) ** 2)


def _runge_kutta_step(
    system: MechanicalSystem, state: State, action: Float[Array, " m"], h: float
) -> State:
    """Integrate one step of the classic fourth-order Runge-Kutta method.

    Diffrax does not provide this method.
    """

    def slope(at: State) -> State:
        return State(at.qd, system.forward_dynamics(at.q, at.qd, action))

    def euler(k: State, h: float) -> State:
        return State(state.q + h * k.q, state.qd + h * k.qd)

    k1 = slope(state)
    k2 = slope(euler(k1, h / 2))
    k3 = slope(euler(k2, h / 2))
    k4 = slope(euler(k3, h))
    mean = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
    return euler(mean, h)
