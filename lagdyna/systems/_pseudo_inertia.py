"""Log-Cholesky parameters of physically consistent inertia.

Rucker & Wensing (2022), Smooth parameterization of rigid-body inertia, IEEE RA-L 7(2).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._recursions import RigidBodies

# Smallest principal second moment of a link, relative to its largest.
FLOOR = 1e-6


def rigid_bodies(parameters: Float[Array, "links 10"]) -> RigidBodies:
    """Compute inertial parameters from log-Cholesky parameters.

    The pseudo-inertia of a link is `J = e^(2 alpha) U U'`, with the upper triangular

        U = [e^d1 s12 s13 t1; 0 e^d2 s23 t2; 0 0 e^d3 t3; 0 0 0 1]

    Its upper left block is the second moment of the mass, its last column the first moment
    and the mass. `J` is positive definite for all parameters, so every mass distribution that
    they describe can exist (eq. 8 and 9 of the paper).

    **Arguments:** `parameters`: `alpha, d1, d2, d3, s12, s23, s13, t1, t2, t3` of each link.
    """
    alpha, d1, d2, d3, s12, s23, s13, t1, t2, t3 = (parameters[:, i] for i in range(10))
    mass = jnp.exp(2 * alpha)
    centre = jnp.stack([t1, t2, t3], axis=1)
    e1, e2, e3 = jnp.exp(d1), jnp.exp(d2), jnp.exp(d3)
    second = {
        (0, 0): e1**2 + s12**2 + s13**2 + t1**2,
        (1, 1): e2**2 + s23**2 + t2**2,
        (2, 2): e3**2 + t3**2,
        (0, 1): s12 * e2 + s13 * s23 + t1 * t2,
        (0, 2): s13 * e3 + t1 * t3,
        (1, 2): s23 * e3 + t2 * t3,
    }
    trace = second[0, 0] + second[1, 1] + second[2, 2]
    rows = [
        jnp.stack(
            [(trace if i == j else 0.0) - second[min(i, j), max(i, j)] for j in range(3)],
            axis=1,
        )
        for i in range(3)
    ]
    inertia = mass[:, None, None] * jnp.stack(rows, axis=1)
    return RigidBodies(mass, mass[:, None] * centre, inertia)


def log_cholesky(
    mass: Float[np.ndarray, " links"],
    centre: Float[np.ndarray, "links 3"],
    inertia: Float[np.ndarray, "links 3 3"],
) -> Float[np.ndarray, "links 10"]:
    """Compute the log-Cholesky parameters of given links.

    **Arguments:**

    - `mass`: positive, kg.
    - `centre`: centre of mass, m.
    - `inertia`: matrix of the moments of inertia about the centre of mass, kg m^2. Where no
        mass distribution has it, the nearest principal moments that one has are used.
    """
    parameters = np.zeros((len(mass), 10))
    for i, (m, t, matrix) in enumerate(zip(mass, centre, inertia, strict=True)):
        second = (0.5 * np.trace(matrix) * np.eye(3) - matrix) / m
        moments, axes = np.linalg.eigh(second)
        floor = FLOOR * max(moments[-1], np.finfo(float).tiny)
        if moments[0] < floor:
            second = axes @ np.diag(np.maximum(moments, floor)) @ axes.T
        factor = np.linalg.cholesky(second[::-1, ::-1])[::-1, ::-1]
        parameters[i] = [
            0.5 * np.log(m),
            *np.log(np.diag(factor)),
            factor[0, 1],
            factor[1, 2],
            factor[0, 2],
            *t,
        ]
    return parameters


def is_consistent(inertia: Float[np.ndarray, "3 3"]) -> bool:
    """Whether a mass distribution can have these moments of inertia about its centre.

    Each principal moment must be at most the sum of the other two, and positive.
    """
    moments = np.linalg.eigvalsh(inertia)
    return bool(moments[0] > 0 and moments[2] <= (moments[0] + moments[1]) * (1 + 1e-9))
