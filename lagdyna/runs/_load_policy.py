"""Policies to use, of a run or exported; JAX is imported only where it is needed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runtime import is_exported, load_exported_policy

if TYPE_CHECKING:
    from ..runtime import ExportedPolicy
    from ._policy import RunPolicy
    from ._trust import Trust


def load_policy(
    run: str | Path, *, agent: Any = None, trust: "Trust" = False
) -> "RunPolicy | ExportedPolicy":
    """Load a policy, of a training run or exported, to control an environment or a machine.

    No trainer is built, so this takes a few seconds less than [`lagdyna.runs.load_run`][]. The
    agent `planner` is an exception: its policy simulates the learned model.

    ```python
    policy = lagdyna.load_policy("runs/Pendulum-v1-1")
    observation, _ = env.reset()
    action, _ = policy.predict(observation)
    ```

    **Arguments:**

    - `run`: the directory of a training run of one seed, finished or not, or one that
        `lagdyna export` wrote. An exported policy is loaded without JAX, unless its format is
        `stablehlo`.
    - `agent`: of a run, the agent, if it was given to [`lagdyna.runs.train`][] as an object or
        a class.
    - `trust`: of a run, as for [`lagdyna.runs.load`][].

    **Returns:** a policy with `predict`; see [`lagdyna.runtime.AbstractPredictor`][].

    **Raises:** [`lagdyna.UserError`][] if the directory holds neither, or what is damaged; if
    the run has no checkpoint yet; or if its environment cannot be made, which is needed only
    for runs that did not record its spaces. An exported policy also if a package is missing.
    """
    if is_exported(run):
        return load_exported_policy(run)
    from ._policy import policy_of

    return policy_of(run, agent=agent, trust=trust)
