"""An agent in a learned simulator on seven tasks (Ramesh & Ravindran 2023)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Scalar

from ...agents import Policy
from ...mechanics import State
from ...simulate import AbstractTransition, SolvedTransition
from ...tasks import SUITE, SuiteTask, suite_task
from .._config import Config
from .._curves import steps_to
from .._plots import BLUE, GREY, ORANGE, blank, finish, save
from .._run import Run
from .._statistics import improvement
from .._toml import config_from_table
from ._reproduction import AbstractReproduction, Entry, Result, Results
from ._runs import band, middle_entry, probability_entry, train_or_resume


class Figures(NamedTuple):
    """What the paper prints of a model on a task.

    **Attributes:** `value`, the average return after convergence; `steps`, of experience until
    then; `error`, of one step, L1.
    """

    value: float
    steps: int
    error: float


class Published(NamedTuple):
    """What the paper prints of a task, 5 seeds: an early preprint's Table 1.

    **Attributes:** the figures of its two models, `delan`, which it calls LNN, and `mlp`, its
    DNN; the return of soft actor-critic without a model, `sac`, and its `sac_steps`.
    """

    delan: Figures
    mlp: Figures
    sac: float
    sac_steps: int


def _published(
    returns: tuple[float, float, float], steps: int, errors: tuple[float, float]
) -> Published:
    """Figures as printed: LNN, DNN, SAC, and errors in units of 1e-5."""
    delan, mlp = (Figures(returns[i], steps, errors[i] * 1e-5) for i in range(2))
    return Published(delan, mlp, returns[2], {125_000: 1_250_000, 500_000: 10_000_000}[steps])


PAPER: Mapping[str, Published] = MappingProxyType(
    {
        "pendulum": _published((787.0, 787.0, 787.0), 125_000, (3.5, 109.0)),
        "reacher": _published((943.0, 943.0, 943.0), 125_000, (4.8, 127.0)),
        "cartpole": _published((900.0, 899.0, 897.0), 125_000, (6.0, 149.0)),
        "acrobot": _published((912.0, 765.0, 818.0), 500_000, (48.0, 800.0)),
        "cart2pole": _published((828.0, 786.0, 802.0), 500_000, (70.0, 500.0)),
        "acro3bot": _published((929.0, 740.0, 854.0), 500_000, (156.0, 1322.0)),
        "cart3pole": _published((917.0, 757.0, 759.0), 500_000, (61.0, 1196.0)),
    }
)
MODELS = ("delan", "mlp")
_EASY = ("pendulum", "reacher", "cartpole")
_REACHED, _LAST, _EPISODES = 0.95, 0.1, 10


def steps_of(task: str, quick: bool) -> int:
    """Steps of experience that a run of that task is given."""
    if quick:
        return 600 if task in _EASY else 2_000
    return SUITE[task].steps


def run_config(task: str, model: str, steps: int, seed: int) -> Config:
    """The defaults of `lagdyna train`, with that model.

    **Raises:** `UserError` if there is no such model.
    """
    table = {"task": task, "model": {"name": model}, "steps": steps, "seed": seed}
    return config_from_table(table)


class Steps(NamedTuple):
    """What a true system did in one step from many states.

    **Attributes:** `before` and `after`, of shapes `(rows, n)`; `action`, `(rows, m)`.
    """

    before: State
    action: Float[Array, "rows m"]
    after: State


def noisy_steps(
    task: SuiteTask, policy: Policy, repeat: int, key: PRNGKeyArray, episodes: int
) -> tuple[Steps, Steps]:
    """What a policy with its exploration noise does in episodes from the task's starts.

    **Arguments:** `repeat`, for how many steps an action is held.

    **Returns:** all single steps, and what happened in the time of each action, `repeat` of
    them; a last action that is cut short by the end of the episode is left out of both.
    """
    count = task.horizon // repeat

    def act(state: State, key: PRNGKeyArray) -> tuple[State, tuple[State, Array]]:
        eps = jax.random.normal(key, (task.action_size,), state.q.dtype)
        action, _ = policy.sample(state, eps)

        def hold(state: State, _: None) -> tuple[State, State]:
            return task.advance(state, action), state

        state, passed = jax.lax.scan(hold, state, None, repeat)
        return state, (passed, action)

    def episode(key: PRNGKeyArray) -> tuple[State, Array, State]:
        start, noise = jax.random.split(key)
        last, (passed, actions) = jax.lax.scan(
            act, task.reset(start), jax.random.split(noise, count)
        )
        return passed, actions, last

    passed, actions, last = jax.vmap(episode)(jax.random.split(key, episodes))

    def ends(states: Array, last: Array) -> Array:
        """The states after those of `(episodes, time, n)`."""
        return jnp.concatenate([states[:, 1:], last[:, None]], axis=1)

    def rows(x: Array) -> Array:
        return x.reshape(-1, x.shape[-1])

    single = jax.tree.map(lambda x: x.reshape(episodes, count * repeat, -1), passed)
    held = jax.tree.map(lambda x: x[:, :, 0], passed)
    each = jnp.repeat(actions, repeat, axis=1)
    return tuple(
        jax.tree.map(rows, Steps(states, chosen, jax.tree.map(ends, states, last)))
        for states, chosen in ((single, each), (held, actions))
    )


class Errors(NamedTuple):
    """How far a model is off after one step, L1.

    **Attributes:** `state`, the mean absolute error of all coordinates (angles by the shorter
    way round) and velocities, over rows; `observed`, the same of the task's observation, in
    which an angle is its cosine and sine.
    """

    state: Scalar
    observed: Scalar


def one_step_errors(task: SuiteTask, transition: AbstractTransition, steps: Steps) -> Errors:
    """The errors of one step of a model from many states."""
    found = jax.vmap(transition.step)(steps.before, steps.action)
    off = transition.coordinates.difference(found.q, steps.after.q), found.qd - steps.after.qd
    seen, truly = (jax.vmap(task.observe)(states) for states in (found, steps.after))
    return Errors(jnp.mean(jnp.abs(jnp.concatenate(off, -1))), jnp.mean(jnp.abs(seen - truly)))


def at_step(transition: AbstractTransition, dt: float) -> AbstractTransition | None:
    """The same model over another time, one step of the same solver; `None` if it knows none.

    A vector field holds for any time; a network for the change over one action does not.
    """
    if not isinstance(transition, SolvedTransition):
        return None
    return SolvedTransition(
        transition.field,
        transition.coordinates,
        dt,
        solver=transition.solver,
        tolerances=transition.tolerances,
        velocity_limits=transition.velocity_limits,
    )


@eqx.filter_jit
def _judged(
    task: SuiteTask, policy: Policy, transition: AbstractTransition, repeat: int, seed: Array
) -> tuple[Errors, Errors | None]:
    """Errors over an action's time, and over the task's `dt` if the model knows those."""
    key = jax.random.key(seed)
    single, held = noisy_steps(task, policy, repeat, key, _EPISODES)
    short = at_step(transition, task.dt)
    return (
        one_step_errors(task, transition, held),
        None if short is None else one_step_errors(task, short, single),
    )


def judge(run: Run) -> Result:
    """Errors of the model of a run on a task of the suite, in float64.

    Judged on ten episodes that nothing was learned from, in the float64 reference
    environment, by the final policy with its noise.

    **Returns:** `held_l1` and `held_observed`, [`Errors`] over an action's time; `l1` and
    `observed`, over the task's `dt`, `nan` if the model knows no such time.
    """
    assert run.trainer.suite is not None
    with jax.enable_x64(True):
        parts: Any = (run.training.policy, run.transition)
        policy, transition = jax.tree.map(_exact, parts)
        task = suite_task(run.trainer.suite)
        seed = jnp.asarray(_JUDGED + run.config.seed, jnp.uint32)
        held, single = _judged(task, policy, transition, run.config.task.repeat, seed)
    unknown = np.asarray(np.nan)
    return {
        "held_l1": np.asarray(held.state),
        "held_observed": np.asarray(held.observed),
        "l1": unknown if single is None else np.asarray(single.state),
        "observed": unknown if single is None else np.asarray(single.observed),
    }


_JUDGED = 1 << 20  # so that no run has met these starts


def _exact(leaf: PyTree) -> PyTree:
    return jnp.asarray(leaf, jnp.float64) if eqx.is_inexact_array(leaf) else leaf


def make_part(config: Config, directory: Path, tell: Callable[[str], None]) -> Result:
    """Trains, or goes on with the training that stands in the directory, and judges it."""
    run, made = train_or_resume(config, directory, tell)
    tell("judging the model")
    return {**made, **judge(run)}


def converged_return(returns: Float[np.ndarray, " times"]) -> float:
    """The mean over the last tenth of the evaluations, one at least."""
    last = max(round(_LAST * len(returns)), 1)
    return float(np.mean(returns[-last:]))


class Ramesh2023Suite(AbstractReproduction):
    """Returns, experience and model error on the seven tasks, DeLaN and a black box.

    Each task is learned by `lagdyna train` with its defaults, once with a DeLaN for the
    dynamics and once with a network for the change of state, the paper's LNN and DNN; never
    with the paper's own settings. The defaults hold an action for several steps of the
    environment, and both models are learned over that time.

    **Figures**, for each task `TASK`, and with `.mlp` added for the network:

    - `return.TASK`: the mean return of 100 episodes without noise, averaged over the last
        tenth of a run's evaluations; the paper's, after convergence.
    - `steps_to_95.TASK`: environment steps of experience, random ones included, at the first
        evaluation with 95 % of the return that the paper's own model of that kind converges
        to; the paper's, until it converged.
    - `one_step_l1.TASK`: the mean absolute error of all coordinates, angles by the shorter
        way round, and velocities, rad and m and those over s, over one step of the task's
        `dt`: one step of the run's own solver from DeLaN's field. The network knows the time
        of an action only, so its error is over that.
    - `observed_l1.TASK`: the same of observations, in which an angle is cosine and sine. The
        loss in the paper's code is of this form, on batches of what the model learns from;
        its print does not say whether the table has that.
    - `held_l1.TASK`: as `one_step_l1`, of DeLaN over the time of an action, to be compared
        with the network's.
    - `better_return.TASK`: the probability that a seed with the DeLaN has a higher return than
        one with the network (Agarwal et al. 2021), without `.mlp`.

    Errors are those of the final model on ten episodes of the final policy with its noise,
    from which nothing was learned, in the float64 reference environment, the model in float64.
    """

    name = "ramesh2023-suite"
    title = "return, experience and model error on seven tasks, DeLaN and MLP (Ramesh 2023)"
    kinds = tuple(f"{task}.{model}" for task in PAPER for model in MODELS)
    seeds = 5
    tasks = tuple(PAPER)
    quick_tasks = ("pendulum",)

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, tell: Callable[[str], None]
    ) -> Result:
        task, model = kind.split(".")
        return make_part(run_config(task, model, steps_of(task, quick), seed), directory, tell)

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        draw(out / "curves.png", results)
        made = [
            made
            for figure in (_returns, _steps, _one_step, _observed, _held)
            for kind in results.parts
            for made in figure(kind, results.parts[kind], ", --quick" if quick else "")
        ]
        both = [task for task in PAPER if {f"{task}.{m}" for m in MODELS} <= {*results.parts}]
        return [*made, *(_better(task, results) for task in both)]


def _better(task: str, results: Results) -> Entry:
    ours, theirs = (
        [converged_return(part["returns"]) for part in results.parts[f"{task}.{model}"]]
        for model in ("delan", "mlp")
    )
    note = "that a seed of delan has a higher return than one of mlp"
    found = improvement(np.asarray(ours), np.asarray(theirs))
    seeds = min(len(ours), len(theirs))
    return probability_entry(f"better_return.{task}", found, seeds, note)


def _named(figure: str, kind: str) -> str:
    """`return.pendulum` of a DeLaN, `return.pendulum.mlp` of a network."""
    task, model = kind.split(".")
    return f"{figure}.{task}" if model == "delan" else f"{figure}.{task}.{model}"


def printed(kind: str) -> Figures:
    """What the paper prints of `TASK.MODEL`."""
    task, model = kind.split(".")
    return PAPER[task].delan if model == "delan" else PAPER[task].mlp


def _middle(
    figure: str,
    kind: str,
    values: list[float],
    unit: str,
    paper: float | None,
    note: str,
    **more: str,
) -> list[Entry]:
    name = _named(figure, kind)
    return [middle_entry(name, values, unit, paper=paper, note=note, **more)]


def _returns(kind: str, parts: list[Result], quick: str) -> list[Entry]:
    values = [converged_return(part["returns"]) for part in parts]
    task = PAPER[kind.split(".")[0]]
    note = (
        f"after {int(parts[0]['steps'][-1])} steps; paper {printed(kind).steps}, "
        f"without a model {task.sac:g} after {task.sac_steps}{quick}"
    )
    return _middle("return", kind, values, "", printed(kind).value, note)


def _steps(kind: str, parts: list[Result], quick: str) -> list[Entry]:
    target = _REACHED * printed(kind).value
    values = [steps_to(part["steps"], part["returns"], target) for part in parts]
    note = f"to a return of {target:.1f}; the paper's until it converged{quick}"
    missing = f"never reached it in {int(parts[0]['steps'][-1])} steps"
    paper = float(printed(kind).steps)
    return _middle("steps_to_95", kind, values, "steps", paper, note, missing=missing)


def _one_step(kind: str, parts: list[Result], quick: str) -> list[Entry]:
    values, over = _of_one_step(parts, "l1")
    note = f"q and qd {over}{quick}"
    return _middle("one_step_l1", kind, values, "", printed(kind).error, note)


def _observed(kind: str, parts: list[Result], quick: str) -> list[Entry]:
    values, over = _of_one_step(parts, "observed")
    note = f"observations {over}{quick}"
    return _middle("observed_l1", kind, values, "", printed(kind).error, note)


def _held(kind: str, parts: list[Result], quick: str) -> list[Entry]:
    if not kind.endswith(".delan"):
        return []  # it is its error of one step
    values = [float(part["held_l1"]) for part in parts]
    return _middle("held_l1", kind, values, "", None, f"q and qd over an action's time{quick}")


def _of_one_step(parts: list[Result], name: str) -> tuple[list[float], str]:
    """Errors over the task's `dt`, or over an action's time where no other is known."""
    if all(np.isnan(part[name]) for part in parts):
        return [float(part[f"held_{name}"]) for part in parts], "over an action's time"
    return [float(part[name]) for part in parts], "over the task's dt"


def draw(path: Path, results: Results) -> None:
    """Return against experience for each task, to a PNG file."""
    tasks = list(dict.fromkeys(kind.split(".")[0] for kind in results.parts))
    columns = min(len(tasks), 4)
    rows = -(-len(tasks) // columns)
    size = (3.2 * max(columns, 2), 2.6 * rows + 0.7)
    figure = blank(*size)
    grid = figure.subplots(rows, columns, squeeze=False)
    for task, axes in zip(tasks, grid.flat, strict=False):
        for model, colour in zip(MODELS, (BLUE, ORANGE), strict=True):
            if f"{task}.{model}" in results.parts:
                label = {"delan": "DeLaN", "mlp": "MLP"}[model]
                band(axes, results, f"{task}.{model}", colour, label)
        value = PAPER[task].delan.value
        axes.axhline(value, color=GREY, lw=1, label="paper's LNN")
        axes.axhline(_REACHED * value, color=GREY, lw=1, ls=":", label="95 % of it")
        axes.set_title(task, fontsize=9)
        axes.set_xlim(0, None)
        axes.set_ylim(0, 1000)
        axes.xaxis.set_major_formatter(lambda steps, _: f"{steps / 1000:g}k")
        finish(axes)
    for axes in grid.flat[len(tasks) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("return")
    for axes in grid.flat[max(len(tasks) - columns, 0) : len(tasks)]:
        axes.set_xlabel("steps of experience")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=4, loc="outside lower center")
    save(figure, path)
