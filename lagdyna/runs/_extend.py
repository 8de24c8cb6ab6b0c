"""More environment steps for runs that have begun."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._errors import UserError
from ..config import Config
from ..options import config_to_toml
from ..reports import REPORT
from ..results import load_checkpoint, read_notes, save_checkpoint, write_text
from ..training import ManySeeds, Round, Trainer, TrainingState
from ._directory import checkpoint_of, load_training


def kept_config(run: Path, config: Config) -> Config:
    """Take the steps of the checkpoint if they are more than those of `config.toml`.

    An extension writes the checkpoint first, so this is one that was interrupted.
    """
    if not checkpoint_of(run).exists():
        return config
    try:
        steps = tomllib.loads(read_notes(checkpoint_of(run))["config"])["steps"]
    except (KeyError, TypeError, tomllib.TOMLDecodeError):
        return config  # reading the checkpoint says what is wrong with it
    if type(steps) is int and config.steps is not None and steps > config.steps:
        return dataclasses.replace(config, steps=steps)
    return config


def extend_run(run: Path, trainer: Trainer, steps: int) -> Trainer:
    """Give a run another number of environment steps in total.

    **Returns:** the trainer with that number.

    **Raises:** `UserError` if the run has made as many already.
    """
    longer = trainer.with_steps(_checked(run, steps))
    text = config_to_toml(longer.config)
    if checkpoint_of(run).exists():
        training, notes = load_training(run, trainer)
        training = _resized(training, longer.init())
        _end_no_more(run)
        save_checkpoint(checkpoint_of(run), training, {**notes, "config": text})
    write_text(run / "config.toml", text)
    return longer


def extend_seeds(run: Path, many: ManySeeds, steps: int, directories: list[Path]) -> ManySeeds:
    """Give a run of several seeds another number of environment steps in total.

    **Arguments:** `directories`, of the seeds.

    **Returns:** the seeds with that number.

    **Raises:** `UserError` if the run has made as many already.
    """
    trainer = many.trainer.with_steps(_checked(run, steps))
    longer = ManySeeds(trainer, many.seeds)
    configs = [dataclasses.replace(trainer.config, seed=seed) for seed in many.seeds]
    if checkpoint_of(run).exists():
        training, notes = load_checkpoint(checkpoint_of(run), many.start())
        training = _resized(training, longer.start())
        for directory in (run, *directories):
            _end_no_more(directory)
        whole = {**notes, "config": config_to_toml(trainer.config)}
        save_checkpoint(checkpoint_of(run), training, whole)
        phase = Round.of_notes(notes.get("round"), str(checkpoint_of(run)), len(directories))
        for i, directory in enumerate(directories):
            own = {**notes, "config": config_to_toml(configs[i])}
            own["records"], own["digest"] = notes["records"][i], notes["digest"][i]
            own["round"] = None if phase is None else phase.notes_of(i)
            save_checkpoint(checkpoint_of(directory), longer.one(training, i), own)
    for config, directory in zip(configs, directories, strict=True):
        write_text(directory / "config.toml", config_to_toml(config))
    return longer


def _end_no_more(directory: Path) -> None:
    """Remove the result of a run that goes on."""
    for name in ("summary.json", REPORT):
        (directory / name).unlink(missing_ok=True)


def _checked(run: Path, steps: int) -> int:
    made: Any = 0
    if checkpoint_of(run).exists():
        made = read_notes(checkpoint_of(run)).get("env_steps", 0)
    if steps <= made:
        raise UserError(
            f"`steps` was {steps}, and {str(run)!r} has made {made} steps already; more are "
            "accepted"
        )
    return steps


def _resized(training: TrainingState, like: TrainingState) -> TrainingState:
    """Enlarge the arrays whose size depends on the number of steps.

    These are the replay buffer, with a row for each step, and the policies of restarts. The
    last entry is repeated in the rows that are added; it is not looked at before it is
    replaced.
    """

    arrays, rest = eqx.partition(like, eqx.is_array)
    leaves, structure = jax.tree.flatten(arrays)
    before = jax.tree.leaves(eqx.filter(training, eqx.is_array))
    pairs = zip(before, leaves, strict=True)
    resized = [
        old if old.shape == new.shape else _with_length(old, new.shape) for old, new in pairs
    ]
    return eqx.combine(jax.tree.unflatten(structure, resized), rest)


def _with_length(array: Array, shape: tuple[int, ...]) -> Array:
    """Cut an array, or repeat its last entry, along the axis where another shape differs."""
    axis = next(i for i, (a, b) in enumerate(zip(array.shape, shape, strict=True)) if a != b)
    rows = jnp.minimum(jnp.arange(shape[axis]), array.shape[axis] - 1)
    return jnp.take(array, rows, axis=axis)
