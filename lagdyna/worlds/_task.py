from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._environments import EPISODE_SECONDS, LEARNED_MODEL
from .._errors import UserError
from ..tasks import TaskSpec
from ._env import check_start
from ._world import world_of


def world_task(
    run: str | Path,
    *,
    start: Sequence[float] | None = None,
    reward: str | None = None,
    limit: Sequence[float] | None = None,
    spread: float = 0.05,
    episode: int | None = None,
    trust: bool = False,
) -> TaskSpec:
    """Describe the task of controlling a learned model, with no real environment.

    `lagdyna.train(world_task(...), model="simulator")` learns a policy in the model of the run
    alone. With another `model`, that is learned from experience in the model of the run.

    **Arguments:**

    - `run`: the directory of a fit, or of a training run of one seed.
    - `start`: coordinates at the start of an episode, rad and m, one for each. By default
        episodes start as those of the training run; a fit needs it.
    - `reward`: `FILE.py:NAME` of a function of `(state, action)` or
        `(state, action, next_state)` in JAX that returns a number. `state.q` and `state.qd`
        have shape `(n,)`; `action` has all actions of the run's model in its units. A training
        run has a reward of its own; a fit needs this.
    - `limit`: largest magnitude of each action, 0 for one that does not act. A fit needs it,
        in the units of its data; a training run has 1 by default.
    - `spread`: standard deviation of the noise on `start`, rad and m.
    - `episode`: steps of an episode; by default those of 10 s.
    - `trust`: whether Python code that the config of the run names may be run.

    **Raises:** [`lagdyna.UserError`][] if the run cannot be loaded, or an argument does not fit
    it.
    """
    if episode is not None and episode < 1:
        raise UserError(f"`episode` was {episode}; 1 step or more is accepted")
    world = world_of(str(run), reward, limit, trust)
    check_start(start, world)
    make: dict[str, Any] = {"run": str(run), "spread": spread}
    if start is not None:
        make["start"] = [float(x) for x in start]
    if reward is not None:
        make["reward"] = reward
    if limit is not None:
        make["limit"] = [float(x) for x in limit]
    return TaskSpec(
        env_id=LEARNED_MODEL,
        coordinates=world.coordinates,
        dt=world.dt,
        force=world.force,
        terminates=world.terminates,
        steps=1_000,
        description=f"The model that {run} learned.",
        max_episode_steps=episode or max(1, round(EPISODE_SECONDS / world.dt)),
        unchecked=True,
        make=make,
    )
