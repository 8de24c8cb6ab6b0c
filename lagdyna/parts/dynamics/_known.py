"""Models that contain known equations of motion."""

from typing import TYPE_CHECKING, ClassVar

from ...options import ActivationName, DissipationName, Widths
from ._base import DynamicsConfig

if TYPE_CHECKING:
    from typing import Any

    from jaxtyping import Array, PRNGKeyArray, PyTree

    import lagdyna.parts
    import lagdyna.simulate
    import lagdyna.tasks


def initial_magnitudes(parameters: "PyTree", inside: str | None = None) -> "PyTree":
    """Compute the largest magnitude of each array; 1 where all of it is zero.

    **Arguments:** `inside`, the name of a part; arrays outside of it get 1.
    """
    import jax
    import jax.numpy as jnp

    def magnitude(path: "Any", x: "Array") -> "Array":
        largest = jnp.max(jnp.abs(x), initial=0.0)
        counts = inside is None or f".{inside}." in jax.tree_util.keystr(path)
        return jnp.where((largest > 0) & counts, largest, 1.0)

    return jax.tree_util.tree_map_with_path(magnitude, parameters)


class EquationsConfig(DynamicsConfig, frozen=True, kw_only=True):
    """Options of a known system whose parameters are identified.

    **Arguments:** `fixed`, the parameters that are not learned, by name.
    """

    fixed: tuple[str, ...] = ()

    accelerations: ClassVar[bool] = True
    forces: ClassVar[bool] = True
    equations: ClassVar[bool] = True
    usual_learner: ClassVar[str] = "levenberg-marquardt"
    natural: ClassVar[bool] = False

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        from ...simulate import LagrangianField

        del key
        assert plant.known is not None
        return solver.solve(LagrangianField(plant.known), plant)

    def fixed_parameters(self) -> tuple[str, ...]:
        return self.fixed


class KnownConfig(EquationsConfig, frozen=True, kw_only=True, tag="known"):
    """System of known equations whose parameters are identified.

    **Arguments:**

    - `known`: the system as `FILE.py:NAME`, a [`lagdyna.mechanics.MechanicalSystem`][] or a
        Lagrangian. By default that of the task in [`lagdyna.tasks.known_equations`][].
    - `fixed`: parameters that are not learned, by name, as `gravity` or
        `lagrangian.gravity`; `all` for every one.
    - `dissipation`: friction that is added to a Lagrangian: `none`, `viscous`, `coulomb`
        (smoothed), `both`, `stribeck` (both, and extra friction near rest) or `all` (also
        quadratic). By default what the task says; of recordings `none`.
    """

    known: str | None = None
    fixed: tuple[str, ...] = ()
    dissipation: DissipationName | None = None

    def parameter_scales(self, learned: "PyTree") -> "PyTree | None":
        # A learner then changes each parameter by a fraction of its initial value.
        return initial_magnitudes(learned)


class ResidualConfig(DynamicsConfig, frozen=True, kw_only=True, tag="residual"):
    """Known system plus a learned force, as in PhIHP (Asri et al. 2024).

    See [`lagdyna.models.ResidualForce`][].

    **Arguments:**

    - `known`: the system as `FILE.py:NAME`, a [`lagdyna.mechanics.MechanicalSystem`][] or a
        Lagrangian. By default that of the task in [`lagdyna.tasks.known_equations`][].
    - `learn_known`: whether the parameters of the known system are learned too.
    - `fixed`: of those, the parameters that are not learned, by name.
    - `dissipation`: friction that is added to a Lagrangian: `none`, `viscous`, `coulomb`
        (smoothed), `both`, `stribeck` (both, and extra friction near rest) or `all` (also
        quadratic). By default what the task says; of recordings `none`.
    - `hidden`: widths of the hidden layers of the force.
    - `activation`: activation function of the force.
    """

    known: str | None = None
    learn_known: bool = False
    fixed: tuple[str, ...] = ()
    dissipation: DissipationName | None = None
    hidden: Widths = (64, 64)
    activation: ActivationName = "softplus"

    accelerations: ClassVar[bool] = True
    equations: ClassVar[bool] = True

    def __post_init__(self):
        if self.fixed and not self.learn_known:
            raise ValueError(
                f"`fixed` was {list(self.fixed)}, and no parameter of the known system is "
                "learned; set `learn_known` to learn the others"
            )

    def build(
        self,
        plant: "lagdyna.tasks.Plant",
        solver: "lagdyna.parts.SolverConfig",
        key: "PRNGKeyArray",
    ) -> "lagdyna.simulate.AbstractTransition":
        from ...models import ResidualForce
        from ...simulate import AccelerationField

        assert plant.known is not None
        force = ResidualForce(
            plant.known,
            plant.action_size,
            hidden=self.hidden,
            activation=plant.activation(self.activation),
            learn_known=self.learn_known,
            key=key,
        )
        return solver.solve(AccelerationField(force), plant)

    def parameter_scales(self, learned: "PyTree") -> "PyTree | None":
        if not self.learn_known:
            return None
        return initial_magnitudes(learned, inside="known")

    def fixed_parameters(self) -> tuple[str, ...]:
        return self.fixed if self.learn_known else ("known",)
