"""Mean inertia of recorded motions, by linear regression of their momentum."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import lsq_linear

# Largest number of windows of the regression, and number of folds of the cross-validation.
_WINDOWS, _PARTS = 3000, 4

# Strengths of the ridge penalty that cross-validation chooses from, per row.
_RIDGES = 10.0 ** np.arange(-8, 0)

# Largest number of coordinates for which a position-dependent mass matrix is tried.
_VARYING = 3

# Floor of the force scale of an equation, relative to the largest, for forces near 0.
_FLOOR = 0.1


class Motion(NamedTuple):
    """Recorded motion in natural units.

    **Attributes:** `q`, `qd`, `tau`, positions, velocities and generalised forces. Windows
    with rows that are not finite are left out.
    """

    q: Float[np.ndarray, "time n"]
    qd: Float[np.ndarray, "time n"]
    tau: Float[np.ndarray, "time n"]


def usual_inertia(
    motions: list[Motion], angles: tuple[bool, ...], dt: float, lag: int
) -> Float[np.ndarray, " n"]:
    """Estimate the mean diagonal of the mass matrix.

    Lagrange's equations are linear in the coefficients of `M(q)`, `V(q)` and friction, given
    basis functions of `q`. Integrated over `lag` steps they contain the change of momentum, so
    the regression needs no accelerations and is robust to noise. `M` is either constant or,
    for few coordinates, has a basis of the cosine and sine of each angle. Cross-validation
    chooses between the two. The basis of `V` has cosines and sines of angles and of their sums
    and differences, and polynomials of other coordinates. Coefficients on the diagonal of `M`
    and of friction are constrained to be non-negative.

    **Returns:** the estimate; 0 for a coordinate whose inertia the data do not determine; all
    `nan` if no motion has `lag` steps of finite numbers, or every force is 0.
    """
    n = len(angles)
    motions = [each for each in motions if np.any(_starts(each, lag))]
    if not motions or not any(np.any(each.tau[_finite(each)]) for each in motions):
        return np.full(n, np.nan)
    kinds = [False, True] if n <= _VARYING and any(angles) else [False]
    found = [_fit(motions, np.array(angles), dt, lag, varying) for varying in kinds]
    return min(found, key=lambda each: each.error).inertia


class _Fit(NamedTuple):
    inertia: Float[np.ndarray, " n"]
    error: float


def _fit(
    motions: list[Motion], angles: Bool[np.ndarray, " n"], dt: float, lag: int, varying: bool
) -> _Fit:
    """Fit the coefficients, with the ridge penalty of the least cross-validation error."""
    n = len(angles)
    q = np.concatenate([each.q[_finite(each)] for each in motions])
    mean = _cosines(q, angles)[0].mean(0) if varying else np.zeros(0)
    stride = max(1, sum(np.sum(_starts(each, lag)) for each in motions) // _WINDOWS)
    pieces = [_equations(each, angles, mean, dt, lag, stride) for each in motions]
    rows = np.concatenate([features for features, _ in pieces])
    changes = np.concatenate([change for _, change in pieces])
    part = np.arange(len(rows)) * _PARTS // len(rows)  # windows overlap, so folds are blocks
    strength = np.sqrt(np.mean(changes**2, axis=0))
    weight = 1 / np.maximum(strength, _FLOOR * strength.max())
    rows, changes = rows * weight[:, None], changes * weight
    size = np.sqrt(np.mean(rows**2, axis=(0, 1)))
    rows = rows / np.where(size > 0, size, 1.0)

    products = [
        (
            np.einsum("rnk,rnl->kl", rows[part == i], rows[part == i]),
            np.einsum("rnk,rn->k", rows[part == i], changes[part == i]),
        )
        for i in range(_PARTS)
    ]
    gram = np.sum([a for a, _ in products], axis=0)
    right = np.sum([b for _, b in products], axis=0)
    penalties = _RIDGES * changes.size
    errors = [_left_out(products, gram, right, penalty) for penalty in penalties]
    best = int(np.argmin(errors))
    lower = np.full(len(size), -np.inf)
    diagonal = _diagonal(n) * (1 + len(mean))
    lower[diagonal] = 0.0
    lower[len(size) - 3 * n : len(size) - n] = 0.0  # friction
    root = np.linalg.cholesky(gram + penalties[best] * np.eye(len(size)))
    solution = lsq_linear(root.T, np.linalg.solve(root, right), (lower, np.inf)).x
    total = float(np.sum(changes**2))
    inertia = (solution / np.where(size > 0, size, 1.0))[diagonal]
    return _Fit(inertia, (errors[best] + total) / total)


def _left_out(
    products: list[tuple[np.ndarray, np.ndarray]],
    gram: Float[np.ndarray, "k k"],
    right: Float[np.ndarray, " k"],
    penalty: float,
) -> float:
    """Compute the cross-validation error of a ridge penalty, up to a constant."""
    total, eye = 0.0, np.eye(len(right))
    for a, b in products:
        found = np.linalg.solve(gram - a + penalty * eye, right - b)
        total += found @ a @ found - 2 * b @ found
    return float(total)


def _equations(
    motion: Motion,
    angles: Bool[np.ndarray, " n"],
    mean: Float[np.ndarray, " f"],
    dt: float,
    lag: int,
    stride: int,
) -> tuple[Float[np.ndarray, "windows n k"], Float[np.ndarray, "windows n"]]:
    """Integrate Lagrange's equations over windows of `lag` steps.

    **Returns:** for each window and coordinate the factor of each coefficient, and the
    impulse of the recorded force. The order of coefficients is: mass matrix, pair by pair (the
    mean of an entry, then its deviations), potential, viscous friction, Coulomb friction,
    constant force.
    """
    starts = np.flatnonzero(_starts(motion, lag))[::stride]
    finite = _finite(motion)[:, None]
    q, qd, tau = (np.where(finite, x, 0.0) for x in motion)
    n = len(angles)
    values, slopes = np.ones((len(q), 1)), np.zeros((len(q), 1, n))
    if len(mean):
        cosines, cosine_slopes = _cosines(q, angles)
        values = np.concatenate([values, cosines - mean], axis=1)
        slopes = np.concatenate([slopes, cosine_slopes], axis=1)
    momenta, forces = [], []
    for i, j in _pairs(n):
        momentum = np.zeros((len(q), n, values.shape[1]))
        momentum[:, i] += values * qd[:, j : j + 1] * (0.5 if i == j else 1.0)
        momentum[:, j] += values * qd[:, i : i + 1] * (0.5 if i == j else 1.0)
        energy = (0.5 if i == j else 1.0) * qd[:, i] * qd[:, j]
        momenta.append(momentum)
        forces.append(np.swapaxes(slopes, 1, 2) * energy[:, None, None])
    momentum = np.concatenate(momenta, axis=2)
    usual = np.sqrt(np.mean(qd**2, axis=0))
    eye = np.eye(n)
    friction = np.tanh(qd / np.where(usual > 0, 0.05 * usual, 1.0))
    sides = [
        -np.concatenate(forces, axis=2),
        np.swapaxes(_potential_slopes(q, angles), 1, 2),
        qd[:, :, None] * eye,
        friction[:, :, None] * eye,
        np.broadcast_to(eye, (len(q), n, n)),
    ]
    integrals = _integral(np.concatenate(sides, axis=2), dt)
    features = integrals[starts + lag] - integrals[starts]
    features[:, :, : momentum.shape[2]] += momentum[starts + lag] - momentum[starts]
    impulse = _integral(tau, dt)
    return features, impulse[starts + lag] - impulse[starts]


def _finite(motion: Motion) -> Bool[np.ndarray, " time"]:
    return np.logical_and.reduce([np.all(np.isfinite(x), axis=1) for x in motion])


def _starts(motion: Motion, lag: int) -> Bool[np.ndarray, " windows"]:
    """Select the starts of windows whose rows are all finite."""
    broken = np.cumsum(np.concatenate([[0], ~_finite(motion)]))
    return broken[lag + 1 :] == broken[: max(len(motion.q) - lag, 0)]


def _cosines(
    q: Float[np.ndarray, "time n"], angles: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "time f"], Float[np.ndarray, "time f n"]]:
    """Compute cosine and sine of each angle, and their derivatives."""
    eye = np.eye(q.shape[1])[angles]
    c, s = np.cos(q[:, angles]), np.sin(q[:, angles])
    slopes = np.concatenate([-s[:, :, None] * eye, c[:, :, None] * eye], axis=1)
    return np.concatenate([c, s], axis=1), slopes


def _potential_slopes(
    q: Float[np.ndarray, "time n"], angles: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, "time f n"]:
    """Compute the derivatives of the basis functions of the potential."""
    eye = np.eye(q.shape[1])
    where = np.flatnonzero(angles)
    # Each row has the factors of all coordinates in one sum of angles.
    sums = [eye[i] for i in where]
    sums += [eye[i] + sign * eye[j] for i in where for j in where if i < j for sign in (1, -1)]
    directions = np.reshape(sums, (-1, len(eye)))
    phases = q @ directions.T
    linear = eye[~angles]
    return np.concatenate(
        [
            np.cos(phases)[:, :, None] * directions,
            np.sin(phases)[:, :, None] * directions,
            q[:, ~angles, None] * linear,
        ],
        axis=1,
    )


def _pairs(n: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(i, n)]


def _diagonal(n: int) -> np.ndarray:
    return np.array([k for k, (i, j) in enumerate(_pairs(n)) if i == j])


def _integral(x: np.ndarray, dt: float) -> np.ndarray:
    """Integrate along the first axis by the trapezoidal rule, from 0."""
    steps = np.cumsum((x[1:] + x[:-1]) / 2 * dt, axis=0)
    return np.concatenate([np.zeros_like(x[:1]), steps])
