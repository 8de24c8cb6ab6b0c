"""Options of a robot's model that the training data choose."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from ..config import FitConfig, with_equations
from ..learners import Accelerations
from ..mechanics import MechanicalSystem
from ..parts import DynamicsConfig, RobotConfig, RobotResidualConfig, StepsLossConfig
from ..regressor import (
    JointFactors,
    identify_weighted,
    parameters_of,
    reduce,
    reduce_joints,
    robot_system,
    together,
)
from ..tasks import Plant

# Candidates of the speed at which Coulomb friction of a robot is smoothed, relative to that of
# other models, and the rows of data that choose one.
_SPEEDS = (0.5, 1.0, 2.0, 4.0)
_ROWS = 5000

# Candidates of the standard deviation of the starting inertia, in log-Cholesky coordinates,
# where the description tells it and where it is unknown; and that of too few data.
_PRIORS = {"description": (0.01, 0.03, 0.1, 0.3, 1.0), "unknown": (0.3, 1.0, 3.0)}
USUAL_PRIOR = {"description": 0.1, "unknown": 1.0}

# Candidates of the usual size of the forces of a learned potential energy, relative to the
# recorded forces.
_EXTRA = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)

# Stretches of the training data, each predicted from the others.
_STRETCHES = 5

# Relative change of the sum of squares at which these fits end.
_TOLERANCE = 1e-5


@threadpool_limits.wrap(limits=1, user_api="blas")
def chosen_by_data(
    config: FitConfig, plant: Plant, rows: Accelerations, scale: Float[np.ndarray, " n"]
) -> DynamicsConfig:
    """Choose the smoothing of Coulomb friction and the trust in the starting inertia.

    The speed at which friction is smoothed is that of the smallest force error on the training
    data. The prior is the one whose robots, identified from four fifths of the training data,
    predict the forces of the last fifth best (cross-validation by stretches). So is the size of
    a learned potential energy, before it.

    **Arguments:** `rows`, of training; `scale`, of each force.

    **Returns:** the model's config; options that it says itself are left as they are.
    """
    model = config.model
    assert isinstance(model, RobotConfig | RobotResidualConfig)
    if model.friction_speed is None and model.dissipation not in ("none", "viscous"):
        speed = _friction_speed(model, plant, rows, scale, config.seed)
        model = msgspec.structs.replace(model, friction_speed=speed)
    known = with_equations(plant, model).known
    assert known is not None
    stretches = _Stretches(robot_system(known), rows, scale, config)
    potential = isinstance(model, RobotResidualConfig) and model.form == "potential"
    if potential and getattr(model, "residual_size", None) is None:
        prior = model.prior or USUAL_PRIOR[model.inertia]
        errors = {size: stretches.error(prior, size) for size in _EXTRA}
        best = min(errors, key=errors.__getitem__) if stretches.enough else 1.0
        model = msgspec.structs.replace(model, residual_size=best)
    if model.prior is None:
        best = USUAL_PRIOR[model.inertia]
        if stretches.enough:
            size = getattr(model, "residual_size", None) or 1.0
            errors = {prior: stretches.error(prior, size) for prior in _PRIORS[model.inertia]}
            best = min(errors, key=errors.__getitem__)
        model = msgspec.structs.replace(model, prior=best)
    return model


def learns_forces(config: FitConfig) -> bool:
    """Whether a fit compares forces and accelerations, with no sensors beside offsets."""
    return (
        isinstance(config.model, RobotConfig | RobotResidualConfig)
        and not isinstance(config.loss, StepsLossConfig)
        and config.signals.learned in ((), ("offset",))
    )


def _friction_speed(
    model: RobotConfig | RobotResidualConfig,
    plant: Plant,
    rows: Accelerations,
    scale: Float[np.ndarray, " n"],
    seed: int,
) -> float:
    assert plant.units is not None
    count = rows.qdd.shape[0]
    if count > _ROWS:
        some = np.sort(np.random.default_rng(seed).choice(count, _ROWS, replace=False))
        rows = jax.tree.map(lambda x: x[some], rows)
    errors = {}
    for factor in _SPEEDS:
        speed = factor * plant.friction_speed / plant.units.time
        changed = msgspec.structs.replace(model, friction_speed=speed)
        known = with_equations(plant, changed).known
        assert known is not None
        errors[speed] = reduce(
            robot_system(known), rows, jnp.asarray(scale), offset=True
        ).force_error
    return min(errors, key=errors.__getitem__)


class _Stretches:
    """Stretches of the training data for cross-validation."""

    def __init__(
        self,
        system: MechanicalSystem,
        rows: Accelerations,
        scale: Float[np.ndarray, " n"],
        config: FitConfig,
    ):
        offset = "offset" in config.signals.learned
        self.system, self.scale = system, scale
        self.fixed = (
            config.model.fixed_parameters() if isinstance(config.model, RobotConfig) else ()
        )
        self.offset = np.zeros(len(scale)) if offset else None
        self.parts = reduce_joints(system, rows, offset=offset, stretches=_STRETCHES)

    @property
    def enough(self) -> bool:
        """Whether each stretch has more rows than there are parameters."""
        few = [each.rows < each.factors.shape[1] for each in self.parts]
        return len(self.parts) == _STRETCHES and not any(few)

    def error(self, prior: float, extra: float) -> float:
        """Compute the error on stretches that were held out; 0 with too few data."""
        if not self.enough:
            return 0.0
        return held_out_error(
            self.system,
            self.parts,
            self.scale,
            prior,
            extra=extra,
            fixed=self.fixed,
            offset=self.offset,
        )


def held_out_error(
    system: MechanicalSystem,
    parts: Sequence[JointFactors],
    scale: Float[np.ndarray, " n"],
    prior: float,
    *,
    extra: float = 1.0,
    fixed: tuple[str, ...] = (),
    offset: Float[np.ndarray, " n"] | None = None,
) -> float:
    """Compute the sum of squares of scaled force errors on stretches that were held out.

    **Arguments:** `parts`, the stretches; the others as of `identify_weighted`.
    """
    # Neighbouring problems: each begins where the one of all data ends.
    whole, _ = identify_weighted(
        system,
        together(parts),
        scale,
        prior=prior,
        extra=extra,
        fixed=fixed,
        offset=offset,
        tolerance=_TOLERANCE,
    )
    total = 0.0
    for i, unseen in enumerate(parts):
        others = together([*parts[:i], *parts[i + 1 :]])
        found, left = identify_weighted(
            system,
            others,
            scale,
            prior=prior,
            extra=extra,
            fixed=fixed,
            offset=offset,
            guess=whole,
            tolerance=_TOLERANCE,
        )
        errors = unseen.errors(parameters_of(found, left)) / scale
        total += float(np.sum(errors**2)) * unseen.rows
    return total
