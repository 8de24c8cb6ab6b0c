import abc

import equinox as eqx
from jaxtyping import Array, Float


class AbstractDynamics(eqx.Module):
    """Map from a state and an action to an acceleration.

    Both mechanical systems and black-box networks implement it.
    """

    @abc.abstractmethod
    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        """Compute the acceleration under `action`, shape `(n,)`."""
