from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from ._config import (
    ActivationName,
    Count,
    FilterConfig,
    FilterName,
    NonNegative,
    OptimiserName,
    Positive,
    SolverConfig,
    Whole,
    Widths,
    is_filter,
    uses_sigma_points,
)

ModelName = Literal[
    "delan",
    "lnn",
    "hnn",
    "structured-hnn",
    "neural-ode",
    "mlp",
    "constrained-mlp",
    "known",
    "residual",
]
FitLearnerName = Literal[OptimiserName, "levenberg-marquardt", FilterName, "auto"]
LossName = Literal["auto", "one-step", "multi-step", "forward", "inverse"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What to learn from.

    **Arguments:**

    - `file`: what [`lagdyna.data.read`][] takes.
    - `angles`: which coordinates are angles, by their index from 0, or `"all"`.
    - `chain`: whether angles that follow each other are those of the joints of a chain; see
        [`lagdyna.mechanics.Coordinates`][].
    - `control`: which recorded array drives the system: by default `tau` if it was
        recorded, else `action`, else nothing does.
    - `force`: the generalised force of each action when it is 1, `n` rows of `m`; learned
        by default. For `control = "action"` alone.
    - `dt`: seconds of a step of the transition; the median of the recorded ones by default.
    - `noise`: standard deviation of the noise of `q`, where velocities were not recorded;
        estimated by default.
    - `validation`: the fraction of trajectories that is not learned from.
    """

    file: str
    angles: tuple[Whole, ...] | Literal["all"] = ()
    chain: bool = False
    control: Literal["tau", "action", "none"] | None = None
    force: tuple[tuple[float, ...], ...] | None = None
    dt: Positive | None = None
    noise: NonNegative | None = None
    validation: Annotated[float, Meta(gt=0, lt=1)] = 0.2


@dataclass(frozen=True, kw_only=True)
class FitModelConfig:
    """The model that is fitted.

    **Arguments:**

    - `name`: `delan`, `lnn`, `hnn` (takes velocities for momenta), `structured-hnn`,
        `neural-ode`, or the discrete `mlp`; `constrained-mlp`, the same with the residual
        of known equations in its loss; `known`, a system whose parameters are to be found;
        `residual`, a known system and a network for the force that it leaves out.
    - `known`: the system of the last three, as `FILE.py:NAME`: a
        [`lagdyna.mechanics.MechanicalSystem`][], or a Lagrangian, to which actuation and
        friction are added as to a learned one.
    - `fixed`: parameters of `known` that are not learned, by name, as `gravity` or
        `lagrangian.gravity`.
    - `hidden`: widths of the hidden layers of each network.
    - `activation`: of those networks.
    - `initial_mass`: the diagonal of the mass matrix before training, for `delan` and
        `structured-hnn`.
    - `dissipation`: friction to learn with a Lagrangian or Hamiltonian: `viscous`,
        `coulomb` (smoothed), or `both`.
    """

    name: ModelName = "delan"
    known: str | None = None
    fixed: tuple[str, ...] = ()
    hidden: Widths = (64, 64)
    activation: ActivationName = "softplus"
    initial_mass: Positive = 1.0
    dissipation: Literal["none", "viscous", "coulomb", "both"] = "none"


@dataclass(frozen=True, kw_only=True)
class FitLossConfig:
    """What is made small.

    **Arguments:**

    - `name`: `one-step` and `multi-step` go through the solver; `forward` compares
        accelerations, `inverse` forces, and both need `qdd`. `auto` is `forward` with
        `qdd` and a model that gives accelerations, else `one-step`. `inverse` is cheaper
        than `forward`, but a motion that mostly runs free teaches it that nothing weighs
        anything.
    - `window`: steps in a window of `multi-step`.
    - `residual`: of `constrained-mlp`, the governing equations as `FILE.py:NAME`, a function
        of `(state, action, next_state)` that is 0 where they hold; those of `model.known`
        by default.
    - `residual_weight`: of their squares against the data's, both scaled to 1 for a model
        that predicts no change.
    """

    name: LossName = "auto"
    window: Count = 8
    residual: str | None = None
    residual_weight: NonNegative = 1.0


@dataclass(frozen=True, kw_only=True)
class FitLearnerConfig:
    """How the model is learned.

    **Arguments:**

    - `name`: the Optax optimiser; or `levenberg-marquardt`, for small networks and errors
        much smaller than an optimiser's, see [`lagdyna.learners.LevenbergMarquardtLearner`][];
        or a filter: `ekf`, `ekf-block`, `ekf-diagonal`, `ekf-lowrank`, see
        [`lagdyna.learners.KalmanLearner`][], `ckf`, `ukf`, `enkf` or `pf`; `auto` is `ekf`, or
        `ekf-block` for more weights than that can hold.
    - `rate`: an optimiser's learning rate, falling to a hundredth along a cosine.
    - `clip`: largest norm of an optimiser's gradient.
    - `updates`: how many; by default 10,000, of a filter 1000, of `ckf`, `ukf` and
        `levenberg-marquardt` 200.
    - `batch`: rows, steps or windows per update, 256 by default, of a filter 32.
        `levenberg-marquardt` has the same in every update, all of them unless there are
        more than `batch`, by default 8192.
    - `filter`: a filter's settings, a [`lagdyna.experiments.FilterConfig`][]. However often
        the fit passes over the data, they count once.
    """

    name: FitLearnerName = "adam"
    rate: Positive = 3e-3
    clip: Positive = 100.0
    updates: Count | None = None
    batch: Count | None = None
    filter: FilterConfig = field(default_factory=FilterConfig)

    @property
    def least_squares(self) -> bool:
        """Whether it is the one that has the same batch each time."""
        return self.name == "levenberg-marquardt"

    @property
    def updates_or_default(self) -> int:
        """`updates`, or what that is by default."""
        few = self.least_squares or uses_sigma_points(self.name)
        return self.updates or (200 if few else 1000 if is_filter(self.name) else 10_000)

    @property
    def batch_or_default(self) -> int:
        """`batch`, or what that is by default."""
        return self.batch or (
            8192 if self.least_squares else 32 if is_filter(self.name) else 256
        )


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Everything that determines `lagdyna fit`, apart from the data themselves.

    **Arguments:**

    - `data`: a [`lagdyna.experiments.DataConfig`][].
    - `seed`: of everything random, the choice of validation data included.
    - `model`, `solver`, `loss`, `learner`: the parts.
    """

    data: DataConfig
    seed: Whole = 0
    model: FitModelConfig = field(default_factory=FitModelConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    loss: FitLossConfig = field(default_factory=FitLossConfig)
    learner: FitLearnerConfig = field(default_factory=FitLearnerConfig)
