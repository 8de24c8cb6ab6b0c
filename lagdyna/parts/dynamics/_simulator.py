from typing import TYPE_CHECKING, ClassVar

from ._base import DynamicsConfig

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    import lagdyna.parts
    import lagdyna.simulate
    import lagdyna.tasks


class SimulatorConfig(DynamicsConfig, frozen=True, kw_only=True, tag="simulator"):
    """World model that the environment itself gives: the run learns a policy alone.

    Tasks of the rigid-body suite give their true equations and reward. Another environment
    gives what its attribute `world_model` holds, a [`lagdyna.simulate.WorldModel`][] with
    actions in `[-1, 1]`; see [`lagdyna.tasks.simulator_of`][].
    """

    discrete: ClassVar[bool] = True
    natural: ClassVar[bool] = False
    usual_learner: ClassVar[str] = "adam"

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        del solver, key
        assert plant.simulator is not None
        return plant.simulator.transition

    def fixed_parameters(self) -> tuple[str, ...]:
        return ("all",)
