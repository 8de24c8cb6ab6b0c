"""Linear and log-Cholesky parameters of links, in NumPy with derivatives."""

import numpy as np
from jaxtyping import Float

# Numbers of a link: mass, first moment, and six moments of inertia about its joint.
PER_LINK = 10

_AXES = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def linear_parameters(
    parameters: Float[np.ndarray, "links 10"],
) -> Float[np.ndarray, "links 10"]:
    """Convert log-Cholesky parameters to mass, first moment and moments of inertia."""
    return _linear(pseudo_inertia(parameters)[0])


def _linear(pseudo: Float[np.ndarray, "... 4 4"]) -> Float[np.ndarray, "... 10"]:
    """Convert pseudo-inertias to mass, first moment and moments of inertia."""
    trace = np.trace(pseudo[..., :3, :3], axis1=-2, axis2=-1)
    moments = [(trace if i == j else 0.0) - pseudo[..., i, j] for i, j in _AXES]
    first = [pseudo[..., i, 3] for i in range(3)]
    return np.stack([pseudo[..., 3, 3], *first, *moments], axis=-1)


def pseudo_inertia(
    p: Float[np.ndarray, "links 10"],
) -> tuple[Float[np.ndarray, "links 4 4"], Float[np.ndarray, "links 10 4 4"]]:
    """Compute the pseudo-inertia of log-Cholesky parameters, and its derivatives."""
    factor = np.tile(np.eye(4), (len(p), 1, 1))
    factor[:, [0, 1, 2], [0, 1, 2]] = np.exp(p[:, 1:4])
    factor[:, [0, 1, 0], [1, 2, 2]] = p[:, 4:7]
    factor[:, :3, 3] = p[:, 7:]
    mass = np.exp(2 * p[:, 0])[:, None, None]
    transposed = np.swapaxes(factor, 1, 2)
    pseudo = mass * factor @ transposed
    places = [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2), (0, 3), (1, 3), (2, 3)]
    slopes = [2 * pseudo]
    for i, j in places:
        # A change of one entry of the factor moves one row of the product.
        slope = np.zeros_like(pseudo)
        change = factor[:, i, i] if i == j else 1.0
        slope[:, i] = mass[:, 0] * transposed[:, j] * np.reshape(change, (-1, 1))
        slopes.append(slope + np.swapaxes(slope, 1, 2))
    return pseudo, np.stack(slopes, axis=1)


def slopes_of(parameters: Float[np.ndarray, "links 10"]) -> Float[np.ndarray, "links 10 10"]:
    """Differentiate `linear_parameters` of each link."""
    return np.swapaxes(_linear(pseudo_inertia(parameters)[1]), 1, 2)
