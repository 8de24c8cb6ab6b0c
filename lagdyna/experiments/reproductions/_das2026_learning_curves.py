"""Adam beside Kalman filters: error against updates, seconds and data (Das et al. 2026)."""

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Real, Scalar

from ...data import Experience
from ...learners import AbstractLearner, GradientLearner, OneStepLoss, step_scale
from ...mechanics import Coordinates, FixedActuation, MechanicalSystem, State
from ...models import DeLaN
from ...simulate import AbstractTransition, LagrangianField, SolvedTransition, rollout
from ...systems import Pendulum, PlanarChain
from .._config import FilterConfig
from .._filters import make_filter
from .._plots import BLUE, GREEN, GREY, ORANGE, blank, finish, save
from ._reproduction import AbstractReproduction, Entry, Result, Results, entry

if TYPE_CHECKING:
    import matplotlib.axes

_STEPS, _TRAINING, _UNSEEN, _POINTS = 200, 8, 5, 40
ROWS = _TRAINING * _STEPS
SIZES = (100, 400, ROWS)


class Task(NamedTuple):
    """A system of Ramesh & Ravindran's suite, and how experience of it is made.

    **Attributes:**

    - `system`: the true one, from the action to accelerations.
    - `dt`: seconds between two actions.
    - `hanging`: coordinates `(n,)` from which episodes start, m or rad.
    - `hold`: steps for which each random action is held.
    - `initial_mass`: of models, the order of magnitude of the true masses and inertias,
        kg or kg m^2.
    """

    system: MechanicalSystem
    dt: float
    hanging: tuple[float, ...]
    hold: int
    initial_mass: tuple[float, ...]


def make_task(name: str) -> Task:
    """`pendulum`, `acrobot` or `cart2pole`."""
    up, down = 0.0, float(np.pi)
    if name == "pendulum":
        angle, torque = Coordinates((True,)), FixedActuation(((2.0,),))
        system = MechanicalSystem(Pendulum.point_mass(), angle, torque)
        return Task(system, 0.02, (down,), 10, (1.0,))
    if name == "acrobot":
        chain, elbow = PlanarChain.rods(2), FixedActuation(((0.0,), (1.75,)))
        system = MechanicalSystem(chain, chain.coordinates, elbow)
        return Task(system, 0.01, (down, up), 5, (0.1, 0.1))
    chain, force = PlanarChain.rods(2, cart_mass=1.0), FixedActuation(((10.0,), (0.0,), (0.0,)))
    system = MechanicalSystem(chain, chain.coordinates, force)
    return Task(system, 0.01, (0.0, down, up), 10, (1.0, 0.1, 0.1))


def episodes(task: Task, key: PRNGKeyArray, count: int) -> Experience:
    """Steps of `count` episodes of random actions, each begun hanging, in a random order.

    **Returns:** an `Experience` with a leading axis of `200 count`; its rewards are 0.
    """
    n = len(task.hanging)
    keys = jax.random.split(key, 3)
    held = jax.random.uniform(keys[0], (count, _STEPS // task.hold, 1), minval=-1, maxval=1)
    actions = jnp.repeat(held, task.hold, axis=1)
    q = jnp.asarray(task.hanging) + 0.01 * jax.random.normal(keys[1], (count, n))
    transition = SolvedTransition(
        LagrangianField(task.system),
        task.system.coordinates,
        task.dt,
        solver="tsit5",
        substeps=4,
    )
    start = State(transition.coordinates.wrap(q), jnp.zeros_like(q))
    states = jax.vmap(lambda s, a: rollout(transition, s, a))(start, actions)
    before, after = (
        jax.tree.map(lambda x, part=part: x[:, part].reshape(-1, n), states)
        for part in (slice(None, -1), slice(1, None))
    )
    nothing = jnp.zeros(count * _STEPS)
    steps = Experience(before, actions.reshape(-1, 1), nothing, after, nothing.astype(bool))
    order = jax.random.permutation(keys[2], count * _STEPS)
    return jax.tree.map(lambda x: x[order], steps)


_episodes = eqx.filter_jit(episodes)


class Training(NamedTuple):
    """How a learner is used.

    **Attributes:** `updates`; `batch`, rows of each; `rate`, of Adam at first; `options`,
    of a filter.
    """

    updates: int
    batch: int
    rate: float = 0.0
    options: FilterConfig = FilterConfig()


class Given(NamedTuple):
    """What every learner of a seed begins with.

    **Attributes:** the untrained `model`; the `loss`, with the scales of the data; the
    `data`, in a random order; other episodes that are `unseen`; `key`, for the batches.
    """

    model: SolvedTransition
    loss: OneStepLoss
    data: Experience
    unseen: Experience
    key: PRNGKeyArray


def prepare(task: Task, seed: int, hidden: tuple[int, ...] = (16, 16)) -> Given:
    """A DeLaN through Heun's solver, the actuation known, and its data."""
    keys = jax.random.split(jax.random.key(seed), 4)
    coordinates = task.system.coordinates
    data, unseen = _episodes(task, keys[0], _TRAINING), _episodes(task, keys[1], _UNSEEN)
    delan = DeLaN(
        coordinates,
        hidden=hidden,
        activation=jnp.tanh,
        initial_mass=task.initial_mass,
        key=keys[2],
    )
    system = MechanicalSystem(delan, coordinates, task.system.actuation)
    model = SolvedTransition(LagrangianField(system), coordinates, task.dt)
    loss = OneStepLoss(step_scale(data, coordinates))
    return Given(model, loss, data, unseen, keys[3])


TASKS = ("pendulum", "acrobot", "cart2pole")
AGAINST_DATA = ("adam", "ekf", "ekf-block")
SETTINGS: Mapping[str, Mapping[str, Training]] = MappingProxyType(
    {
        "adam": {
            "pendulum": Training(10_000, 64, rate=1e-2),
            "acrobot": Training(10_000, 64, rate=1e-2),
            "cart2pole": Training(20_000, 64, rate=5e-3),
        },
        "ekf": {
            "pendulum": Training(200, 16, options=FilterConfig(prior=1.0, noise=1e-2)),
            "acrobot": Training(600, 16, options=FilterConfig(prior=0.1, fading=0.99)),
            "cart2pole": Training(600, 16, options=FilterConfig(prior=0.1, fading=0.98)),
        },
        "ekf-block": {
            "pendulum": Training(400, 16, options=FilterConfig(prior=0.3, fading=0.98)),
            "acrobot": Training(800, 16, options=FilterConfig(prior=0.1, fading=0.99)),
            "cart2pole": Training(800, 16, options=FilterConfig(prior=0.1, fading=0.98)),
        },
        "ekf-diagonal": {
            "pendulum": Training(800, 16, options=FilterConfig(prior=0.1, fading=0.98)),
            "acrobot": Training(800, 16, options=FilterConfig(prior=0.1, fading=0.98)),
            "cart2pole": Training(800, 16, options=FilterConfig(prior=0.1, fading=0.98)),
        },
        "ekf-lowrank": {
            "pendulum": Training(400, 16, options=FilterConfig(prior=0.3, fading=0.98)),
            "acrobot": Training(800, 16, options=FilterConfig(prior=0.1, fading=0.99)),
            "cart2pole": Training(800, 16, options=FilterConfig(prior=0.1, fading=0.98)),
        },
        "ckf": {
            "pendulum": Training(200, 16, options=FilterConfig(prior=0.05)),
            "acrobot": Training(200, 16, options=FilterConfig(prior=0.05)),
            "cart2pole": Training(200, 16, options=FilterConfig(prior=0.05)),
        },
        "ukf": {
            "pendulum": Training(200, 16, options=FilterConfig(prior=0.05)),
            "acrobot": Training(200, 16, options=FilterConfig(prior=0.05)),
            "cart2pole": Training(200, 16, options=FilterConfig(prior=0.05)),
        },
        "enkf": {
            "pendulum": Training(400, 16, options=FilterConfig(prior=0.3)),
            "acrobot": Training(400, 16, options=FilterConfig(prior=0.3)),
            "cart2pole": Training(400, 16, options=FilterConfig(prior=0.3)),
        },
        "pf": {
            "pendulum": Training(100, 16, options=FilterConfig(prior=0.1)),
            "acrobot": Training(100, 16, options=FilterConfig(prior=0.1)),
            "cart2pole": Training(100, 16, options=FilterConfig(prior=0.1)),
        },
    }
)
LEARNERS = tuple(SETTINGS)


@functools.cache
def _adam(rate: float, updates: int) -> optax.GradientTransformation:
    """One and the same for all seeds, so that what it is compiled into is found again."""
    return optax.adam(optax.cosine_decay_schedule(rate, updates, 1e-3))


def make_learner(name: str, training: Training, loss: OneStepLoss) -> AbstractLearner:
    """Adam, or the Kalman filter of that name."""
    if name == "adam":
        return GradientLearner(_adam(training.rate, training.updates), loss)
    return make_filter(name, loss, training.options, 1.0)


@eqx.filter_jit
def advance(
    learner: AbstractLearner,
    carry: tuple[PyTree, PyTree],
    data: Experience,
    rows: Scalar,
    key: PRNGKeyArray,
    start: Scalar,
    stop: Scalar,
    batch: int,
) -> tuple[PyTree, PyTree]:
    """Updates from number `start` up to `stop`, on random ones of the first `rows` rows.

    Compiled once, however many they are.
    """
    arrays, static = eqx.partition(carry, eqx.is_array)

    def body(i: Array, arrays: PyTree) -> PyTree:
        model, state = eqx.combine(arrays, static)
        chosen = jax.random.randint(jax.random.fold_in(key, i), (batch,), 0, rows)
        model, state, _ = learner.update(model, state, jax.tree.map(lambda x: x[chosen], data))
        return eqx.filter((model, state), eqx.is_array)

    return eqx.combine(jax.lax.fori_loop(start, stop, body, arrays), static)


@eqx.filter_jit
def model_error(model: AbstractTransition, loss: OneStepLoss, data: Experience) -> Scalar:
    """Root mean square error of one step, of each output in units of its usual change."""
    return jnp.sqrt(loss(model, data))


def checkpoints(updates: int) -> np.ndarray:
    """Numbers of updates after which a model is judged, evenly spaced on a log axis."""
    return np.unique(np.geomspace(1, updates, min(_POINTS, updates)).round().astype(int))


class Curve(NamedTuple):
    """How a training went.

    **Attributes:** after each of `updates`: the `error` on unseen data; the `seconds` that
    updates took until then, without compiling, making data or judging.
    """

    updates: np.ndarray
    error: np.ndarray
    seconds: np.ndarray


def train(name: str, training: Training, given: Given, rows: int) -> Curve:
    """Trains on the first `rows` of the data, judged now and then on the unseen."""
    learner = make_learner(name, training, given.loss)
    fixed = (given.data, jnp.asarray(rows), given.key)
    number = lambda i: jnp.asarray(i, jnp.int32)  # noqa: E731
    carry = (given.model, learner.init(given.model))
    # This compiles, and is the first use of everything; its result is dropped.
    jax.block_until_ready(advance(learner, carry, *fixed, number(0), number(2), training.batch))
    at, errors, seconds = checkpoints(training.updates), [], []
    done, elapsed = 0, 0.0
    for stop in at.tolist():
        began = time.perf_counter()
        carry = jax.block_until_ready(
            advance(learner, carry, *fixed, number(done), number(stop), training.batch)
        )
        elapsed += time.perf_counter() - began
        done = stop
        errors.append(float(model_error(carry[0], given.loss, given.unseen)))
        seconds.append(elapsed)
    return Curve(at, np.asarray(errors), np.asarray(seconds))


def needed(
    at: Real[np.ndarray, " points"], error: Float[np.ndarray, " points"], target: float
) -> float:
    """The first of `at` where the error is at or below the target; `nan` if it never is."""
    reached = np.flatnonzero(error <= target)
    return float(at[reached[0]]) if reached.size else float("nan")


class Das2026LearningCurves(AbstractReproduction):
    """The error of a learned model against updates, seconds and data, for Adam and filters.

    Every learner of a seed gets the same DeLaN (two networks of two layers of 16, tanh),
    the same 1600 steps of eight episodes of random actions, and the same order of them;
    1000 steps of five other episodes judge it. The error is the root mean square of the
    one-step error, each coordinate's and velocity's in units of the root mean square of
    its change in one step of the data: 1 is the error of predicting that nothing moves. The
    paper learns an LNN on the pendulum alone, and prints no such figures.

    Ratios are to Adam's whole training: how many of its updates, or seconds, a filter took
    until its error was first seen at or below Adam's last. Adam's own ratios, below 1 if it
    was there before its end, stand beside them. `against data` is the last error of
    trainings with the same number of updates on the first 100 and 400 of the steps, which
    are in a random order.
    """

    name = "das2026-learning-curves"
    title = "model error against updates, seconds and data, Adam and Kalman filters (Das 2026)"
    kinds = tuple(f"{learner}.{task}" for task in TASKS for learner in LEARNERS)
    seeds = 5

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, tell: Callable[[str], None]
    ) -> Result:
        learner, name = kind.split(".")
        training = SETTINGS[learner][name]
        if quick:
            training = training._replace(updates=max(training.updates // 4, 1))
        given = prepare(make_task(name), seed)
        sizes = SIZES if learner in AGAINST_DATA and not quick else (ROWS,)
        curve, last = None, []
        for rows in sizes:
            tell(f"{training.updates} updates on {rows} steps")
            curve = train(learner, training, given, rows)
            last.append(curve.error[-1])
        assert curve is not None
        return {
            **curve._asdict(),
            "sizes": np.asarray(sizes),
            "error_of_size": np.asarray(last),
        }

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        _draw(out, results)
        note = f"{_UNSEEN * _STEPS} unseen steps" + (", --quick" if quick else "")
        entries = []
        for kind in self.kinds:
            error = results.stacked(kind, "error")[:, -1]
            entries.append(entry(f"error.{kind}", error, "", note=note))
        for kind in self.kinds:
            seconds = results.stacked(kind, "seconds")[:, -1]
            entries.append(entry(f"seconds.{kind}", seconds, "s", note=note))
        for measure in ("updates", "seconds"):
            for kind in self.kinds:
                task = kind.split(".")[1]
                ratios = to_adam_error(
                    measure, results.parts[kind], results.parts[f"adam.{task}"]
                )
                name = f"{measure}_to_adam_error.{kind}"
                missing = "never reached Adam's error"
                entries.append(entry(name, ratios, "", note=note, missing=missing))
        return entries


def to_adam_error(measure: str, of_filter: list[Result], of_adam: list[Result]) -> list[float]:
    """For each seed, what a filter needs to Adam's last error, in units of what Adam took.

    **Arguments:** `measure`, `updates` or `seconds`; the parts of both, seed by seed.

    **Returns:** a ratio for each seed, `nan` where the filter never gets there.
    """
    return [
        needed(found[measure], found["error"], adam["error"][-1]) / float(adam[measure][-1])
        for found, adam in zip(of_filter, of_adam, strict=True)
    ]


class Style(NamedTuple):
    """How a learner is drawn."""

    label: str
    colour: str
    line: str


_STYLES: Mapping[str, Style] = MappingProxyType(
    {
        "adam": Style("Adam", "#222222", "-"),
        "ekf": Style("EKF", BLUE, "-"),
        "ekf-block": Style("EKF, a block per layer", "#5b9bd5", "--"),
        "ekf-lowrank": Style("EKF, low rank", "#7a5ba8", "-."),
        "ekf-diagonal": Style("EKF, diagonal", GREY, ":"),
        "ckf": Style("cubature", GREEN, "-"),
        "ukf": Style("unscented", "#7fbf9b", "--"),
        "enkf": Style("ensemble", ORANGE, "-"),
        "pf": Style("particles", "#a8443a", "--"),
    }
)


def _draw(out: Path, results: Results) -> None:
    figure = blank(10.5, 2.9 * len(TASKS) + 0.9)
    grid = figure.subplots(len(TASKS), 3, sharey="row", squeeze=False)
    for task, (updates, seconds, data) in zip(TASKS, grid, strict=True):
        for learner in LEARNERS:
            parts, style = results.parts[f"{learner}.{task}"], _STYLES[learner]
            stack = lambda name, parts=parts: np.stack([p[name] for p in parts])  # noqa: E731
            _band(updates, parts[0]["updates"], stack("error"), style)
            _band(seconds, stack("seconds").mean(0), stack("error"), style)
            if parts[0]["sizes"].size > 1:
                _band(data, parts[0]["sizes"], stack("error_of_size"), style, "o")
        last = np.median([part["error"][-1] for part in results.parts[f"adam.{task}"]])
        for axes in (updates, seconds):
            axes.axhline(float(last), color=GREY, lw=0.8, zorder=0)
        updates.set_ylabel(f"{task}\none-step error / one-step change")
        updates.set_ylim(None, 2.0)  # first steps of filters may be far off
    grid[0][0].set_title("against updates")
    grid[0][1].set_title("against seconds")
    grid[0][2].set_title("against data, at the end")
    for axes, label in zip(
        grid[-1], ("updates", "seconds", "steps to learn from"), strict=True
    ):
        axes.set_xlabel(label)
    for axes in grid.flat:
        finish(axes)
    for axes in grid[:, 2]:
        axes.set_xticks(SIZES, [str(size) for size in SIZES], minor=False)
        axes.set_xticks([], minor=True)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=5, loc="outside lower center")
    seeds = len(results.parts[f"adam.{TASKS[0]}"])
    figure.suptitle(f"median and range of {seeds} seeds" if seeds > 1 else "one seed")
    save(figure, out / "learning_curves.png")


def _band(
    axes: "matplotlib.axes.Axes",
    x: Real[np.ndarray, " points"],
    error: Float[np.ndarray, "seeds points"],
    style: Style,
    marker: str = "",
) -> None:
    """The median over seeds, and their range."""
    error = np.where(np.isfinite(error), error, 1e9)  # beyond the picture
    axes.fill_between(x, error.min(0), error.max(0), color=style.colour, alpha=0.15, lw=0)
    axes.loglog(
        x,
        np.median(error, axis=0),
        style.line,
        marker=marker,
        ms=4,
        lw=1.4,
        color=style.colour,
        label=style.label,
    )
