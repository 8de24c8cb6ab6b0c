import abc

import equinox as eqx
from jaxtyping import Array, Float


class AbstractDynamics(eqx.Module):
    """Anything that says how a state accelerates under an action.

    Mechanical systems do, and so do networks that know no mechanics.
    """

    @abc.abstractmethod
    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        """Acceleration while `action` is applied, shape `(n,)`."""
