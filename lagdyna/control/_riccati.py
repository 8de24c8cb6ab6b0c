"""Discrete algebraic Riccati equation, and what must hold for it to have a solution."""

from collections.abc import Sequence

import numpy as np
import scipy
from jaxtyping import Float

from .._errors import UserError

_UNREACHED = 1e-7  # smallest relative singular value of a mode that actions influence


def solve_riccati(
    a: Float[np.ndarray, "k k"],
    b: Float[np.ndarray, "k m"],
    q: Float[np.ndarray, "k k"],
    r: Float[np.ndarray, "m m"],
    names: Sequence[str],
) -> tuple[Float[np.ndarray, "m k"], Float[np.ndarray, "k k"]]:
    """Solve the discrete algebraic Riccati equation by the QZ algorithm of SciPy.

        P = Q + A' P (A - B K),    K = (R + B' P B)^-1 B' P A

    **Arguments:** `a`, `b`, the dynamics; `q`, `r`, weights of state and action; `names`, of
    the entries of the state, for messages.

    **Returns:** the gain `K` and `P`.

    **Raises:** `UserError` if the dynamics are not stabilisable; the message names the mode.
    Also if the gain does not stabilise, because `q` does not weigh an unstable mode.
    """
    check_stabilisable(a, b, names)
    weights = (
        "no gain of an LQR makes the linearised dynamics stable with these weights; give every "
        "coordinate and velocity a positive weight, and actions one that is not far smaller or "
        "larger"
    )
    try:
        p = scipy.linalg.solve_discrete_are(a, b, q, r)
    except np.linalg.LinAlgError as error:
        raise UserError(weights) from error
    gain = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
    if not np.abs(np.linalg.eigvals(a - b @ gain)).max() < 1:
        raise UserError(weights)
    return gain, 0.5 * (p + p.T)


def check_stabilisable(
    a: Float[np.ndarray, "k k"], b: Float[np.ndarray, "k m"], names: Sequence[str]
) -> None:
    """Check that actions influence every mode that does not decay by itself (Hautus 1969).

    **Raises:** `UserError` that names the mode.
    """
    scale = np.linalg.norm(a, 2) + np.linalg.norm(b, 2)
    for value in np.linalg.eigvals(a):
        if np.abs(value) < 1 - 1e-9:
            continue
        pencil = np.hstack([a - value * np.eye(len(a)), b])
        left, singular, _ = np.linalg.svd(pencil)
        if singular[-1] > _UNREACHED * scale:
            continue
        share = np.abs(left[:, -1])
        moved = [name for name, x in zip(names, share, strict=True) if x > 0.3 * share.max()]
        grows = (
            f"grows by a factor of {np.abs(value):.4g} in a step"
            if np.abs(value) > 1 + 1e-6
            else "does not decay"
        )
        raise UserError(
            f"the linearised dynamics are not stabilisable: a mode in {', '.join(moved)} "
            f"{grows}, and no action influences it; choose another equilibrium or actuate it"
        )
