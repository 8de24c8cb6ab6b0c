import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from . import linalg


class AbstractMassSolve(eqx.Module):
    """How `H qdd = b` is solved where the mass matrix `H` may be indefinite or singular.

    The mass matrix of a rigid body is positive definite and needs none of this. That of a
    black-box Lagrangian is symmetric and nothing more.
    """

    @abc.abstractmethod
    def __call__(self, h: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
        """The acceleration `qdd`, shape `(n,)`, for a symmetric `h`."""


class ExactSolve(AbstractMassSolve):
    """`H^-1 b`. Motion follows `L` to rounding, but jumps where `H` becomes singular."""

    def __call__(self, h: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
        return linalg.solve(h, b)


class DampedSolve(AbstractMassSolve):
    """`(H H + damping^2 I)^-1 H b`: exists and is smooth for every `H`.

    An eigenvalue `h` of `H` is inverted to `h / (h^2 + damping^2)`: as `1/h` where it is
    well above `damping`, to 0 where it vanishes. There the motion departs from `L`, and
    energy is not conserved.

    **Arguments:**

    - `damping`: in the units of `H`, kg or kg m^2.

    **Raises:** `ValueError` if `damping` is not positive.
    """

    damping: float = eqx.field(static=True, default=1e-3)

    def __check_init__(self):
        if self.damping <= 0:
            raise ValueError(
                f"`damping` must be positive, got {self.damping}; to solve exactly use "
                "`ExactSolve`"
            )

    def __call__(self, h: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
        return linalg.damped_solve(h, b, self.damping)


class PseudoInverseSolve(AbstractMassSolve):
    """The pseudo-inverse of Cranmer et al. (2020): eigenvalues below a cut-off count as 0.

    It takes an eigendecomposition of every sample, is the slowest of the three, and its
    gradient is ill-behaved where the rank changes.

    **Arguments:**

    - `cutoff`: eigenvalues smaller in magnitude than this fraction of the largest are 0.
    """

    cutoff: float = eqx.field(static=True, default=1e-6)

    def __call__(self, h: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.linalg.pinv(h, rtol=self.cutoff, hermitian=True) @ b
