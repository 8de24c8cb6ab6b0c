from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from .._errors import UserError
from ._interruption import interruptible
from ._mistakes import use_working_directory
from ._options import (
    Agent,
    Config,
    Flag,
    Learner,
    Location,
    Log,
    Model,
    Name,
    Settings,
    Solver,
    TaskEquations,
    TrainingLoss,
    Trusted,
    Whole,
    configured,
    names_of,
    numbers_of,
)
from ._precision import use_precision
from ._print import console, print_seeds, print_summary


def train(
    task: Name = None,
    /,
    *,
    config: Config = None,
    seed: Whole = None,
    seeds: Whole = None,
    steps: Whole = None,
    model: Model = None,
    known: TaskEquations = None,
    loss: TrainingLoss = None,
    learner: Learner = None,
    solver: Solver = None,
    agent: Agent = None,
    world: Annotated[Path | None, Parameter(show_default=False)] = None,
    start: Name = None,
    reward: Name = None,
    limit: Name = None,
    spread: Annotated[float | None, Parameter(show_default=False)] = None,
    episode: Whole = None,
    trust: Trusted = False,
    out: Location = None,
    log: Log = None,
    set: Settings = None,
    show_config: Flag = False,
) -> None:
    """Learn to control a task in a simulator that is learned from little experience.

    Parameters
    ----------
    task
        One of `lagdyna tasks`; Pendulum-v1 by default.
    seed
        Seed of everything random; 0 by default.
    seeds
        Train this many seeds, from `--seed` on, as one program over all devices. Each has a
        run directory inside that of the run, beside the statistics of all.
    steps
        Environment steps of real experience, random ones included; those of the task by
        default.
    world
        The directory of a fit or a training run, whose learned model takes the place of the
        environment. Of a fit it needs `--start`, `--reward` and `--limit`.
    start
        With `--world`: the coordinates at the start of an episode, as q=3.14,0, in rad and m.
        By default episodes start as those of the training run.
    reward
        With `--world`: FILE.py:NAME of the reward, a function of (state, action) or (state,
        action, next_state) in JAX that returns a number. By default that of a training run.
    limit
        With `--world`: the largest magnitude of each action, as 5 or 5,0, with 0 for actions
        that do not act. A fit needs it, in the units of its data.
    spread
        With `--world`: standard deviation of the noise on `--start`; 0.05 by default.
    episode
        With `--world`: steps of an episode; by default those of 10 s.
    out
        A new or empty directory for the run; the first free one in runs/ by default.
    show_config
        Print the config with every default as TOML, and do nothing else.
    """
    from ..config import config_from_table
    from ..options import config_to_toml

    options = {
        "start": start,
        "reward": reward,
        "limit": limit,
        "spread": spread,
        "episode": episode,
    }
    named: dict[str, Any] = {
        "task": task,
        "seed": seed,
        "steps": steps,
        "model": model,
        "model.known": known,
        "loss": loss,
        "learner": learner,
        "solver": solver,
        "agent": agent,
    }
    named |= _world(world, task, options, trust)
    if world is not None:
        named["model"] = model or "simulator"
        if config is None:
            named["evaluation.episodes"] = _EPISODES
    whole = configured(config_from_table, config, named, set)
    if show_config:
        print(config_to_toml(whole.resolved()), end="")
        return
    use_working_directory(whole.task.env_id)
    from .. import runs
    from ..logs import LoggedProgress, sinks_of
    from ..progress import progress_of

    progress = LoggedProgress(sinks_of(names_of(log)), progress_of("bar", console))
    with runs.reserve_directory(whole, out) as directory:
        if seeds is None:
            summary = interruptible(
                lambda: runs.train(whole, directory, progress=progress), directory
            )
            print_summary(summary, directory)
        else:
            summary = interruptible(
                lambda: runs.train_seeds(whole, seeds, directory, progress=progress), directory
            )
            print_seeds(summary, directory)


def _world(
    run: Path | None, task: str | None, options: dict[str, Any], trust: bool
) -> dict[str, Any]:
    """Describe the task of a learned model.

    **Raises:** `UserError` if options of `--world` are given without it, or with a task.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if run is None:
        if given or trust:
            name = next(iter(given), "trust")
            raise UserError(f"`--{name}` was given without `--world`; add `--world RUN`")
        return {}
    if task is not None:
        raise UserError(
            f"`task` was {task!r} with `--world`, which is the task; one of them is accepted"
        )
    numbers = {
        name: numbers_of(name, given.pop(name)) for name in ("start", "limit") & given.keys()
    }
    use_precision(run)
    from ..options import table_of
    from ..worlds import world_task

    spec = world_task(run, **numbers, **given, trust=trust)
    return {"task": table_of(spec)}


_EPISODES = 20  # of an evaluation; environments in Python are slow
