import math
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from diffrax import AbstractAdaptiveSolver
from msgspec import Meta

from ..simulate import Tolerances, get_solver
from ..tasks import TaskSpec, get_task

Count = Annotated[int, Meta(ge=1)]
Whole = Annotated[int, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Widths = Annotated[tuple[Count, ...], Meta(min_length=1)]
ActivationName = Literal["softplus", "tanh", "silu", "elu"]
OptimiserName = Literal["adam", "adamw", "lion", "rmsprop", "sgd"]
FilterName = Literal[
    "ekf", "ekf-block", "ekf-diagonal", "ekf-lowrank", "ckf", "ukf", "enkf", "pf"
]
UpToOne = Annotated[float, Meta(gt=0, le=1)]


def is_filter(name: str) -> bool:
    """Whether a learner of that name is a filter; `auto` stands for one."""
    return name == "auto" or name in get_args(FilterName)


def uses_sigma_points(name: str) -> bool:
    """Whether it is a filter that looks at a model of every two weights."""
    return name in ("ckf", "ukf")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The dynamics model.

    **Arguments:**

    - `name`: `"delan"`, see [`lagdyna.models.DeLaN`][]; `"lnn"`, a Lagrangian of any form,
        see [`lagdyna.models.LNN`][]; `"mlp"`, a network for a whole step that knows no
        mechanics, see [`lagdyna.simulate.MLPTransition`][]: no solver is used then; or
        `"constrained-mlp"`, the same with the residual of known equations in its loss, see
        [`lagdyna.learners.ResidualLoss`][].
    - `hidden`: widths of the hidden layers of each network.
    - `activation`: of those networks.
    - `initial_mass`: the diagonal of the mass matrix before training, kg or kg m^2, for
        `delan`.
    - `dissipation`: `"none"`, or `"viscous"` to learn viscous friction with a Lagrangian; by
        default what the task says.
    - `known`: the equations of `constrained-mlp`, a [`lagdyna.mechanics.MechanicalSystem`][]
        or its Lagrangian as `FILE.py:NAME`; by default those in
        [`lagdyna.tasks.known_equations`][], if the task is there.
    - `residual_weight`: of those equations against the data.

    **Raises:** `ValueError` if friction is to be learned and the model knows no forces, or
    `known` is given with another model.
    """

    name: Literal["delan", "lnn", "mlp", "constrained-mlp"] = "delan"
    hidden: Widths = (64, 64)
    activation: ActivationName = "softplus"
    initial_mass: Positive = 1.0
    dissipation: Literal["none", "viscous"] | None = None
    known: str | None = None
    residual_weight: NonNegative = 1.0

    def __post_init__(self):
        if self.known is not None and self.name != "constrained-mlp":
            raise ValueError(
                f"`known` was {self.known!r} with the model {self.name!r}, which knows no "
                "equations; constrained-mlp is the `name` of the one that does"
            )
        if self.discrete and self.dissipation not in (None, "none"):
            raise ValueError(
                f"`dissipation` was {self.dissipation!r} with the model {self.name!r}, which "
                "knows no forces; 'none' is accepted, or as `name` delan or lnn"
            )

    @property
    def discrete(self) -> bool:
        """Whether it gives whole steps, so that nothing is to be solved."""
        return self.name in ("mlp", "constrained-mlp")


@dataclass(frozen=True, kw_only=True)
class SolverConfig:
    """How the model is solved from one action to the next. A discrete one is not.

    **Arguments:**

    - `name`: one of [`lagdyna.simulate.SOLVERS`][].
    - `substeps`: equal steps within an action's time; by default as many as the task says,
        for recordings 1.
    - `rtol`, `atol`: give both to adapt the steps to these tolerances instead.

    **Raises:** `ValueError` if there is no such solver, one of the tolerances is missing, or
    the solver does not estimate its error and was given them.
    """

    name: str = "heun"
    substeps: Count | None = None
    rtol: Positive | None = None
    atol: Positive | None = None

    def __post_init__(self):
        solver = get_solver(self.name)
        if (self.rtol is None) != (self.atol is None):
            raise ValueError("`rtol` and `atol` must be given together, or neither")
        if self.rtol is not None and not isinstance(solver, AbstractAdaptiveSolver):
            raise ValueError(
                f"`rtol` and `atol` were given with the solver {self.name!r}, which does not "
                "estimate its error; one that `lagdyna solvers` calls adaptive is accepted"
            )

    @property
    def tolerances(self) -> Tolerances | None:
        """The tolerances of adaptive steps, `None` for fixed ones."""
        if self.rtol is None or self.atol is None:
            return None
        return Tolerances(self.rtol, self.atol)


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """A filter's settings; see [`lagdyna.learners.AbstractFilter`][].

    **Arguments:**

    - `prior`: standard deviation of each weight about its initial value.
    - `noise`: standard deviation of an observation; by default it is estimated.
    - `process`, `process_decay`: what weights wander in an update, and how that falls.
    - `fading`: the forgetting factor.
    - `iterations`: of each update of an `ekf`.
    - `blocks`: those of `ekf-block`, `layer` or `node`.
    - `rank`: of the directions of `ekf-lowrank`.
    - `alpha`, `beta`, `kappa`: of `ukf`, see [`lagdyna.learners.SigmaPointLearner`][].
    - `members`: of the ensemble of `enkf`.
    - `particles`: of `pf`.
    """

    prior: Positive = 1.0
    noise: Positive | None = None
    process: NonNegative = 0.0
    process_decay: UpToOne = 1.0
    fading: UpToOne = 1.0
    iterations: Count = 1
    blocks: Literal["layer", "node"] = "layer"
    rank: Count = 64
    alpha: UpToOne = 0.1
    beta: NonNegative = 2.0
    kappa: NonNegative = 0.0
    members: Annotated[int, Meta(ge=2)] = 128
    particles: Annotated[int, Meta(ge=2)] = 1024


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How dynamics and reward are learned from the replay buffer.

    **Arguments:**

    - `name`: the Optax optimiser, or a filter, which begins anew with each training and
        counts each step of the buffer once: `ekf`, `ekf-block`, `ekf-diagonal`,
        `ekf-lowrank`, `ckf`, `ukf`, `enkf`, `pf`; `auto` is `ekf`, or `ekf-block` for more
        weights than that can hold.
    - `rate`: an optimiser's learning rate, falling to a hundredth along a cosine within
        each training.
    - `clip`: largest norm of an optimiser's gradient.
    - `loss`: of an optimiser, for the dynamics: `"pseudo-huber"`, how far each step is off,
        see [`lagdyna.learners.PseudoHuberLoss`][], or `"squared"`, the square of it, which
        filters and `constrained-mlp` always have.
    - `decay`: how much of the dynamics' weights an optimiser takes off them in each update,
        times the rate, at first; it falls to 0 along a cosine. What decays is what lies
        between the layers of networks, not their linear part. That of the reward is its own.
        By default 0.1 with the agent that learns in imagination, 0 with the other.
        What `adamw` and `lion` take off all weights by themselves comes on top.
    - `decay_until`: the fraction of the run after which both have fallen; after five
        trainings at the soonest.
    - `filter`: a filter's settings, a [`lagdyna.experiments.FilterConfig`][].
    - `updates`: per training; by default 2000, of a filter 200.
    - `batch`: steps, or windows, per update; by default 64, of a filter 32.
    - `window`: 1 learns each step by itself; more learns windows of that many steps.
    - `substeps`: equal steps of the solver within an action's time while dynamics are learned;
        by default one for each step of the environment, or the solver's if those are more.
        What a solver's long steps are off by would otherwise be learned as if it were physics.
    """

    name: Literal[OptimiserName, FilterName, "auto"] = "adam"
    rate: Positive = 3e-3
    clip: Positive = 100.0
    loss: Literal["pseudo-huber", "squared"] = "pseudo-huber"
    decay: NonNegative | None = None
    decay_until: UpToOne = 0.3
    updates: Count | None = None
    batch: Count | None = None
    window: Count = 1
    substeps: Count | None = None
    filter: FilterConfig = field(default_factory=FilterConfig)

    @property
    def updates_or_default(self) -> int:
        """`updates`, or what that is by default."""
        return self.updates or (200 if is_filter(self.name) else 2000)

    @property
    def batch_or_default(self) -> int:
        """`batch`, or what that is by default."""
        return self.batch or (32 if is_filter(self.name) else 64)


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """The reward model, learned with the dynamics; so is, of these sizes, where episodes end.

    **Arguments:**

    - `hidden`: widths of the hidden layers.
    - `activation`: of those layers; by default `"tanh"` with the agent that learns in
        imagination, `"softplus"` with the other.
    - `decay`: as the learner's, which is of the dynamics; by default 0.3, or 0 with the
        other agent.
    """

    hidden: Widths = (64, 64)
    activation: ActivationName | None = None
    decay: NonNegative | None = None


@dataclass(frozen=True, kw_only=True)
class DynaConfig:
    """The agent that learns from transitions, real and imagined; see [`lagdyna.agents.Dyna`][].

    **Arguments:**

    - `algorithm`: `"td3"`, see [`lagdyna.agents.TD3`][], or `"sac"`, see
        [`lagdyna.agents.SAC`][].
    - `ratio`: the fraction of a batch that the model has imagined; with 0 the agent is
        model-free, and no model is trained.
    - `hidden`, `activation`: of policy and critics.
    - `discount`: of the return.
    - `critics`: how many; the smallest estimate is believed.
    - `target_rate`: how fast the targets follow.
    - `rate`, `clip`: of Adam, for policy, critics and temperature.
    - `updates`: for each step of the environment; by default 40, without a model 1.
    - `batch`: transitions per update.
    - `rollouts`, `length`: how many rollouts of how many actions are imagined at a time:
        before every 200 updates of a training.
    - `uniform_starts`: the fraction of rollouts that begins anywhere, not in the buffer.
    - `capacity`: imagined transitions that are kept, the latest.
    - `noise`: standard deviation of the noise of TD3's actions.
    - `target_noise`, `target_clip`, `delay`: of TD3.

    **Raises:** `ValueError` if more is imagined at a time than is kept, or less kept than a
    batch asks for.
    """

    algorithm: Literal["td3", "sac"] = "td3"
    ratio: Fraction = 0.9
    hidden: Widths = (256, 256)
    activation: ActivationName | Literal["relu"] = "relu"
    discount: Annotated[float, Meta(gt=0, lt=1)] = 0.99
    critics: Count = 2
    target_rate: UpToOne = 0.005
    rate: Positive = 1e-3
    clip: Positive = 100.0
    updates: Count | None = None
    batch: Count = 128
    rollouts: Count = 400
    length: Count = 10
    uniform_starts: Fraction = 0.75
    capacity: Count = 20_000
    noise: NonNegative = 0.1
    target_noise: NonNegative = 0.2
    target_clip: NonNegative = 0.5
    delay: Count = 2

    def __post_init__(self):
        if self.ratio and self.rollouts * self.length > self.capacity:
            raise ValueError(
                f"`capacity` was {self.capacity}, and `rollouts` x `length`, {self.rollouts} x "
                f"{self.length} transitions, are imagined at a time; at least as many are "
                "accepted"
            )
        if self.ratio and self.capacity < self.imagined:
            raise ValueError(
                f"`capacity` was {self.capacity}, and a `batch` of {self.batch} at a `ratio` "
                f"of {self.ratio:g} takes {self.imagined} imagined transitions; at least as "
                "many are accepted"
            )

    @property
    def imagined(self) -> int:
        """How many transitions of a batch are imagined; the others are real."""
        return round(self.ratio * self.batch)

    @property
    def updates_or_default(self) -> int:
        """`updates`, or what that is by default."""
        return self.updates or (40 if self.ratio else 1)


@dataclass(frozen=True, kw_only=True)
class PosteriorConfig:
    """What imagination makes of what a filter has left open of the dynamics.

    **Arguments:**

    - `samples`: how many models are drawn from the posterior before every 200 updates; each
        rollout is imagined in one of them, until they are drawn anew. With 0 all are in the
        model of the mean.
    - `pessimism`: how many standard deviations, over those models, of what a step is worth
        are taken off its reward.

    **Raises:** `ValueError` for pessimism without two samples.
    """

    samples: Whole = 0
    pessimism: NonNegative = 0.0

    def __post_init__(self):
        if self.pessimism and self.samples < 2:
            raise ValueError(
                f"`pessimism` was {self.pessimism:g} with {self.samples} `samples`; at least 2 "
                "are accepted, for there to be a deviation"
            )


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """The agent: which one, and the one that learns in imagination.

    **Arguments:**

    - `name`: `"imagination"`, see [`lagdyna.agents.ImaginationActorCritic`][], which all that
        follows is of; or `"dyna"`, see [`lagdyna.agents.Dyna`][].
    - `hidden`, `activation`: of policy and critics.
    - `horizon`: imagined steps per rollout.
    - `discount`, `return_lambda`: of the lambda-return.
    - `entropy`: what a nat of entropy is worth, in units of scaled reward, at first.
    - `entropy_end`: the fraction of that to which it falls along a cosine.
    - `entropy_until`: the fraction of a generation after which it has fallen; after five
        trainings at the soonest.
    - `generation`: after about how many trainings policy and critics begin from nothing, in
        equal parts of the run. From the second time on, who is imagined to do best acts.
    - `critics`: how many; the smallest estimate is believed.
    - `target_rate`: how fast the target critics follow.
    - `rate`, `clip`: of Adam, for policy and critics; the rate falls to a tenth along a
        cosine over a generation.
    - `updates`: per training.
    - `batch`: imagined rollouts per update.
    - `restart`: the fraction of them that begins anew in an update; the others go on from
        where the last update's came to.
    - `uniform_starts`: the fraction of beginnings that are anywhere, not in the buffer.
    - `promising_starts`: the fraction that are around where most is paid, see
        [`lagdyna.agents.promising_states`][].
    - `initial_starts`: the fraction that are where the episodes in the buffer began.
    - `pushed_starts`: the fraction that are where random actions lead to from there, see
        [`lagdyna.agents.pushed_states`][].
    - `planned_starts`: the fraction that are where plans lead to from there, which a
        [`lagdyna.agents.ShootingPlanner`][] improves along with the agent; the rest is anywhere
        in the buffer.
    - `posterior`: whether either agent imagines in samples of the posterior that a filter
        leaves, a [`lagdyna.experiments.PosteriorConfig`][].
    - `dyna`: what the other agent needs to know, a [`lagdyna.experiments.DynaConfig`][].

    **Raises:** `ValueError` if the rollouts are not a multiple of the samples, or more
    beginnings than all are asked for.
    """

    name: Literal["imagination", "dyna"] = "imagination"
    hidden: Widths = (256, 256)
    activation: ActivationName = "tanh"
    horizon: Count = 16
    discount: Annotated[float, Meta(gt=0, lt=1)] = 0.99
    return_lambda: Fraction = 0.95
    entropy: NonNegative = 1e-1
    entropy_end: Fraction = 0.1
    entropy_until: UpToOne = 0.2
    generation: Count = 25
    critics: Count = 1
    target_rate: Annotated[float, Meta(gt=0, le=1)] = 0.02
    rate: Positive = 2e-3
    clip: Positive = 1.0
    updates: Count = 400
    batch: Count = 64
    restart: Fraction = 0.1
    uniform_starts: Fraction = 0.125
    promising_starts: Fraction = 0.25
    initial_starts: Fraction = 0.5
    pushed_starts: Fraction = 0.0
    planned_starts: Fraction = 0.0
    posterior: PosteriorConfig = PosteriorConfig()
    dyna: DynaConfig = DynaConfig()

    def __post_init__(self):
        kinds = ("uniform", "promising", "initial", "pushed", "planned")
        names = [f"{kind}_starts" for kind in kinds]
        fractions = [getattr(self, name) for name in names]
        if sum(fractions) > 1 + 1e-9:
            given = ", ".join(
                f"`{name}` {fraction:g}"
                for name, fraction in zip(names, fractions, strict=True)
            )
            raise ValueError(
                f"{given}; at most 1 is accepted for all together, since the rest begins in "
                "the buffer"
            )
        samples = self.posterior.samples
        what = ("dyna.rollouts", self.dyna.rollouts)
        name, rollouts = what if self.name == "dyna" else ("batch", self.batch)
        if samples and rollouts % samples:
            raise ValueError(
                f"`posterior.samples` was {samples} and `{name}` {rollouts}; a multiple of the "
                "samples is accepted, for each to have as many rollouts"
            )

    @property
    def starts(self) -> dict[str, int]:
        """How many of a batch of beginnings are of each kind."""
        left, kinds = self.batch, {}
        for kind, fraction in (
            ("promising", self.promising_starts),
            ("initial", self.initial_starts),
            ("uniform", self.uniform_starts),
            ("pushed", self.pushed_starts),
            ("planned", self.planned_starts),
        ):
            kinds[kind] = min(left, round(fraction * self.batch))
            left -= kinds[kind]
        return kinds

    @property
    def model_free(self) -> bool:
        """Whether it needs no model."""
        return self.name == "dyna" and self.dyna.ratio == 0


@dataclass(frozen=True, kw_only=True)
class CollectConfig:
    """How experience is collected.

    **Arguments:**

    - `random_steps`: environment steps with random actions, before the policy acts; those
        of 50 actions by default.
    - `hold`: for how many actions a random one stays the same.
    - `random_stretches`: which fraction of the stretches of ten actions after that is of
        random ones too, each for five actions; by default 0.25 with the agent that learns in
        imagination, 0 with the other.
    - `train_every`: environment steps after which model and agent are trained, also within
        an episode; those of 50 actions by default.
    - `steps_per_round`: once this many steps have been collected, and the episode has
        ended, a line of metrics and a checkpoint are written; those of 200 actions by
        default.
    - `capacity`: of the replay buffer; enough for all transitions by default.
    """

    random_steps: Whole | None = None
    hold: Count = 1
    random_stretches: Fraction | None = None
    train_every: Count | None = None
    steps_per_round: Count | None = None
    capacity: Count | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How a policy is judged: without noise, on episodes that teach it nothing.

    **Arguments:**

    - `episodes`: how many, after each training.
    - `max_steps`: longest episode that is waited for, in environment steps, should the
        environment set no limit.
    """

    episodes: Count = 100
    max_steps: Count = 10_000


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that determines a training run. Frozen, nested, and written beside it.

    **Arguments:**

    - `task`: a [`lagdyna.tasks.TaskSpec`][]; `Pendulum-v1` by default.
    - `steps`: environment steps of real experience, random ones included; by default as
        many as the task says.
    - `seed`: of everything random.
    - `model`, `solver`, `learner`, `reward`, `agent`, `collect`, `evaluation`: the parts.

    **Raises:** `ValueError` if an agent is to imagine in samples of a posterior, and the
    learner leaves none or the agent has no model; or if the buffer holds less than a batch.
    """

    task: TaskSpec = field(default_factory=lambda: get_task("Pendulum-v1"))
    steps: Count | None = None
    seed: Whole = 0
    model: ModelConfig = ModelConfig()
    solver: SolverConfig = SolverConfig()
    learner: LearnerConfig = LearnerConfig()
    reward: RewardConfig = RewardConfig()
    agent: AgentConfig = AgentConfig()
    collect: CollectConfig = CollectConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def __post_init__(self):
        samples = self.agent.posterior.samples
        if samples and not is_filter(self.learner.name):
            raise ValueError(
                f"`agent.posterior.samples` was {samples} with the learner "
                f"{self.learner.name!r}, which leaves no posterior; a filter is accepted, such "
                "as ekf"
            )
        if samples and self.agent.model_free:
            raise ValueError(
                f"`agent.posterior.samples` was {samples} with `agent.dyna.ratio` 0, an agent "
                "without a model to draw samples of"
            )
        dyna, capacity = self.agent.dyna, self.collect.capacity
        real = dyna.batch - dyna.imagined
        if self.agent.name == "dyna" and capacity is not None and capacity < real:
            raise ValueError(
                f"`collect.capacity` was {capacity}, and a batch of the agent takes {real} "
                f"real transitions (`agent.dyna.batch` {dyna.batch}, `agent.dyna.ratio` "
                f"{dyna.ratio:g}); at least as many are accepted"
            )

    @property
    def steps_or_default(self) -> int:
        """`steps`, or what that is by default."""
        return self.steps or self.task.steps

    @property
    def random_steps(self) -> int:
        """`collect.random_steps`, or what that is by default."""
        return self._steps_or(self.collect.random_steps, 50)

    @property
    def random_stretches(self) -> float:
        """`collect.random_stretches`, or what that is by default."""
        return self._or_if_imagining(self.collect.random_stretches, 0.25)

    @property
    def learner_decay(self) -> float:
        """`learner.decay`, or what that is by default."""
        return self._or_if_imagining(self.learner.decay, 0.1)

    @property
    def reward_decay(self) -> float:
        """`reward.decay`, or what that is by default."""
        return self._or_if_imagining(self.reward.decay, 0.3)

    @property
    def reward_activation(self) -> ActivationName:
        """`reward.activation`, or what that is by default."""
        return self.reward.activation or ("tanh" if self._imagines else "softplus")

    @property
    def train_every(self) -> int:
        """`collect.train_every`, or what that is by default."""
        return self._steps_or(self.collect.train_every, 50)

    @property
    def steps_per_round(self) -> int:
        """`collect.steps_per_round`, or what that is by default."""
        return self._steps_or(self.collect.steps_per_round, 200)

    @property
    def trainings(self) -> int:
        """How many times model and agent are trained in the run."""
        return math.ceil(self.steps_or_default / self.train_every)

    @property
    def generations(self) -> int:
        """How many times policy and critics begin from nothing."""
        return math.ceil(self.trainings / self.generation)

    @property
    def generation(self) -> int:
        """Trainings of each generation; the last may have fewer."""
        about = max(1, round(self.trainings / self.agent.generation)) if self._imagines else 1
        return math.ceil(self.trainings / about)

    @property
    def agent_updates(self) -> int:
        """Updates of the agent in a training."""
        if self.agent.name == "dyna":
            return self.train_every * self.agent.dyna.updates_or_default
        return self.agent.updates

    @property
    def model_updates(self) -> int:
        """Updates of the model in a training, 0 if the agent needs none."""
        return 0 if self.agent.model_free else self.learner.updates_or_default

    @property
    def _imagines(self) -> bool:
        return self.agent.name == "imagination"

    def _or_if_imagining(self, given: float | None, usual: float) -> float:
        """What is given, or what is usual for the agent that imagines, 0 for the other."""
        return (usual if self._imagines else 0.0) if given is None else given

    def _steps_or(self, given: int | None, actions: int) -> int:
        return actions * self.task.repeat if given is None else given
