"""Learned Lagrangians: DeLaN and LNN."""

from typing import TYPE_CHECKING, ClassVar

import msgspec

from ...options import ActivationName, DissipationName, Masses, Positive, StructureName, Widths
from ._base import DynamicsConfig, dissipation

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    import lagdyna.parts
    import lagdyna.simulate
    import lagdyna.tasks


class DeLaNConfig(DynamicsConfig, frozen=True, kw_only=True, tag="delan"):
    """Deep Lagrangian network: learned mass matrix and potential energy (Lutter et al. 2019).

    See [`lagdyna.models.DeLaN`][] and [`lagdyna.models.ChainDeLaN`][].

    **Arguments:**

    - `structure`: `network`, networks of all coordinates; or `chain`, matrices that carry
        velocities from joint to joint, for serial chains whose joints are in order from the
        base. By default `chain` in fits to three or more angles that are all coordinates, else
        `network`.
    - `hidden`: widths of the hidden layers of each network; `chain` has none.
    - `activation`: activation function of the networks.
    - `initial_mass`: diagonal of the mass matrix before training, kg or kg m^2, one number
        or one for each coordinate. By default it follows from the forces and accelerations of
        the data, or those that a task states.
    - `dissipation`: friction to learn: `none`, `viscous`, `coulomb` (smoothed), `both`,
        `stribeck` (both, and extra friction near rest) or `all` (also quadratic). By default
        what the task says; of recordings `none`.
    """

    structure: StructureName | None = None
    hidden: Widths = (64, 64)
    activation: ActivationName = "softplus"
    initial_mass: Positive | Masses | None = None
    dissipation: DissipationName | None = None

    accelerations: ClassVar[bool] = True
    forces: ClassVar[bool] = True

    def resolved(self, plant: "lagdyna.tasks.Plant") -> DynamicsConfig:
        found = super().resolved(plant)
        return msgspec.structs.replace(found, structure=self.structure or "network")

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        from ...models import ChainDeLaN, DeLaN

        mass = plant.initial_mass(self.initial_mass)
        if self.structure == "chain":
            lagrangian = ChainDeLaN(plant.coordinates, initial_mass=mass, key=key)
        else:
            lagrangian = DeLaN(
                plant.coordinates,
                initial_mass=mass,
                hidden=self.hidden,
                activation=plant.activation(self.activation),
                key=key,
            )
        friction = dissipation(self.dissipation, plant)
        return solver.solve(plant.lagrangian_field(lagrangian, friction), plant)


class LNNConfig(DynamicsConfig, frozen=True, kw_only=True, tag="lnn"):
    """Lagrangian neural network: one network for the Lagrangian (Cranmer et al. 2020).

    See [`lagdyna.models.LNN`][].

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

    accelerations: ClassVar[bool] = True
    forces: ClassVar[bool] = True

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        from ...models import LNN

        lagrangian = LNN(
            plant.coordinates,
            velocity_scale=plant.velocity_scale[: plant.n],
            hidden=self.hidden,
            activation=plant.activation(self.activation),
            key=key,
        )
        friction = dissipation(self.dissipation, plant)
        return solver.solve(plant.lagrangian_field(lagrangian, friction), plant)
