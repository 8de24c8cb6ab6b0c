"""Filters that a config names, and whether they fit into memory."""

from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Scalar, UInt

from ..learners import (
    AbstractFilter,
    AbstractSquaredLoss,
    Blocks,
    EnsembleLearner,
    KalmanLearner,
    ParticleLearner,
    SigmaPointLearner,
    covariance_size,
    largest_block,
)
from ._config import FilterConfig
from ._errors import UserError

FULL = 3000  # weights up to which `auto` keeps every covariance
LAYER = 5000  # and the weights of a layer up to which it keeps those within each

_COPIES = 3  # of a covariance, while it is updated
_SHARE = 0.8  # of the memory that is free


def make_filter(
    name: str,
    loss: AbstractSquaredLoss,
    options: FilterConfig,
    repeats: float | Scalar,
    seed: int | UInt[Array, ""] = 0,
) -> AbstractFilter:
    """The filter of that name.

    **Arguments:** `repeats`, how often each datum will be seen, if that is more than once;
    `seed`, of the members of an ensemble and of particles.
    """
    shared: dict[str, Any] = {
        "prior": options.prior,
        "noise": options.noise,
        "process": options.process,
        "process_decay": options.process_decay,
        "fading": options.fading,
        "repeats": jnp.maximum(repeats, 1.0),
    }
    if name == "ckf":
        return SigmaPointLearner(loss, **shared)
    if name == "ukf":
        scaled = {"alpha": options.alpha, "beta": options.beta, "kappa": options.kappa}
        return SigmaPointLearner(loss, **shared, **scaled)
    if name == "enkf":
        return EnsembleLearner(loss, **shared, members=options.members, seed=seed)
    if name == "pf":
        return ParticleLearner(loss, **shared, particles=options.particles, seed=seed)
    rank = options.rank if name == "ekf-lowrank" else None
    blocks = _blocks(name, options)
    iterations = options.iterations
    return KalmanLearner(loss, **shared, blocks=blocks, rank=rank, iterations=iterations)


def _blocks(name: str, options: FilterConfig) -> Blocks:
    if name == "ekf-block":
        return options.blocks
    return "weight" if name == "ekf-diagonal" else "full"


def chosen_filter(weights: list[PyTree]) -> tuple[str, Literal["layer", "node"]]:
    """What `auto` stands for: the name of a filter, and its blocks.

    Every covariance, where no model has more than 3000 weights; else those within each
    layer, where none has more than 5000 weights; else those within each unit. Or the
    first of these that fits into memory.

    **Arguments:** `weights` of each model that is learned; shapes alone are looked at.
    """
    free = available_memory()
    tries: tuple[tuple[str, Blocks, int], ...] = (
        ("ekf", "full", FULL),
        ("ekf-block", "layer", LAYER),
    )
    for name, blocks, most in tries:
        largest = max(largest_block(each, blocks) for each in weights)
        if largest <= most and held_bytes(name, weights, FilterConfig()) <= free:
            return name, "layer"
    return "ekf-block", "node"


def held_bytes(name: str, weights: list[PyTree], options: FilterConfig) -> int:
    """What a learner holds beside the weights while it updates, bytes."""
    groupings: dict[str, Blocks] = {
        **dict.fromkeys(("ekf", "ckf", "ukf", "levenberg-marquardt"), "full"),
        "ekf-block": options.blocks,
    }
    each = {"enkf": options.members, "pf": options.particles, "ekf-lowrank": 2 * options.rank}
    count = sum(leaf.size for leaf in jax.tree.leaves(weights))
    numbers = each.get(name, 0) * count
    if name in groupings:
        numbers = sum(covariance_size(each, groupings[name]) for each in weights)
    return _COPIES * numbers * jnp.result_type(float).itemsize


def available_memory() -> int:
    """Bytes that a learner may take of what is free, on the device that it will run on."""
    device = jax.devices()[0]
    found = device.memory_stats() if device.platform != "cpu" else None
    if found and "bytes_limit" in found:
        free = found["bytes_limit"] - found.get("bytes_in_use", 0)
    else:
        free = _free_on_host()
    return int(_SHARE * free)


def _free_on_host() -> int:
    info = Path("/proc/meminfo")
    if info.exists():
        for line in info.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return 8 * 2**30  # where nobody says


def check_memory(
    option: str,
    name: str,
    hidden: tuple[int, ...],
    weights: list[PyTree],
    options: FilterConfig,
) -> None:
    """Refuses what would not fit, before anything of it is there.

    **Arguments:** `option` and `hidden`, what makes the models so large; `weights` of each,
    shapes alone are looked at.

    **Raises:** `UserError` if the learner would hold more than there is memory.
    """
    needed, free = held_bytes(name, weights, options), available_memory()
    if needed <= free:
        return
    count = sum(leaf.size for leaf in jax.tree.leaves(weights))
    others = {
        "ekf-block by layer": held_bytes("ekf-block", weights, FilterConfig(blocks="layer")),
        "ekf-block by node": held_bytes("ekf-block", weights, FilterConfig(blocks="node")),
        "ekf-lowrank": held_bytes("ekf-lowrank", weights, options),
    }
    fitting = [f"{other} ({_size(size)})" for other, size in others.items() if size <= free]
    raise UserError(
        f"`{option}` was {list(hidden)}, which makes {count} weights; {name} holds matrices "
        f"of them, {_size(needed)}, and {_size(free)} are free: smaller layers are "
        f"accepted, or as `learner.name` {', '.join([*fitting, 'ekf-diagonal'])} or adam"
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
