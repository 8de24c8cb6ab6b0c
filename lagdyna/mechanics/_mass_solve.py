import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from . import linalg


class AbstractMassSolve(eqx.Module):
    """Solver of `H qdd = b` for a mass matrix that may be indefinite or singular.

    The mass matrix of a black-box Lagrangian is symmetric, but not always definite. A rigid
    body needs no such solver, since its mass matrix is positive definite.
    """

    @abc.abstractmethod
    def __call__(self, h: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
        """Solve `h qdd = b` for the acceleration, shape `(n,)`, with a symmetric `h`."""


class ExactSolve(AbstractMassSolve):
    """Exact solve, `H^-1 b`.

    The motion follows `L` to rounding, but is discontinuous where `H` becomes singular.
    """

    def __call__(self, h: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
        return linalg.solve(h, b)


class DampedSolve(AbstractMassSolve):
    """Damped least-squares solve, `(H H + damping^2 I)^-1 H b`.

    The solution exists and is smooth for every symmetric `H`. The inverse of an eigenvalue
    `h` is `h / (h^2 + damping^2)`: about `1/h` well above `damping`, and 0 at `h = 0`. Near
    `h = 0` the motion departs from `L` and energy is not conserved.

    **Arguments:**

    - `damping`: positive, in the units of `H`, kg or kg m^2.

    **Raises:** `ValueError` if `damping` is not positive.
    """

    damping: float = eqx.field(static=True, default=1e-3)

    def __check_init__(self):
        if self.damping <= 0:
            raise ValueError(
                f"`damping` must be positive, got {self.damping}; use `ExactSolve` for a solve "
                "without damping"
            )

    def __call__(self, h: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
        return linalg.damped_solve(h, b, self.damping)


class PseudoInverseSolve(AbstractMassSolve):
    """Pseudo-inverse solve of Cranmer et al. (2020).

    It computes an eigendecomposition of every sample and is the slowest of the three solvers.
    Its gradient is ill-behaved where the rank of `H` changes.

    **Arguments:**

    - `cutoff`: eigenvalues smaller in magnitude than this fraction of the largest count as 0.
    """

    cutoff: float = eqx.field(static=True, default=1e-6)

    def __call__(self, h: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.linalg.pinv(h, rtol=self.cutoff, hermitian=True) @ b
