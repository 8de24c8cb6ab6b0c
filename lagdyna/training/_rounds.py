"""The training loop: rounds of experience, training phases and evaluations."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..config import given
from ..tasks import suite_task
from ._clock import Clock, MetricsOfSeeds
from ._compiled import CompiledLoop
from ._environment import EVALUATE, AbstractEnvironmentLoop, start_seeds
from ._host import HostLoop
from ._progress import AbstractProgress
from ._seeds import AbstractSeeds, Active, indices
from ._state import TrainingState

Record = dict[str, Any]
Records = list[list[Record]]
Keep = Callable[[TrainingState, Records], None]


def make_environment_loop(seeds: AbstractSeeds) -> AbstractEnvironmentLoop:
    """Create the compiled loop for tasks of the suite, the host loop for all others."""
    suite = seeds.trainer.suite
    return HostLoop(seeds) if suite is None else CompiledLoop(seeds, suite_task(suite))


def run_rounds(
    seeds: AbstractSeeds,
    training: TrainingState,
    records: Records,
    keep: Keep,
    progress: AbstractProgress,
) -> tuple[TrainingState, Records]:
    """Train until every seed has used up its environment steps.

    **Arguments:** `records`, the lines of metrics of each seed so far; `keep`, which writes
    state and records after each round.
    """
    environment = make_environment_loop(seeds)
    steps = given(seeds.trainer.config.steps)
    while True:
        active = seeds.to_numpy(training.env_steps) < steps
        if not active.any():
            return training, records
        try:
            training, lines = _round(seeds, environment, training, active, progress)
        finally:
            environment.close()
        added = iter(lines)
        records = [
            [*known, next(added)] if is_active else known
            for known, is_active in zip(records, active, strict=True)
        ]
        keep(training, records)
        progress.record(seeds.record(lines))


def _round(
    seeds: AbstractSeeds,
    environment: AbstractEnvironmentLoop,
    training: TrainingState,
    active: Active,
    progress: AbstractProgress,
) -> tuple[TrainingState, list[Record]]:
    """Collect whole episodes, with a training phase and an evaluation every few steps.

    The last episode of a run is cut off when the steps are used up. Seeds whose episodes end
    at different times wait for each other at the end of a round.

    **Returns:** the training state, and a line of metrics of each active seed.
    """
    config = seeds.trainer.config
    total, every = given(config.steps), given(config.collect.train_every)
    clock, metrics = Clock(), MetricsOfSeeds(len(seeds.seeds))
    first, episodes = (
        seeds.to_numpy(array).copy() for array in (training.env_steps, training.episodes)
    )
    ends = first + np.minimum(given(config.collect.steps_per_round), total - first)
    evaluations: Records = [[] for _ in seeds.seeds]
    steps, inside, rewards = first, active.copy(), np.zeros(len(seeds.seeds))

    def report(done: int) -> None:
        progress.phase("collect", done, total, metrics.shown(active))

    while inside.any():
        training, more = environment.collect(training, steps + every, ends, inside, report)
        rewards += more
        clock.lap("collect")
        training = _train(seeds, training, inside, metrics, clock, progress)
        steps = seeds.to_numpy(training.env_steps)
        returns = _evaluate(seeds, environment, training, metrics.shown(active), progress)
        clock.lap("evaluate")
        entries = [_evaluation(int(steps[i]), returns[i]) for i in indices(inside)]
        for i, entry in zip(indices(inside), entries, strict=True):
            evaluations[i].append(entry)
        progress.evaluation(seeds.evaluation(entries))
        between = environment.between_episodes(training)
        inside &= (steps < total) & ((steps < ends) | ~between)
    training, _ = seeds.update(seeds.trainer.end_round, training, active)
    rounds, now = (seeds.to_numpy(array) for array in (training.rounds, training.episodes))
    return training, [
        {
            "round": int(rounds[i]),
            "episodes": int(now[i]),
            "env_steps": int(steps[i]),
            "train_return": float(rewards[i] / (now[i] - episodes[i])),
            "eval_return_mean": evaluations[i][-1]["return_mean"],
            "eval_return_std": evaluations[i][-1]["return_std"],
            "evaluations": evaluations[i],
            **metrics.of(i),
            "skipped_updates": int(metrics.skipped[i]),
            "seconds": clock.laps,
        }
        for i in indices(active)
    ]


def _evaluation(steps: int, returns: Float[np.ndarray, " episodes"]) -> Record:
    mean, std = float(returns.mean()), float(returns.std())
    return {"env_steps": steps, "return_mean": mean, "return_std": std}


def _evaluate(
    seeds: AbstractSeeds,
    environment: AbstractEnvironmentLoop,
    training: TrainingState,
    shown: dict[str, float],
    progress: AbstractProgress,
) -> Float[np.ndarray, "seeds episodes"]:
    """Evaluate the current policies, always on the same episodes."""
    progress.phase("evaluate", 0, 1, shown)
    episodes = seeds.trainer.config.evaluation.episodes
    starts = np.stack([start_seeds(seed, EVALUATE, episodes) for seed in seeds.seeds])
    return environment.evaluate(training, starts)


def _train(
    seeds: AbstractSeeds,
    training: TrainingState,
    active: Active,
    metrics: MetricsOfSeeds,
    clock: Clock,
    progress: AbstractProgress,
) -> TrainingState:
    """Run a training phase: fit the world model to all experience, then improve the agent."""
    trainer, config = seeds.trainer, seeds.trainer.config
    training, _ = seeds.update(trainer.begin_phase, training, active)
    for name, program, updates in (
        ("fit", trainer.fit, config.model_updates),
        ("imagine", trainer.improve, config.agent_updates),
    ):
        # Chunks short enough to watch and to interrupt, of at most two sizes to compile.
        sizes = [_CHUNK] * (updates // _CHUNK)
        if updates % _CHUNK:
            sizes.append(updates % _CHUNK)
        for i, size in enumerate(sizes):
            progress.phase(name, sum(sizes[:i]), updates, metrics.shown(active))
            shared = (jnp.asarray(i), size)
            training, found = seeds.update(program, training, active, shared=shared)
            metrics.add(found, active)
        clock.lap(name)
    if trainer.selects_policies:
        training, found = seeds.update(trainer.end_phase, training, active)
        metrics.add(found, active)
        clock.lap("imagine")
    return training


_CHUNK = 200
