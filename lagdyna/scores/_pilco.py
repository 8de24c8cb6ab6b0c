import numpy as np
from jaxtyping import Array, Float

from ..tasks import SuiteTask


def pilco_success(
    task: SuiteTask,
    q: Float[Array | np.ndarray, "time n"],
    *,
    within: float = 0.08,
    seconds: float = 1.0,
) -> bool:
    """Decide whether a trial brings the tip of a chain on a cart to its goal and holds it.

    The goal is the position of the tip when the chain is upright and the cart in the middle.
    By default the tip must be closer than 8 cm to it for the last second. lagdyna defines this
    criterion; PILCO's scripts have none.

    **Arguments:**

    - `task`: a task with a cart, such as `suite_task("pilco-cartpole")`.
    - `q`: coordinates of a whole trial, one row per state, the initial state included.
    - `within`: largest distance from the goal, m.
    - `seconds`: length of the last part of the trial in which the distance counts.

    **Raises:** `ValueError` if the task has no cart, if `q` has another number of columns or is
    shorter than `seconds`, or if it contains numbers that are not finite.
    """
    if not task.has_cart:
        raise ValueError(f"`task` was {task.name!r}; a task with a cart is accepted")
    path = np.asarray(q, float)
    last = round(seconds / task.dt) + 1  # states, both ends included
    if path.ndim != 2 or path.shape[1] != task.n or len(path) < last:
        raise ValueError(
            f"`q` has shape {path.shape}; at least {last} rows of {task.n} numbers are accepted"
        )
    if not np.isfinite(path).all():
        raise ValueError("`q` has entries that are not finite; finite numbers are accepted")
    lengths = np.asarray(getattr(task.system.lagrangian, "length", 1.0), float)
    theta = np.cumsum(path[-last:, 1:], axis=1)
    x = path[-last:, 0] + np.sum(lengths * np.sin(theta), axis=1)
    y = np.sum(lengths * (np.cos(theta) - 1), axis=1)
    return bool(np.all(np.hypot(x, y) < within))
