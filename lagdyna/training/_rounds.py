"""The training loop: rounds of experience, training phases and evaluations."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from ..config import given
from ..progress import AbstractProgress
from ..tasks import suite_task
from ._clock import Clock, MetricsOfSeeds
from ._compiled import CompiledLoop
from ._environment import EVALUATE, AbstractEnvironmentLoop, start_seeds
from ._host import HostLoop
from ._kept_programs import ProgramName
from ._round import Record, Records, Round
from ._seeds import AbstractSeeds, Active, indices
from ._state import TrainingState

Keep = Callable[[TrainingState, Records, Round | None], None]
# Keeps a training state within a round.
KeepPhase = Callable[[TrainingState, Round], None]


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
    begun: Round | None = None,
) -> tuple[TrainingState, Records]:
    """Train until every seed has used up its environment steps.

    **Arguments:**

    - `records`: the lines of metrics of each seed so far.
    - `keep`: writes the state, the records and the round in progress after each training phase,
        and with `None` in its place after each round.
    - `begun`: the round in progress of a run that was interrupted within one.
    """
    environment = make_environment_loop(seeds)
    steps = given(seeds.trainer.config.steps)

    def keep_phase(training: TrainingState, phase: Round) -> None:
        keep(training, records, phase)

    while True:
        if begun is None:
            active = seeds.to_numpy(training.env_steps) < steps
            if not active.any():
                return training, records
            begun = Round.begin(seeds, training, active)
        try:
            training = environment.restore(training, begun.unfinished)
            training, lines = _round(seeds, environment, training, begun, keep_phase, progress)
        finally:
            environment.close()
        added = iter(lines)
        records = [
            [*known, next(added)] if is_active else known
            for known, is_active in zip(records, begun.active, strict=True)
        ]
        begun = None
        keep(training, records, None)
        progress.record(seeds.record(lines))


def _round(
    seeds: AbstractSeeds,
    environment: AbstractEnvironmentLoop,
    training: TrainingState,
    now: Round,
    keep: KeepPhase,
    progress: AbstractProgress,
) -> tuple[TrainingState, list[Record]]:
    """Collect whole episodes, with a training phase and an evaluation every few steps.

    The last episode of a run is cut off when the steps are used up. Seeds whose episodes end
    at different times wait for each other at the end of a round.

    **Returns:** the training state, and a line of metrics of each active seed.
    """
    config, active, metrics, clock = seeds.trainer.config, now.active, now.metrics, now.clock
    total, every = given(config.steps), given(config.collect.train_every)
    ends, steps, inside = now.ends(seeds), seeds.to_numpy(training.env_steps), now.inside

    def report(done: int) -> None:
        progress.phase("collect", done, total, metrics.shown(active))

    while inside.any():
        if not now.evaluating:
            training, more = environment.collect(training, steps + every, ends, inside, report)
            now = now._replace(rewards=now.rewards + more)
            clock.lap("collect")
            training = _train(seeds, training, inside, metrics, clock, progress)
            steps = seeds.to_numpy(training.env_steps)
            now = now._replace(evaluating=True, unfinished=environment.unfinished())
        try:
            returns = _evaluate(seeds, environment, training, metrics.shown(active), progress)
        except BaseException:  # keep the trained phase if the environment fails
            keep(training, now)
            raise
        clock.lap("evaluate")
        entries = [_evaluation(int(steps[i]), returns[i]) for i in indices(inside)]
        for i, entry in zip(indices(inside), entries, strict=True):
            now.evaluations[i].append(entry)
        between = environment.between_episodes(training)
        inside = inside & (steps < total) & ((steps < ends) | ~between)
        now = now._replace(inside=inside, unfinished=environment.unfinished(), evaluating=False)
        if inside.any():  # the last phase is kept with the whole round
            keep(training, now)
            clock.skip()
        progress.evaluation(seeds.evaluation(entries))
    training, _ = seeds.update(seeds.trainer.end_round, training, active)
    return training, [now.line(seeds, training, i) for i in indices(active)]


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
    phases: tuple[tuple[str, ProgramName, int], ...] = (
        ("fit", "fit", config.model_updates),
        ("imagine", "improve", config.agent_updates),
    )
    for name, program, updates in phases:
        sizes = _chunks(updates)
        for i, size in enumerate(sizes):
            progress.phase(name, sum(sizes[:i]), updates, metrics.shown(active))
            training, found = seeds.learn(program, training, active, i, size)
            metrics.add(found, active)
        clock.lap(name)
    if trainer.selects_policies:
        training, found = seeds.update(trainer.end_phase, training, active)
        metrics.add(found, active)
        clock.lap("imagine")
    return training


def _chunks(updates: int) -> list[int]:
    """Divide updates into chunks short enough to watch and to interrupt.

    Each size is compiled by itself, so they are equal unless that would make them short.
    """
    size = next((n for n in range(_CHUNK, _CHUNK // 2, -1) if updates % n == 0), _CHUNK)
    rest = updates % size
    return [size] * (updates // size) + [rest] * (rest > 0)


_CHUNK = 200
