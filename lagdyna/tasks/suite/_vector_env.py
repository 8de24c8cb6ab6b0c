import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from jaxtyping import Array, Bool, Float, Integer

from ...mechanics import State
from . import _compiled as compiled
from ._draw import SIZE
from ._task import SuiteTask
from ._window import Window

_SHOWN = 16  # copies in a window: beyond it they are too small to tell


class _Copies(NamedTuple):
    """Where every copy is; `done` says which start anew with the next step."""

    state: State
    seed: Integer[Array, " copies"]
    episode: Integer[Array, " copies"]
    elapsed: Integer[Array, " copies"]
    done: Bool[Array, " copies"]


class SuiteVectorEnv(gym.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Any number of copies of a task, stepped by one compiled program: `gymnasium.make_vec`.

    Copy `i` after `reset(seed=s)` goes the way of a [`lagdyna.tasks.SuiteEnv`][] after
    `reset(seed=s + i)`. Autoreset is Gymnasium's default, `NEXT_STEP`: the step after a
    truncation ignores the action, starts the next episode, and has reward 0.

    **Arguments:**

    - `task`: a short name, or a [`lagdyna.tasks.SuiteTask`][] with parameters of one's own.
    - `num_envs`: how many copies.
    - `max_episode_steps`: after how many steps episodes are truncated; the task's horizon by
        default.
    - `batched`: whether each array in `task` has a leading axis of length `num_envs`, so
        that every copy has parameters of its own.
    - `precision`: `"float64"`, the reference, or `"float32"`, whatever JAX is set to outside.
    - `render_mode`: `None`; `"rgb_array"`, and `render` gives a picture of each copy; or
        `"human"`, a window in which every `reset` and `step` of the first 16 copies is shown.

    **Raises:** `ValueError` for an unknown name, precision or render mode, a number that is
    not positive, or parameters that are batched otherwise; from `step` and `reset` as
    [`lagdyna.tasks.SuiteEnv`][], with arrays of shape `(num_envs, ...)`.
    """

    metadata = {  # noqa: RUF012
        "render_modes": ["human", "rgb_array"],
        "render_fps": 100,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        task: str | SuiteTask,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        batched: bool = False,
        precision: str = "float64",
        render_mode: str | None = None,
    ):
        if num_envs < 1:
            raise ValueError(f"`num_envs` must be at least 1, got {num_envs}")
        if max_episode_steps is not None and max_episode_steps < 1:
            raise ValueError(f"`max_episode_steps` must be at least 1, got {max_episode_steps}")
        compiled.check_render_mode(render_mode)
        self.task = compiled.made(task, precision)
        with compiled.in_precision(precision):
            compiled.check_parameters(self.task, num_envs if batched else None)
        self.precision = precision
        self.batched = batched
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps or self.task.horizon
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1 / self.task.dt)}
        sizes = self.task.observation_size, self.task.action_size
        single = compiled.spaces_of(*sizes)
        self.single_observation_space, self.single_action_space = single
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        title = f"lagdyna: {self.task.name}, {num_envs} copies"
        self._window = Window(title, self.metadata["render_fps"])
        self._actions = np.zeros((num_envs, self.task.action_size))
        self._copies: _Copies | None = None

    @property
    def state(self) -> State:
        """The current `(q, qd)`, of `(num_envs, n)` NumPy arrays."""
        if self._copies is None:
            raise compiled.needs_reset()
        return compiled.as_numpy(self._copies.state)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The first observations of a new episode in every copy, `(num_envs, obs)`.

        `seed` may also be a sequence, of one seed for each copy; a copy whose seed is `None`
        goes on with the one that it had.
        """
        given = compiled.state_option(options, (self.num_envs, self.task.n))
        seeds, episode = self._places(seed)
        with compiled.in_precision(self.precision):
            if given is None:
                state = _starts(self.task, self.batched, seeds, episode)
            else:
                q, qd = (jnp.asarray(part, self.precision) for part in given)
                state = State(q, qd)
            elapsed = jnp.zeros(self.num_envs, jnp.int32)
            self._copies = _Copies(state, seeds, episode, elapsed, elapsed > 0)
            observations = np.array(_observations(self.task, self.batched, state))
        self._show()
        return observations, {}

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Holds an action of each copy for `dt`.

        **Returns:** observations, `(num_envs, obs)`; rewards, terminations (none) and
        truncations, `(num_envs,)` each; and no info.
        """
        if self._copies is None:
            raise compiled.needs_reset()
        self._actions = compiled.checked_action(actions, self.action_space.shape or ())
        with compiled.in_precision(self.precision):
            self._copies, observation, reward = _advance(
                self.task,
                self.batched,
                self._copies,
                jnp.asarray(self._actions, self.precision),
                jnp.asarray(self.max_episode_steps, jnp.int32),
            )
            never = np.zeros(self.num_envs, bool)
            truncated = np.array(self._copies.done)
            outcome = np.array(observation), np.array(reward, float), never, truncated, {}
        self._show()
        return outcome

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of each copy; in a window, or `None`, by the render mode."""
        if self.render_mode != "rgb_array":
            self._show()
            return None
        return self._pictures(self.num_envs, SIZE)

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the window, if there is one."""
        self._window.close()

    def _show(self) -> None:
        if self.render_mode == "human":
            columns = math.ceil(math.sqrt(min(self.num_envs, _SHOWN)))
            size = SIZE if columns == 1 else 2 * SIZE // columns
            shown = self._pictures(min(self.num_envs, _SHOWN), size)
            self._window.show(_tiled(shown, columns))

    def _pictures(self, copies: int, size: int) -> tuple[np.ndarray, ...]:
        q = np.asarray(self.state.q)  # which says that it needs a reset
        assert self._copies is not None
        # What a copy was told with the step that started it anew, it did not do.
        moved = np.asarray(self._copies.elapsed)[:, None] > 0
        actions = np.where(moved, self._actions, 0.0)
        return tuple(
            compiled.picture(self._task_of(i), q[i], actions[i], self.precision, size)
            for i in range(copies)
        )

    def _task_of(self, copy: int) -> SuiteTask:
        if not self.batched:
            return self.task
        arrays, rest = eqx.partition(self.task, eqx.is_array)
        return eqx.combine(jax.tree.map(lambda leaf: leaf[copy], arrays), rest)

    def _places(
        self, seed: int | Sequence[int | None] | None
    ) -> tuple[Integer[Array, " copies"], Integer[Array, " copies"]]:
        """The seed and the number of the episode that each copy starts."""
        if seed is None and self._copies is not None:
            return self._copies.seed, self._copies.episode + 1
        if isinstance(seed, Sequence):
            if len(seed) != self.num_envs:
                raise ValueError(
                    f"`seed` has {len(seed)} entries for {self.num_envs} copies; "
                    "an int, or one for each copy, is accepted"
                )
            if any(each is not None and each < 0 for each in seed):
                raise ValueError(f"`seed` was {list(seed)}; numbers from 0 on are accepted")
            fresh = [None if each is None else compiled.short_seed(each) for each in seed]
            return self._continued(fresh)
        super().reset(seed=seed)
        first = self.np_random_seed or 0
        seeds = [compiled.short_seed(first + i) for i in range(self.num_envs)]
        return jnp.asarray(np.asarray(seeds)), jnp.zeros(self.num_envs, jnp.uint32)

    def _continued(
        self, fresh: Sequence[np.uint32 | None]
    ) -> tuple[Integer[Array, " copies"], Integer[Array, " copies"]]:
        """The same where some copies have no new seed, and so go on with the one they had."""
        had = self._places(None) if None in fresh else ()
        seeds, episodes = map(np.array, had or np.zeros((2, self.num_envs), np.uint32))
        for i, seed in enumerate(fresh):
            if seed is not None:
                seeds[i], episodes[i] = seed, 0
        return jnp.asarray(seeds), jnp.asarray(episodes)


def _tiled(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Square pictures of one size in rows, white where there is none."""
    size = len(pictures[0])
    rows = math.ceil(len(pictures) / columns)
    whole = np.full((rows * size, columns * size, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * size, i % columns * size
        whole[top : top + size, left : left + size] = picture
    return whole


def _mapped(function: Any, task: SuiteTask, batched: bool, *args: Any) -> Any:
    axes = (eqx.if_array(0) if batched else None, *(0 for _ in args))
    return eqx.filter_vmap(function, in_axes=axes)(task, *args)


@eqx.filter_jit
def _starts(
    task: SuiteTask,
    batched: bool,
    seed: Integer[Array, " copies"],
    episode: Integer[Array, " copies"],
) -> State:
    return _mapped(compiled.start, task, batched, seed, episode)


@eqx.filter_jit
def _observations(task: SuiteTask, batched: bool, state: State) -> Float[Array, "copies obs"]:
    return _mapped(compiled.observe, task, batched, state)


@eqx.filter_jit
def _advance(
    task: SuiteTask,
    batched: bool,
    copies: _Copies,
    actions: Float[Array, "copies m"],
    limit: Integer[Array, ""],
) -> tuple[_Copies, Float[Array, "copies obs"], Float[Array, " copies"]]:
    """One step of every copy: of its episode, or into the next one."""
    done = copies.done
    episode = jnp.where(done, copies.episode + 1, copies.episode)
    moved, observed, reward = _mapped(compiled.advance, task, batched, copies.state, actions)

    def restarted() -> tuple[State, Array]:
        fresh = _starts(task, batched, copies.seed, episode)
        seen = _observations(task, batched, fresh)

        def choose(new: Array, old: Array) -> Array:
            return jnp.where(done[:, None], new, old)

        return jax.tree.map(choose, (fresh, seen), (moved, observed))

    # Copies mostly end together, and starts take random numbers: not with every step.
    state, observed = jax.lax.cond(jnp.any(done), restarted, lambda: (moved, observed))
    elapsed = jnp.where(done, 0, copies.elapsed + 1)
    following = _Copies(state, copies.seed, episode, elapsed, elapsed >= limit)
    return following, observed, jnp.where(done, 0, reward)
