"""Memory that learners hold, and whether it is free."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..._errors import UserError

if TYPE_CHECKING:
    from jaxtyping import PyTree

    import lagdyna.parts


_COPIES = 3  # of a covariance, while it is updated
_SHARE = 0.8  # of the memory that is free


def held_bytes(
    weights: "list[PyTree]",
    blocks: Literal["full", "layer", "node"] | None = None,
    *,
    rows: int = 0,
) -> int:
    """Count the bytes of matrices that a learner holds while it updates.

    **Arguments:** `weights` of each model, shapes suffice; `blocks`, the covariances that are
    kept; `rows`, further matrices of so many rows, one column per weight.
    """
    import jax
    import jax.numpy as jnp

    from ...filters import covariance_size

    numbers = rows * sum(leaf.size for leaf in jax.tree.leaves(weights))
    if blocks is not None:
        numbers += sum(covariance_size(each, blocks) for each in weights)
    return _COPIES * numbers * jnp.result_type(float).itemsize


def available_memory() -> int:
    """Count the bytes that a learner may use of the free memory of its device."""
    import jax

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
    return 8 * 2**30  # on systems that do not say


def check_memory(
    option: str,
    learner: "lagdyna.parts.LearnerConfig",
    hidden: tuple[int, ...],
    weights: "list[PyTree]",
) -> None:
    """Refuse a learner that would not fit into memory, before any of it is allocated.

    **Arguments:** `option` and `hidden`, the widths that make the models so large; `weights`
    of each model, shapes suffice.

    **Raises:** `UserError` if the learner would hold more than is free.
    """
    import jax

    needed, free = learner.memory(weights), available_memory()
    if needed <= free:
        return
    count = sum(leaf.size for leaf in jax.tree.leaves(weights))
    others = {
        "ekf-block by layer": held_bytes(weights, "layer"),
        "ekf-block by node": held_bytes(weights, "node"),
        "ekf-lowrank": held_bytes(weights, rows=2 * getattr(learner, "rank", 64)),
    }
    subject = f"`{option}` was {list(hidden)}, which makes" if hidden else "the model has"
    fitting = [f"{other} ({_size(size)})" for other, size in others.items() if size <= free]
    raise UserError(
        f"{subject} {count} weights; {learner.name} holds "
        f"matrices of them, {_size(needed)}, and {_size(free)} are free: smaller layers are "
        f"accepted, or as `learner.name` {', '.join([*fitting, 'ekf-diagonal'])} or adam"
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
