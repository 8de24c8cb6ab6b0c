import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..mechanics import AbstractDynamics, MechanicalSystem, frozen
from ._activation import Activation, softplus
from ._network import Network


class ResidualAcceleration(AbstractDynamics):
    """Known motion plus an acceleration that is learned, `qdd = known + learned`.

    **Arguments:**

    - `known`: what is known of the motion.
    - `learned`: what is missing, say a [`lagdyna.models.NeuralODE`][].
    - `learn_known`: whether the parameters of `known` are learned too.
    """

    known: AbstractDynamics
    learned: AbstractDynamics
    learn_known: bool = eqx.field(static=True, default=False)

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        known = self.known if self.learn_known else frozen(self.known)
        missing = self.learned.forward_dynamics(q, qd, action)
        return known.forward_dynamics(q, qd, action) + missing


class ResidualForce(AbstractDynamics):
    """A known system under a generalised force that is learned, `network(q, qd, action)`.

    The learned part need not be conservative nor dissipative: it is what the known system
    leaves out, in newtons or newton metres.

    **Arguments:**

    - `known`: the system, with its actuation and dissipation.
    - `action_size`: `m`.
    - `hidden`: widths of the hidden layers.
    - `activation`: elementwise.
    - `learn_known`: whether the parameters of `known` are learned too.
    - `key`: for the initial weights.
    """

    known: MechanicalSystem
    network: Network
    learn_known: bool = eqx.field(static=True)

    def __init__(
        self,
        known: MechanicalSystem,
        action_size: int,
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = softplus,
        learn_known: bool = False,
        key: PRNGKeyArray,
    ):
        coordinates = known.coordinates
        in_size = coordinates.embedding_size + coordinates.n + action_size
        self.known = known
        self.network = Network(
            in_size, coordinates.n, hidden, activation, output_scale=0.1, key=key
        )
        self.learn_known = learn_known

    def force(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        """The learned generalised force, shape `(n,)`."""
        return self.network(jnp.concatenate([self.known.coordinates.embed(q), qd, action]))

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], action: Float[Array, " m"]
    ) -> Float[Array, " n"]:
        known = self.known if self.learn_known else frozen(self.known)
        tau = known.actuation(q, action) + known.dissipation(q, qd)
        return known.lagrangian.forward_dynamics(q, qd, tau + self.force(q, qd, action))
