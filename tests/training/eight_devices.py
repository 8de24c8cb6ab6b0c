"""Script that compares eight seeds on eight devices with each seed by itself."""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from lagdyna.progress import Silence
from lagdyna.results import load_checkpoint, save_checkpoint
from lagdyna.tasks import get_task
from lagdyna.training import (
    AbstractSeeds,
    ManySeeds,
    OneSeed,
    Records,
    Trainer,
    TrainingState,
    run_rounds,
)
from tests.small import MLP, REPLAYED, small_config

CONFIG = small_config(
    task=dataclasses.asdict(get_task("pendulum")),
    model=MLP,
    steps=1200,
    learner={"updates": 5},
    agent={"updates": 3, "restart_interval": 1, **REPLAYED},  # two policies
    collect={"random_steps": 900, "train_every": 600, "steps_per_round": 600},
    seed=3,
)


def trained(seeds: AbstractSeeds) -> tuple[TrainingState, Records]:
    records: Records = [[] for _ in seeds.seeds]
    return run_rounds(seeds, seeds.start(), records, lambda *_: None, Silence())


def main() -> None:
    assert len(jax.devices()) == 8
    many = ManySeeds(Trainer(CONFIG), range(3, 11))
    together, records = trained(many)
    leaves = jax.tree.leaves(eqx.filter(together, eqx.is_array))
    for leaf in leaves:
        assert len(leaf.sharding.device_set) == 8, leaf.sharding
        assert {s.data.shape[0] for s in leaf.addressable_shards} == {1}
    apart: list[float] = []
    for i, seed in enumerate(range(3, 11)):
        one = many.one(together, i)
        agent: Any = one.agent
        apart.append(float(agent.actor_critic.policy.network.layers[0].weight[0, 0]))
        alone = OneSeed(Trainer(dataclasses.replace(CONFIG, seed=seed)))
        training, (lines,) = trained(alone)
        for a, b in zip(
            jax.tree.leaves(eqx.filter(one, eqx.is_array)),
            jax.tree.leaves(eqx.filter(training, eqx.is_array)),
            strict=True,
        ):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)
        for line, other in zip(records[i], lines, strict=True):
            for name in ("env_steps", "episodes", "round", "skipped_updates"):
                assert line[name] == other[name]
            for name in ("eval_return_mean", "train_return", "model_loss", "reward_loss"):
                np.testing.assert_allclose(line[name], other[name], rtol=1e-2, atol=1e-3)
    assert len(set(apart)) == 8, "all seeds differ"
    resumed = interrupted(many)
    for a, b in zip(leaves, jax.tree.leaves(eqx.filter(resumed, eqx.is_array)), strict=True):
        np.testing.assert_array_equal(a, b)
    print(json.dumps({"leaves": len(leaves)}))


def interrupted(seeds: ManySeeds) -> TrainingState:
    """The state after the same run, interrupted after a round and read from its file."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "training.npz"

        def keep(training: Any, records: Any, begun: Any) -> None:
            if begun is not None:
                return
            save_checkpoint(path, training, {})
            raise KeyboardInterrupt

        empty: Records = [[] for _ in seeds.seeds]
        training = seeds.start()
        try:
            run_rounds(seeds, training, empty, keep, Silence())
        except KeyboardInterrupt:
            training, _ = load_checkpoint(path, training)
    training = seeds.place(training)
    return run_rounds(seeds, training, empty, lambda *_: None, Silence())[0]


if __name__ == "__main__":
    main()
