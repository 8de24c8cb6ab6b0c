"""What a run does over and over, for any number of seeds, in any world."""

import time
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ._progress import AbstractProgress
from ._seeds import AbstractSeeds, Going, places
from ._trainer import Training
from ._worlds import EVALUATE, AbstractWorld, make_world, start_seeds

Record = dict[str, Any]
Records = list[list[Record]]
Keep = Callable[[Training, Records], None]


def run_rounds(
    seeds: AbstractSeeds,
    training: Training,
    records: Records,
    keep: Keep,
    progress: AbstractProgress,
) -> tuple[Training, Records]:
    """Rounds from wherever the training is until every seed has used up its steps.

    **Arguments:** `records`, each seed's lines of metrics so far; `keep`, what writes all of
    it down after each round.
    """
    world = make_world(seeds)
    config = seeds.trainer.config
    while True:
        going = seeds.numbers(training.env_steps) < config.steps_or_default
        if not going.any():
            return training, records
        try:
            training, lines = _round(seeds, world, training, going, progress)
        finally:
            world.close()
        added = iter(lines)
        records = [
            [*known, next(added)] if goes else known
            for known, goes in zip(records, going, strict=True)
        ]
        keep(training, records)
        progress.record(seeds.record(lines))


def _round(
    seeds: AbstractSeeds,
    world: AbstractWorld,
    training: Training,
    going: Going,
    progress: AbstractProgress,
) -> tuple[Training, list[Record]]:
    """Whole episodes, with training and evaluation between their steps and at the end.

    The episodes are as many as give the steps of a round; the last one of a run is cut
    short where the steps are used up. Seeds whose environments end episodes at different
    times wait for each other at the end of a round.

    **Returns:** the training, and a line of metrics of each seed that was going.
    """
    config = seeds.trainer.config
    clock, metrics = _Clock(), _Metrics(len(seeds.seeds))
    first, episodes = (
        seeds.numbers(array).copy() for array in (training.env_steps, training.episodes)
    )
    ends = first + np.minimum(config.steps_per_round, config.steps_or_default - first)
    evaluations: Records = [[] for _ in seeds.seeds]
    steps, inside, paid = first, going.copy(), np.zeros(len(seeds.seeds))

    def tell(done: int) -> None:
        progress.phase("collect", done, config.steps_or_default, metrics.shown(going))

    while inside.any():
        stops = steps + config.train_every
        training, rewards = world.collect(training, stops, ends, inside, tell)
        paid += rewards
        clock.lap("collect")
        training = _train(seeds, training, inside, metrics, clock, progress)
        steps = seeds.numbers(training.env_steps)
        judged = _judge(seeds, world, training, metrics.shown(going), progress)
        clock.lap("evaluate")
        entries = [
            {
                "env_steps": int(steps[i]),
                "return_mean": float(judged[i].mean()),
                "return_std": float(judged[i].std()),
            }
            for i in places(inside)
        ]
        for i, entry in zip(places(inside), entries, strict=True):
            evaluations[i].append(entry)
        progress.evaluation(seeds.evaluation(entries))
        inside &= (steps < config.steps_or_default) & (
            (steps < ends) | ~world.between(training)
        )
    training, _ = seeds.change(seeds.trainer.end_round, training, going)
    rounds, now = (seeds.numbers(array) for array in (training.rounds, training.episodes))
    return training, [
        {
            "round": int(rounds[i]),
            "episodes": int(now[i]),
            "env_steps": int(steps[i]),
            "train_return": float(paid[i] / (now[i] - episodes[i])),
            "eval_return_mean": evaluations[i][-1]["return_mean"],
            "eval_return_std": evaluations[i][-1]["return_std"],
            "evaluations": evaluations[i],
            **metrics.of(i),
            "skipped_updates": int(metrics.skipped[i]),
            "seconds": clock.laps,
        }
        for i in places(going)
    ]


def _judge(
    seeds: AbstractSeeds,
    world: AbstractWorld,
    training: Training,
    shown: dict[str, float],
    progress: AbstractProgress,
) -> Float[np.ndarray, "seeds episodes"]:
    """An evaluation of the policies as they are now, always on the same episodes."""
    progress.phase("evaluate", 0, 1, shown)
    episodes = seeds.trainer.config.evaluation.episodes
    starts = np.stack([start_seeds(seed, EVALUATE, episodes) for seed in seeds.seeds])
    return world.evaluate(training, starts)


def _train(
    seeds: AbstractSeeds,
    training: Training,
    going: Going,
    metrics: "_Metrics",
    clock: "_Clock",
    progress: AbstractProgress,
) -> Training:
    """A fit of the model to all experience, then imagination."""
    trainer, config = seeds.trainer, seeds.trainer.config
    training, _ = seeds.change(trainer.begin_fit, training, going)
    for name, program, updates in (
        ("fit", trainer.fit, config.model_updates),
        ("imagine", trainer.behave, config.agent_updates),
    ):
        # Pieces short enough to watch and to interrupt, of at most two sizes to compile.
        sizes = [_PIECE] * (updates // _PIECE)
        if updates % _PIECE:
            sizes.append(updates % _PIECE)
        for i, size in enumerate(sizes):
            progress.phase(name, sum(sizes[:i]), updates, metrics.shown(going))
            shared = (jnp.asarray(i), size)
            training, found = seeds.change(program, training, going, shared=shared)
            metrics.add(found, going)
        clock.lap(name)
    if config.generations > 1:
        training, found = seeds.change(trainer.choose, training, going)
        metrics.add(found, going)
        clock.lap("imagine")
    return training


_PIECE = 200


class _Metrics:
    """The latest of every metric of each seed, and how many updates were skipped in all."""

    def __init__(self, seeds: int):
        self._latest: dict[str, np.ndarray] = {}
        self.skipped = np.zeros(seeds, int)

    def add(self, metrics: dict[str, np.ndarray], going: Going) -> None:
        for name, values in metrics.items():
            if name.endswith("_skipped"):
                self.skipped += np.where(going, values, 0).astype(int)
            else:
                before = self._latest.get(name, values)
                self._latest[name] = np.where(going, values, before)

    def of(self, index: int) -> dict[str, float]:
        """Those of one seed."""
        return {name: float(values[index]) for name, values in self._latest.items()}

    def shown(self, going: Going) -> dict[str, float]:
        """Means over the seeds that are going."""
        return {name: float(np.mean(values[going])) for name, values in self._latest.items()}


class _Clock:
    """Seconds spent in each phase."""

    def __init__(self):
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """What passed since the last lap was spent in the phase `name`."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now
