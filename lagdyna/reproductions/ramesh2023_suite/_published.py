"""Table 1 of an early preprint of Ramesh & Ravindran (2023)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

MODELS = ("delan", "mlp")
REACHED = 0.95  # fraction of the published return that counts as reached


class PublishedModel(NamedTuple):
    """Published figures of a model on a task.

    **Attributes:** `value`, the average return after convergence; `steps`, of experience until
    then; `error`, of one step, L1.
    """

    value: float
    steps: int
    error: float


class Published(NamedTuple):
    """Published figures of a task, over 5 seeds.

    **Attributes:** `delan` and `mlp`, the models that the paper calls LNN and DNN; `sac`, the
    return of soft actor-critic without a model, and its `sac_steps`.
    """

    delan: PublishedModel
    mlp: PublishedModel
    sac: float
    sac_steps: int


def _row(
    returns: tuple[float, float, float], steps: int, errors: tuple[float, float]
) -> Published:
    """Create a row of the table, as printed: LNN, DNN, SAC; errors in units of 1e-5."""
    delan, mlp = (PublishedModel(returns[i], steps, errors[i] * 1e-5) for i in range(2))
    return Published(delan, mlp, returns[2], {125_000: 1_250_000, 500_000: 10_000_000}[steps])


PAPER: Mapping[str, Published] = MappingProxyType(
    {
        "pendulum": _row((787.0, 787.0, 787.0), 125_000, (3.5, 109.0)),
        "reacher": _row((943.0, 943.0, 943.0), 125_000, (4.8, 127.0)),
        "cartpole": _row((900.0, 899.0, 897.0), 125_000, (6.0, 149.0)),
        "acrobot": _row((912.0, 765.0, 818.0), 500_000, (48.0, 800.0)),
        "cart2pole": _row((828.0, 786.0, 802.0), 500_000, (70.0, 500.0)),
        "acro3bot": _row((929.0, 740.0, 854.0), 500_000, (156.0, 1322.0)),
        "cart3pole": _row((917.0, 757.0, 759.0), 500_000, (61.0, 1196.0)),
    }
)


def published(kind: str) -> PublishedModel:
    """Look up the published figures of `TASK.MODEL`."""
    task, model = kind.split(".")
    return PAPER[task].delan if model == "delan" else PAPER[task].mlp
