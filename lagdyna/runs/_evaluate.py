"""Evaluation of a run's policy on new episodes."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import UserError
from ..config import Config, Known
from ..mechanics import State
from ..models import RewardFn
from ..results import check_video, filming, new_directory, reserved, write_json
from ..tasks import GymnasiumTask, TaskSpec
from ..training import (
    EVALUATE_AGAIN,
    Act,
    evaluate_policy,
    record_rollout,
    start_seeds,
)
from ._directory import Summary
from ._train import Agent, Learner, Model, load_run
from ._trust import Trust


def evaluate(
    run: str | Path,
    *,
    episodes: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    video: str | Path | None = None,
    model: Model | None = None,
    learner: Learner | None = None,
    agent: Agent | None = None,
    known: Known | None = None,
    reward: RewardFn | None = None,
    trust: Trust = False,
) -> Summary:
    """Evaluate a run's policy on episodes that the run has not used.

    **Arguments:**

    - `run`: the run's directory.
    - `episodes`: how many; as many as in the run by default.
    - `seed`: of the starts of the episodes.
    - `out`: a new or empty directory for `evaluation.json`; by default the first free
        `evaluation-1`, `evaluation-2`, ... in the run's.
    - `video`: a new file for a film of the first episode in real time: `.gif`, or `.mp4` and
        `.webm` with the extra `lagdyna[video]`.
    - `trust`: as for [`lagdyna.runs.load`][].
    - the others as for [`lagdyna.runs.train`][], if they were given there.

    **Returns:** the content of `evaluation.json`.

    **Raises:** `UserError` if `episodes` is not positive, or a directory cannot be used; if
    `video` exists, its directory does not, its suffix is unknown or needs a package that is
    missing, or the environment renders nothing. Nothing has been written then.
    """
    run = Path(run)
    if episodes is not None and episodes < 1:
        raise UserError(f"`episodes` was {episodes}: expected `int` >= 1")
    if seed < 0:
        raise UserError(f"`seed` was {seed}: expected `int` >= 0")
    if video is not None:
        check_video(Path(video))
    loaded = load_run(
        run,
        model=model,
        learner=learner,
        agent=agent,
        known=known,
        reward=reward,
        trust=trust,
    )
    config = loaded.config
    if video is not None:
        _check_renders(config.task)
    count = episodes or config.evaluation.episodes
    chosen = None if out is None else Path(out)
    with reserved(chosen, lambda k: run / f"evaluation-{k}") as path:
        new_directory(path)
        start = time.perf_counter()
        seeds = [int(start) for start in start_seeds(seed, EVALUATE_AGAIN, count)]

        def act(states: State) -> np.ndarray:
            return np.asarray(loaded.trainer.act(loaded.training, states))

        returns = evaluate_policy(config.task, act, seeds, config.evaluation.max_steps)
        if video is not None:
            _film(config, act, seeds, Path(video))
        result = {
            "run": str(run),
            "task": config.task.env_id,
            "seed": seed,
            "env_steps": int(loaded.training.env_steps),
            "eval_episodes": count,
            "return_mean": float(returns.mean()),
            "return_std": float(returns.std()),
            "return_min": float(returns.min()),
            "return_max": float(returns.max()),
            "returns": returns.tolist(),
            "video": None if video is None else str(video),
            "wall_seconds": time.perf_counter() - start,
        }
        write_json(path / "evaluation.json", result)
        return {**result, "out": str(path)}


def _check_renders(task: TaskSpec) -> None:
    """Refuse a task whose environment renders no images.

    **Raises:** `UserError` if that is so.
    """
    env = GymnasiumTask(task)
    modes = tuple(env.render_modes)
    env.close()
    if "rgb_array" not in modes:
        raise UserError(
            f"`video` was given, and {task.env_id!r} draws nothing: its render modes are "
            f"{list(modes)}; 'rgb_array' is needed"
        )


def _film(config: Config, act: Act, seeds: list[int], path: Path) -> None:
    """Film the first of the episodes."""

    def again(states: State) -> np.ndarray:
        # As many rows as in the evaluation: another program would round otherwise, and a
        # chaotic system would soon do something that was not evaluated.
        rows: Any = (np.repeat(part, len(seeds), axis=0) for part in states)
        return act(State(*rows))

    with filming(path, config.task.action_time) as show:
        record_rollout(config.task, again, seeds[0], config.evaluation.max_steps, show)
