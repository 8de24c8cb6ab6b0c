"""Statistics of fitted parameters: intervals, and directions that the data do not tell."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import stdtrit

_ROUNDING = 100.0  # relative error of derivatives, in units of the precision of numbers
_LEAST = 1e-8  # relative singular value, below which no record of a machine tells anything
_LEVEL = 0.95
_SMALL = 0.1  # part of a direction that is not worth a word
_EQUAL = 0.05  # relative difference of parts that count as equal


class Spread(NamedTuple):
    """Uncertainty of parameters, each in units of itself.

    **Attributes:**

    - `singular`: singular values of the Jacobian over the standard deviation of an error, in
        falling order.
    - `unknown`: orthonormal directions of the parameters that the data do not tell, as rows.
    - `deviation`: standard deviation of each parameter, as far as they tell it.
    - `degrees`: degrees of freedom of the deviations.
    """

    singular: Float[np.ndarray, " parameters"]
    unknown: Float[np.ndarray, "directions parameters"]
    deviation: Float[np.ndarray, " parameters"]
    degrees: int

    @property
    def quantile(self) -> float:
        """Half the width of a 95 % interval, in standard deviations."""
        return float(stdtrit(self.degrees, 0.5 + 0.5 * _LEVEL))

    @property
    def known(self) -> Bool[np.ndarray, " parameters"]:
        """Whether the data tell each parameter."""
        return np.sum(self.unknown**2, axis=0) < _SMALL**2


def spread_of(
    factors: Float[np.ndarray, "blocks rows size"], errors: int, epsilon: float
) -> Spread:
    """Compute the uncertainty of a least-squares fit.

    The covariance is computed twice: from the variance of all errors as if they were
    independent, and from the gradients of blocks of consecutive rows (the sandwich of White
    1980, "A heteroskedasticity-consistent covariance matrix estimator", by blocks). Errors
    that are correlated in time, or counted twice by overlapping windows, make the second
    larger. The larger one counts. Both assume that the equations are right.

    A direction is unknown if a change by a factor of e along it is within one standard
    deviation, or if its singular value is within the rounding errors of the largest one.

    **Arguments:** `factors`, triangular factors of the Jacobian of each block, with the errors
    as last column, see [`lagdyna.learners.jacobian_factor`][]; `errors`, number of errors;
    `epsilon`, precision of the numbers.
    """
    blocks, size = factors.shape[0], factors.shape[2] - 1
    whole = np.asarray(np.linalg.qr(factors.reshape(-1, size + 1), mode="r"))
    _, singular, directions = np.linalg.svd(whole[:, :size], full_matrices=True)
    singular = np.concatenate([singular, np.zeros(size - len(singular))])
    noise = np.sum(whole[:, size] ** 2) / max(1, errors - size)
    rounding = singular <= max(_ROUNDING * epsilon, _LEAST) * singular[0]
    usable = np.where(rounding, np.inf, singular)
    variances = [np.diag(noise / usable**2)]
    if blocks > size + 1:
        gradients = np.einsum("bij,bi->bj", factors[:, :, :size], factors[:, :, size])
        along = gradients @ directions.T
        sandwich = along.T @ along * blocks / (blocks - size)
        variances.append(sandwich / np.outer(usable**2, usable**2))
    worst = np.max([np.diag(each) for each in variances], axis=0)
    held = rounding | (worst > 1)
    kept = directions[~held]
    each = [np.sum((kept.T @ v[np.ix_(~held, ~held)]) * kept.T, axis=1) for v in variances]
    degrees = blocks - size if blocks > size + 1 else max(1, errors - size)
    return Spread(
        singular / np.sqrt(noise) if noise > 0 else singular / epsilon,
        directions[held],
        np.sqrt(np.max(each, axis=0)),
        degrees,
    )


class Direction(NamedTuple):
    """Joint change of parameters that the data do not tell.

    **Attributes:** `parts`, relative change of each parameter that has a part in it, the
    largest 1; `text`, the same in words.
    """

    parts: dict[str, float]
    text: str


def directions_of(
    unknown: Float[np.ndarray, "directions parameters"], names: Sequence[str]
) -> list[Direction]:
    """Describe what the data do not tell, by directions with as few parameters as possible.

    **Arguments:** `unknown`, see `Spread`; `names`, of the parameters, such as `mass[0]`.
    """
    reduced, row = unknown.copy(), 0
    for row in range(len(reduced)):  # Gauss-Jordan elimination with full pivoting
        rest = np.abs(reduced[row:])
        i, j = np.unravel_index(np.argmax(rest), rest.shape)
        reduced[[row, row + i]] = reduced[[row + i, row]]
        reduced[row] /= reduced[row, j]
        others = np.arange(len(reduced)) != row
        reduced[others] -= np.outer(reduced[others, j], reduced[row])
    found = []
    for each in reduced:
        largest = each[np.argmax(np.abs(each))]
        scaled = each / largest
        parts = {
            name: float(x) for name, x in zip(names, scaled, strict=True) if abs(x) > _SMALL
        }
        found.append(Direction(parts, _in_words(parts, names)))
    return found


def _in_words(parts: dict[str, float], names: Sequence[str]) -> str:
    shown = _listed(_grouped(parts, names))
    if len(parts) == 1:
        return f"{shown} cannot be told from these data"
    if max(parts.values()) - min(parts.values()) < _EQUAL:
        return f"{shown} have a common factor that these data do not tell"
    changes = [f"{name} {100 * x:+.0f} %" for name, x in parts.items()]
    return (
        f"{shown} can be told only together from these data, in which {', '.join(changes)} "
        "change next to nothing"
    )


def _grouped(parts: dict[str, float], names: Sequence[str]) -> list[str]:
    """Name whole arrays where all of their entries have a part."""
    arrays: dict[str, list[str]] = {}
    for name in names:
        arrays.setdefault(name.partition("[")[0], []).append(name)
    grouped = []
    for array, entries in arrays.items():
        inside = [name for name in entries if name in parts]
        grouped += [array] if inside == entries else inside
    return [f"`{name}`" for name in grouped]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
