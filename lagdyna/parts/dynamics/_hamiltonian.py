"""Learned Hamiltonians: HNN and its structured variant."""

from typing import TYPE_CHECKING

from ...options import ActivationName, DissipationName, Masses, Positive, Widths
from ._base import DynamicsConfig, dissipation

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    import lagdyna.parts
    import lagdyna.simulate
    import lagdyna.tasks


class HNNConfig(DynamicsConfig, frozen=True, kw_only=True, tag="hnn"):
    """Hamiltonian neural network (Greydanus et al. 2019); takes velocities for momenta.

    See [`lagdyna.models.HNN`][].

    **Arguments:**

    - `hidden`: widths of the hidden layers.
    - `activation`: activation function of the network.
    - `dissipation`: friction to learn: `none`, `viscous`, `coulomb` (smoothed), `both`,
        `stribeck` (both, and extra friction near rest) or `all` (also quadratic). By default
        what the task says; of recordings `none`.
    """

    hidden: Widths = (64, 64)
    activation: ActivationName = "softplus"
    dissipation: DissipationName | None = None

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        from ...models import HNN
        from ...simulate import HamiltonianField

        activation = plant.activation(self.activation)
        hamiltonian = HNN(plant.coordinates, hidden=self.hidden, activation=activation, key=key)
        friction = plant.friction(dissipation(self.dissipation, plant))
        return solver.solve(HamiltonianField(hamiltonian, plant.actuation, friction), plant)


class StructuredHNNConfig(DynamicsConfig, frozen=True, kw_only=True, tag="structured-hnn"):
    """Hamiltonian `1/2 p' M^-1 p + V` with learned inverse mass matrix and potential.

    See [`lagdyna.models.StructuredHNN`][].

    **Arguments:**

    - `hidden`: widths of the hidden layers of each network.
    - `activation`: activation function of the networks.
    - `initial_mass`: diagonal of the mass matrix before training, kg or kg m^2, one number
        or one for each coordinate. By default it follows from the forces and accelerations of
        the data, or those that a task states.
    - `dissipation`: friction to learn: `none`, `viscous`, `coulomb` (smoothed), `both`,
        `stribeck` (both, and extra friction near rest) or `all` (also quadratic). By default
        what the task says; of recordings `none`.
    """

    hidden: Widths = (64, 64)
    activation: ActivationName = "softplus"
    initial_mass: Positive | Masses | None = None
    dissipation: DissipationName | None = None

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        from ...models import StructuredHNN
        from ...simulate import HamiltonianField

        hamiltonian = StructuredHNN(
            plant.coordinates,
            initial_mass=plant.initial_mass(self.initial_mass),
            hidden=self.hidden,
            activation=plant.activation(self.activation),
            key=key,
        )
        friction = plant.friction(dissipation(self.dissipation, plant))
        return solver.solve(HamiltonianField(hamiltonian, plant.actuation, friction), plant)
