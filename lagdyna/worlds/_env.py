from collections.abc import Sequence
from typing import Any

import equinox as eqx
import gymnasium as gym
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from .._errors import UserError
from ..mechanics import State
from ..simulate import WorldModel
from ._world import UserReward, World, world_of


class LearnedEnv(gym.Env[np.ndarray, np.ndarray]):
    """Gymnasium environment of the model that a run learned: `lagdyna/LearnedModel-v0`.

    An observation is `(q, qd)` in SI units, float32, shape `(2 n,)`, with angles in
    `(-pi, pi]`. Actions are in `[-1, 1]^m`: each is a part of its largest magnitude. An episode
    ends where the run learned that episodes end, and by the time limit of `gymnasium.make`.

    **Arguments:**

    - `run`: the directory of a fit, or of a training run of one seed.
    - `start`: coordinates at the start of an episode, at rest, rad and m. By default an episode
        starts in the first state of one of the run's episodes; a fit has none, and needs it.
    - `reward`: reward as `FILE.py:NAME` or as a function; see
        [`lagdyna.worlds.world_task`][].
    - `limit`: largest magnitude of each action; see there.
    - `spread`: standard deviation of the noise on the coordinates at the start, rad and m.
    - `render_mode`: `None`; nothing is rendered.

    **Attributes:** `world_model`, the [`lagdyna.simulate.WorldModel`][] that the environment
    simulates.

    **Raises:** [`lagdyna.UserError`][] if the run cannot be loaded, or names code and is not
    trusted, or if an argument does not fit it. `step` raises `RuntimeError` if the model
    predicts a state that is not finite.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        run: str,
        start: Sequence[float] | None = None,
        *,
        reward: str | UserReward | None = None,
        limit: Sequence[float] | None = None,
        spread: float = 0.05,
        render_mode: str | None = None,
    ):
        if render_mode is not None:
            raise ValueError(f"`render_mode` was {render_mode!r}; None is accepted")
        world = world_of(run, reward, limit, trust=False)
        n = len(world.coordinates)
        self._start = check_start(start, world)
        self._starts, self._n = world.starts, n
        if not 0 <= spread < np.inf:
            raise UserError(f"`spread` was {spread}; a finite number of 0 or more is accepted")
        self.world_model: WorldModel = world.model
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2 * n,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (len(world.driven),), np.float32)
        self.render_mode = render_mode
        self._spread = spread
        self._state: State | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new episode.

        **Arguments:** `seed`, of this and the following episodes; `options` may contain
        `"state"`, the first state as a pair `(q, qd)`.
        """
        super().reset(seed=seed)
        given = (options or {}).get("state")
        if given is None:
            given = self._first()
        q, qd = (jnp.asarray(x, float) for x in given)
        if {q.shape, qd.shape} != {(self._n,)}:
            raise ValueError(
                f"`options['state']` has arrays of shapes {q.shape} and {qd.shape}; "
                f"({self._n},) is accepted"
            )
        self._state = State(self.world_model.transition.coordinates.wrap(q), qd)
        return _observation(self._state), {}

    def _first(self) -> tuple[Any, Any]:
        """Draw the first state of an episode."""
        if self._start is None:
            assert self._starts is not None
            q, qd = self._starts
            row = self.np_random.integers(len(q))
            return q[row], qd[row]
        q = self._start + self._spread * self.np_random.standard_normal(self._n)
        return q, np.zeros_like(q)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Hold an action in `[-1, 1]^m` for one step of the model."""
        if self._state is None:
            raise RuntimeError("`step` was called before `reset`; call `reset` first")
        given = jnp.asarray(action, self._state.q.dtype)
        if given.shape != self.action_space.shape:
            raise ValueError(
                f"`action` has shape {given.shape}; {self.action_space.shape} is accepted"
            )
        self._state, reward, ended = _advance(self.world_model, self._state, given)
        observation = _observation(self._state)
        if not np.isfinite(observation).all():
            raise RuntimeError(
                "the learned model predicts a state that is not finite: the episode has left "
                "what the model can predict; use smaller actions, or fit more data"
            )
        return observation, float(reward), bool(ended > 0.5), False, {}


def check_start(start: Sequence[float] | None, world: World) -> Float[np.ndarray, " n"] | None:
    """Convert the coordinates of a start; `None` for the starts of the run.

    **Raises:** `UserError` if they are not `n` finite numbers, or are missing for a world
    without starts.
    """
    n = len(world.coordinates)
    if start is None:
        if world.starts is None:
            raise UserError(
                f"`start` is missing: a fit does not know where an episode starts; {n} numbers "
                "are accepted, one for each coordinate"
            )
        return None
    q = np.asarray(start, float)
    if q.shape != (n,) or not np.all(np.isfinite(q)):
        raise UserError(
            f"`start` was {start!r}; {n} finite numbers are accepted, one for each coordinate"
        )
    return q


@eqx.filter_jit
def _advance(
    world: WorldModel, state: State, action: Float[Array, " m"]
) -> tuple[State, Scalar, Scalar]:
    after = world.transition.step(state, action)
    return after, world.reward(state, action, after), world.termination(after)


def _observation(state: State) -> np.ndarray:
    return np.concatenate([np.asarray(x, np.float32) for x in state])
