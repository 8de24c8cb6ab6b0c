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

_MAX_SHOWN = 16  # copies in the window; more would be too small to recognise


class _CopiesState(NamedTuple):
    """State of all copies; `done` marks those that reset with the next step."""

    state: State
    seed: Integer[Array, " copies"]
    episode: Integer[Array, " copies"]
    elapsed: Integer[Array, " copies"]
    done: Bool[Array, " copies"]


class SuiteVectorEnv(gym.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Vector environment of a suite task, stepped by one compiled program.

    `gymnasium.make_vec` returns it. Copy `i` after `reset(seed=s)` behaves like a
    [`lagdyna.tasks.SuiteEnv`][] after `reset(seed=s + i)`. Autoreset is Gymnasium's default,
    `NEXT_STEP`: the step after a truncation ignores the action, starts the next episode and
    has reward 0.

    **Arguments:**

    - `task`: a short name, or a [`lagdyna.tasks.SuiteTask`][] with other parameters.
    - `num_envs`: number of copies.
    - `max_episode_steps`: number of steps after which episodes are truncated; the task's
        horizon by default.
    - `batched`: whether each array in `task` has a leading axis of length `num_envs`, so that
        each copy has its own parameters.
    - `precision`: `"float64"`, the reference, or `"float32"`. JAX's own setting has no effect.
    - `render_mode`: `None`, `"rgb_array"` or `"human"`. `"rgb_array"` renders an image of each
        copy. `"human"` shows every `reset` and `step` of the first 16 copies in a window.

    **Raises:** `ValueError` for an unknown name, precision or render mode, for a number that
    is not positive, and for parameters of wrong batch shape. `step` and `reset` raise the
    errors of [`lagdyna.tasks.SuiteEnv`][], with arrays of shape `(num_envs, ...)`.
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
        self.task = compiled.load_task(task, precision)
        with compiled.precision_context(precision):
            compiled.check_parameters(self.task, num_envs if batched else None)
        self.precision = precision
        self.batched = batched
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps or self.task.horizon
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1 / self.task.dt)}
        sizes = self.task.observation_size, self.task.action_size
        single = compiled.make_spaces(*sizes)
        self.single_observation_space, self.single_action_space = single
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        title = f"lagdyna: {self.task.name}, {num_envs} copies"
        self._window = Window(title, self.metadata["render_fps"])
        self._actions = np.zeros((num_envs, self.task.action_size))
        self._copies: _CopiesState | None = None

    @property
    def state(self) -> State:
        """Current states `(q, qd)`, NumPy arrays of shape `(num_envs, n)`."""
        if self._copies is None:
            raise compiled.reset_needed()
        return compiled.to_numpy(self._copies.state)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new episode in every copy.

        **Arguments:**

        - `seed`: seed of the first copy; copy `i` has seed `seed + i`. It may also be a
            sequence of one seed per copy. A copy with seed `None` keeps its last seed.
        - `options`: may contain `"state"`, the first states as a pair `(q, qd)` of arrays of
            shape `(num_envs, n)`.

        **Returns:** the first observations, shape `(num_envs, obs)`, and an empty info
        dictionary.
        """
        given = compiled.read_state_option(options, (self.num_envs, self.task.n))
        seeds, episode = self._seeds_and_episodes(seed)
        with compiled.precision_context(self.precision):
            if given is None:
                state = _reset_copies(self.task, self.batched, seeds, episode)
            else:
                q, qd = (jnp.asarray(part, self.precision) for part in given)
                state = State(q, qd)
            elapsed = jnp.zeros(self.num_envs, jnp.int32)
            self._copies = _CopiesState(state, seeds, episode, elapsed, elapsed > 0)
            observations = np.array(_observe_copies(self.task, self.batched, state))
        self._show_window()
        return observations, {}

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Hold one action per copy for `dt`.

        **Arguments:**

        - `actions`: controls in `[-1, 1]^m`, shape `(num_envs, m)`.

        **Returns:** observations, shape `(num_envs, obs)`; rewards, terminations (all `False`)
        and truncations, shape `(num_envs,)` each; and an empty info dictionary.
        """
        if self._copies is None:
            raise compiled.reset_needed()
        self._actions = compiled.check_action(actions, self.action_space.shape or ())
        with compiled.precision_context(self.precision):
            self._copies, observation, reward = _step_copies(
                self.task,
                self.batched,
                self._copies,
                jnp.asarray(self._actions, self.precision),
                jnp.asarray(self.max_episode_steps, jnp.int32),
            )
            terminated = np.zeros(self.num_envs, bool)
            truncated = np.array(self._copies.done)
            outcome = np.array(observation), np.array(reward, float), terminated, truncated, {}
        self._show_window()
        return outcome

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Render the current states.

        **Returns:** one image per copy in mode `"rgb_array"`, else `None`. Mode `"human"`
        updates the window.
        """
        if self.render_mode != "rgb_array":
            self._show_window()
            return None
        return self._render_images(self.num_envs, SIZE)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the window, if there is one."""
        self._window.close()

    def _show_window(self) -> None:
        if self.render_mode == "human":
            columns = math.ceil(math.sqrt(min(self.num_envs, _MAX_SHOWN)))
            size = SIZE if columns == 1 else 2 * SIZE // columns
            images = self._render_images(min(self.num_envs, _MAX_SHOWN), size)
            self._window.show(_tile(images, columns))

    def _render_images(self, copies: int, size: int) -> tuple[np.ndarray, ...]:
        q = np.asarray(self.state.q)  # raises an error before the first reset
        assert self._copies is not None
        # A copy ignores the action of the step that resets it.
        stepped = np.asarray(self._copies.elapsed)[:, None] > 0
        actions = np.where(stepped, self._actions, 0.0)
        return tuple(
            compiled.render(self._task_of_copy(i), q[i], actions[i], self.precision, size)
            for i in range(copies)
        )

    def _task_of_copy(self, copy: int) -> SuiteTask:
        if not self.batched:
            return self.task
        arrays, rest = eqx.partition(self.task, eqx.is_array)
        return eqx.combine(jax.tree.map(lambda leaf: leaf[copy], arrays), rest)

    def _seeds_and_episodes(
        self, seed: int | Sequence[int | None] | None
    ) -> tuple[Integer[Array, " copies"], Integer[Array, " copies"]]:
        """Return the seed and the episode number that each copy starts with."""
        if seed is None and self._copies is not None:
            return self._copies.seed, self._copies.episode + 1
        if isinstance(seed, Sequence):
            if len(seed) != self.num_envs:
                raise ValueError(
                    f"`seed` has {len(seed)} entries for {self.num_envs} copies; "
                    "an int, or one seed per copy, is accepted"
                )
            if any(each is not None and each < 0 for each in seed):
                raise ValueError(
                    f"`seed` was {list(seed)}; numbers from 0 on, or None, are accepted"
                )
            fresh = [None if each is None else compiled.to_uint32(each) for each in seed]
            return self._keep_missing_seeds(fresh)
        super().reset(seed=seed)
        first = self.np_random_seed or 0
        seeds = [compiled.to_uint32(first + i) for i in range(self.num_envs)]
        return jnp.asarray(np.asarray(seeds)), jnp.zeros(self.num_envs, jnp.uint32)

    def _keep_missing_seeds(
        self, fresh: Sequence[np.uint32 | None]
    ) -> tuple[Integer[Array, " copies"], Integer[Array, " copies"]]:
        """Keep the seed and continue the episodes of copies without a new seed."""
        last = self._seeds_and_episodes(None) if None in fresh else ()
        seeds, episodes = map(np.array, last or np.zeros((2, self.num_envs), np.uint32))
        for i, seed in enumerate(fresh):
            if seed is not None:
                seeds[i], episodes[i] = seed, 0
        return jnp.asarray(seeds), jnp.asarray(episodes)


def _tile(images: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Arrange square images of one size in rows; empty places are white."""
    size = len(images[0])
    rows = math.ceil(len(images) / columns)
    grid = np.full((rows * size, columns * size, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * size, i % columns * size
        grid[top : top + size, left : left + size] = image
    return grid


def _vmap_copies(function: Any, task: SuiteTask, batched: bool, *args: Any) -> Any:
    axes = (eqx.if_array(0) if batched else None, *(0 for _ in args))
    return eqx.filter_vmap(function, in_axes=axes)(task, *args)


@eqx.filter_jit
def _reset_copies(
    task: SuiteTask,
    batched: bool,
    seed: Integer[Array, " copies"],
    episode: Integer[Array, " copies"],
) -> State:
    return _vmap_copies(compiled.start, task, batched, seed, episode)


@eqx.filter_jit
def _observe_copies(task: SuiteTask, batched: bool, state: State) -> Float[Array, "copies obs"]:
    return _vmap_copies(compiled.observe, task, batched, state)


@eqx.filter_jit
def _step_copies(
    task: SuiteTask,
    batched: bool,
    copies: _CopiesState,
    actions: Float[Array, "copies m"],
    limit: Integer[Array, ""],
) -> tuple[_CopiesState, Float[Array, "copies obs"], Float[Array, " copies"]]:
    """Step every copy, or reset it if its episode is done."""
    done = copies.done
    episode = jnp.where(done, copies.episode + 1, copies.episode)
    stepped, observed, reward = _vmap_copies(
        compiled.advance, task, batched, copies.state, actions
    )

    def reset() -> tuple[State, Array]:
        fresh = _reset_copies(task, batched, copies.seed, episode)
        seen = _observe_copies(task, batched, fresh)

        def choose(new: Array, old: Array) -> Array:
            return jnp.where(done[:, None], new, old)

        return jax.tree.map(choose, (fresh, seen), (stepped, observed))

    # Resets need random numbers. Copies mostly end together, so most steps skip this branch.
    state, observed = jax.lax.cond(jnp.any(done), reset, lambda: (stepped, observed))
    elapsed = jnp.where(done, 0, copies.elapsed + 1)
    next_copies = _CopiesState(state, copies.seed, episode, elapsed, elapsed >= limit)
    return next_copies, observed, jnp.where(done, 0, reward)
