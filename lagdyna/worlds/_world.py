"""World models made of the runs that learned them."""

import inspect
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from .._errors import UserError
from ..config import check_reward
from ..control import DrivenTransition
from ..mechanics import Coordinates, State
from ..models import AbstractReward
from ..options import is_trusted, located, user_part
from ..results import check_precision, kind_of
from ..runs import FittedRun, Run, load
from ..simulate import AbstractTransition, WorldModel
from ..tasks import CoordinateSpec

# Speeds and distances worth sampling, in parts of their root mean square in the recordings.
_SPEED, _DISTANCE = 4.0, 3.0
_STATES = 16  # random states at which a reward is tried

UserReward = Callable[..., Scalar]


class ScaledActions(AbstractTransition):
    """Transition whose actions in `[-1, 1]^m` are parts of the largest ones.

    **Arguments:** `transition`, with all actions in its own units; `limit`, the largest
    magnitude of each, 0 for one that does not act.
    """

    transition: AbstractTransition
    limit: tuple[float, ...] = eqx.field(static=True)
    coordinates: Coordinates

    def __init__(self, transition: AbstractTransition, limit: tuple[float, ...]):
        self.transition, self.limit = transition, limit
        self.coordinates = transition.coordinates

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        return self.transition.step(state, self.full(action))

    def full(self, action: Float[Array, " m"]) -> Float[Array, " all"]:
        """Return all actions of the transition, in its units."""
        acting = jnp.asarray([x for x in self.limit if x > 0], action.dtype)
        driven = DrivenTransition(self.transition, tuple(x > 0 for x in self.limit))
        return driven.full(acting * jnp.clip(action, -1, 1))


class FunctionReward(AbstractReward):
    """Reward by a user's function, which gets the actions in the units of the model.

    **Arguments:** `function`, of `(state, action)` or `(state, action, next_state)`; `limit`,
    as that of `ScaledActions`.
    """

    function: UserReward = eqx.field(static=True)
    limit: tuple[float, ...] = eqx.field(static=True)

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        driven = [i for i, x in enumerate(self.limit) if x > 0]
        limit = jnp.asarray(self.limit, action.dtype)
        everything = jnp.zeros_like(limit).at[jnp.asarray(driven)].set(jnp.clip(action, -1, 1))
        given = (state, everything * limit, next_state)
        return jnp.asarray(self.function(*given[: _arguments(self.function)]))


class World(NamedTuple):
    """World model of a run, and what an environment of it needs.

    **Attributes:**

    - `model`: the world model; its actions are in `[-1, 1]^m`.
    - `dt`: duration of a step, s.
    - `limit`: largest magnitude of each action that acts, in the units of the run.
    - `coordinates`: ranges of the states that the run has seen.
    - `force`: generalised force of each action at its limit, with a row for each coordinate;
        of a fit with another number of actions than coordinates, ones.
    - `terminates`: whether the run learned the end of episodes.
    - `starts`: first states of the episodes of a training run, shapes `(episodes, n)`.
    """

    model: WorldModel
    dt: float
    limit: tuple[float, ...]
    coordinates: tuple[CoordinateSpec, ...]
    force: tuple[tuple[float, ...], ...]
    terminates: bool
    starts: State | None = None

    @property
    def driven(self) -> tuple[int, ...]:
        """Numbers of the actions that act, among all of the run's model."""
        return tuple(i for i, x in enumerate(self.limit) if x > 0)


def world_of(
    run: str, reward: str | UserReward | None, limit: Sequence[float] | None, trust: bool
) -> World:
    """Load the world model of a run.

    A run that has not changed is loaded once per process.

    **Arguments:** as of [`lagdyna.worlds.world_task`][].

    **Raises:** `UserError` as there.
    """
    path = Path(located(run))
    kind = kind_of(path)
    if kind not in ("fit", "train"):
        raise UserError(
            f"`run` was {run!r}, which holds no fit and no training run of one seed; the "
            "directory of one is accepted"
        )
    checkpoint = path / "checkpoint" / "training.npz"
    stamp = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    function = user_part("reward", reward) if isinstance(reward, str) else reward
    given = None if limit is None else tuple(float(x) for x in limit)
    key = (path.resolve(), stamp, function, given)
    if key not in _loaded:
        _loaded[key] = _load(path, function, given, trust or is_trusted())
    return _loaded[key]


# By directory, time of its checkpoint, reward and limits. The copies of an environment share
# a world, and who trusted its code once need not say so again.
_loaded: dict[tuple[Any, ...], World] = {}


def _load(
    path: Path, reward: UserReward | None, limit: tuple[float, ...] | None, trust: bool
) -> World:
    """Load a run and make its world."""
    check_precision(path)
    loaded = load(path, trust=trust)
    world = _of_run(loaded, limit) if isinstance(loaded, Run) else _of_fit(loaded, limit)
    if reward is not None:
        given = FunctionReward(reward, world.limit)
        _check(reward, given, world)
        model = WorldModel(world.model.transition, given, world.model.termination)
        return world._replace(model=model)
    if isinstance(loaded, FittedRun):
        raise UserError(
            f"`reward` is missing: the fit {str(path)!r} learned no reward; a function of "
            "(state, action) or (state, action, next_state) as FILE.py:NAME is accepted"
        )
    return world


def _of_run(run: Run, limit: tuple[float, ...] | None) -> World:
    """Make the world of a training run, whose actions are in `[-1, 1]` already."""
    task = run.config.task
    if task.context:
        raise UserError(
            f"`run` was trained on {task.env_id}, whose observations have a `context`; a run "
            "of a task without one is accepted"
        )
    limit = (1.0,) * task.action_size if limit is None else limit
    if len(limit) != task.action_size or not 0 < max(limit) <= 1 or min(limit) < 0:
        raise UserError(
            f"`limit` was {list(limit)}; the actions of a training run are in [-1, 1], and "
            f"{task.action_size} numbers from 0 to 1 are accepted, one of them above 0"
        )
    model = WorldModel(
        ScaledActions(run.transition, limit), run.reward, run.world_model.termination
    )
    n = task.n
    coordinates = tuple(
        CoordinateSpec(
            kind=each.kind,
            position=i,
            velocity=n + i,
            velocity_limit=each.velocity_limit,
            velocity_range=each.velocity_range,
            position_range=each.position_range,
            ends_beyond=each.ends_beyond,
            stops_at=each.stops_at,
        )
        for i, each in enumerate(task.coordinates)
    )
    driven = [i for i, x in enumerate(limit) if x > 0]
    force = tuple(tuple(row[j] * limit[j] for j in driven) for row in task.force)
    buffer = run.training.buffer
    first = np.asarray(buffer.first)
    starts = jax.tree.map(lambda x: jnp.asarray(x)[first], buffer.experience.state)
    whole = (model, task.action_time, limit, coordinates, force, task.terminates)
    return World(*whole, starts if first.any() else None)


def _of_fit(fit: FittedRun, limit: tuple[float, ...] | None) -> World:
    """Make the world of a fit, without a reward."""
    sizes, transition = fit.sizes, fit.model.transition
    if limit is None:
        raise UserError(
            "`limit` is missing: a fit does not know how large its actions may be; give the "
            "largest magnitude of each in the units of the data, 0 for those that do not act"
        )
    whole = len(limit) == sizes.actions and all(0 <= x < math.inf for x in limit)
    if not whole or not any(limit):
        raise UserError(
            f"`limit` was {list(limit)}; {sizes.actions} numbers are accepted, one for each "
            "action of the fit, 0 for those that do not act, one of them above 0"
        )
    angles = transition.coordinates.angles
    coordinates = tuple(
        CoordinateSpec(
            kind="angle" if angle else "linear",
            position=i,
            velocity=sizes.n + i,
            velocity_range=_SPEED * sizes.speeds[i],
            position_range=None
            if angle
            else abs(sizes.origin[i]) + _DISTANCE * sizes.position[i],
        )
        for i, angle in enumerate(angles)
    )
    model = WorldModel(ScaledActions(transition, limit), _NoReward())
    driven = [i for i, x in enumerate(limit) if x > 0]
    if sizes.actions == sizes.n:  # generalised forces
        force = tuple(tuple(limit[j] * (i == j) for j in driven) for i in range(sizes.n))
    else:
        force = ((1.0,) * len(driven),) * sizes.n
    # The step of a recording is a difference of two times, whose last digits are rounding.
    dt = float(f"{sizes.dt:.9g}")
    return World(model, dt, limit, coordinates, force, False)


class _NoReward(AbstractReward):
    """Reward of a fit before a function is given."""

    def __call__(self, state: State, action: Float[Array, " m"], next_state: State) -> Scalar:
        return jnp.zeros((), state.q.dtype)


def _check(function: Any, reward: FunctionReward, world: World) -> None:
    """Try a reward function within the ranges of a world.

    **Raises:** `UserError` if it fails, or is not a finite number.
    """
    if not callable(function):
        raise UserError(
            f"`reward` was of type {type(function).__name__}; a function of (state, action) or "
            "(state, action, next_state) is accepted"
        )
    reach = [each.reach for each in world.coordinates]
    unit = jax.random.uniform(jax.random.key(0), (2, _STATES, len(reach)), minval=-1)
    q, qd = (unit[i] * jnp.asarray([each[i] for each in reach]) for i in (0, 1))
    check_reward(reward, State(q, qd), len(world.driven))


def _arguments(function: UserReward) -> int:
    """Count the arguments of a reward function: 2 or 3."""
    try:
        kinds = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a function that Python cannot inspect
        return 3
    positional = [x for x in kinds if x.kind in (x.POSITIONAL_ONLY, x.POSITIONAL_OR_KEYWORD)]
    needed = [x for x in positional if x.default is x.empty]
    return 2 if len(positional) == 2 or len(needed) == 2 else 3
