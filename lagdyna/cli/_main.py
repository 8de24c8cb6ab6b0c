import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import App, CycloptsError, Parameter, Token
from rich.console import Console
from rich.table import Column, Table

Outcome = TypeVar("Outcome")

app = App(
    name="lagdyna",
    help="Learn the Lagrangian of a mechanical system, and to control the system inside it.",
    version=lambda: version("lagdyna"),
)
console = Console()


def _whole(kind: type, tokens: Sequence[Token]) -> int:
    """A whole number. Cyclopts itself would take 1.5 for 1."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"expected a whole number, got {tokens[0].value!r}") from None


Name = Annotated[str | None, Parameter(show_default=False)]
Whole = Annotated[int | None, Parameter(show_default=False, converter=_whole)]
Settings = Annotated[list[str] | None, Parameter(show_default=False, negative="")]


@app.command
def train(
    task: Name = None,
    /,
    *,
    config: Annotated[Path | None, Parameter(show_default=False)] = None,
    seed: Whole = None,
    seeds: Whole = None,
    steps: Whole = None,
    solver: Name = None,
    model: Name = None,
    learner: Name = None,
    agent: Name = None,
    out: Annotated[Path | None, Parameter(show_default=False)] = None,
    set: Settings = None,
    show_config: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Learn to control a task in a simulator that is learned from little experience.

    Parameters
    ----------
    task
        One of `lagdyna tasks`; Pendulum-v1 by default.
    config
        A TOML file. What stands on the command line overrides it.
    seed
        Of everything random; 0 by default.
    seeds
        Train so many seeds, from that one on, as one program over all devices; each has a
        run directory of its own in the run's, beside figures over all of them.
    steps
        Environment steps of real experience, random ones included; as many as the task
        says by default, 400 of Pendulum-v1.
    solver
        One of `lagdyna solvers`; heun by default.
    model
        The dynamics model: delan (the default), lnn, or mlp and constrained-mlp, which need no
        solver.
    learner
        The optimiser of the model's weights, adam by default, or a Kalman filter: ekf,
        ekf-block, ekf-diagonal, ekf-lowrank, ckf, ukf, enkf, pf, or auto, the EKF with as many
        covariances as so many weights allow.
    agent
        The agent, imagination or dyna; imagination by default.
    out
        A new or empty directory for the run; the first free one in runs/ by default.
    set
        Any option of the config, as agent.horizon=20; may be given several times. Short
        for it: --agent.horizon 20.
    show_config
        Print the whole config as TOML, and do nothing else.
    """
    from .. import experiments

    named = {
        "task": task,
        "seed": seed,
        "steps": steps,
        "solver": solver,
        "model": model,
        "learner": learner,
        "agent": agent,
    }
    whole = _configured(experiments.config_from_table, config, named, set)
    if show_config:
        print(experiments.config_to_toml(whole), end="")
        return
    from ._display import display

    directory = out or experiments.default_directory(whole)
    if seeds is not None:
        several = _interruptible(
            lambda: experiments.train_seeds(whole, seeds, directory, progress=display(console)),
            directory,
        )
        _print_several(several, directory)
        return
    summary = _interruptible(
        lambda: experiments.train(whole, directory, progress=display(console)), directory
    )
    _print_summary(summary, directory)


@app.command
def fit(
    data: Name = None,
    /,
    *,
    config: Annotated[Path | None, Parameter(show_default=False)] = None,
    angles: Name = None,
    model: Name = None,
    known: Name = None,
    loss: Name = None,
    learner: Name = None,
    solver: Name = None,
    updates: Whole = None,
    seed: Whole = None,
    out: Annotated[Path | None, Parameter(show_default=False)] = None,
    set: Settings = None,
    show_config: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Fit a model of a mechanical system to recordings of it.

    Parameters
    ----------
    data
        A file of trajectories: .npz, .csv, .h5, .hdf5, or minari:NAME.
    config
        A TOML file. What stands on the command line overrides it.
    angles
        Which coordinates are angles, counted from 0: "all", or as 0,2; none by default.
    model
        delan (the default), lnn, hnn, structured-hnn, neural-ode, mlp, constrained-mlp,
        known or residual.
    known
        What is known of the system, for the last three: FILE.py:NAME, a MechanicalSystem
        or a Lagrangian in a file of your own.
    loss
        one-step, multi-step, forward or inverse; chosen by the data by default.
    learner
        The optimiser of the model's weights, adam by default; levenberg-marquardt; or a
        Kalman filter, ekf, ekf-block or ekf-diagonal.
    solver
        One of `lagdyna solvers`; heun by default.
    updates
        How many updates of the weights; 10000 by default, 200 of levenberg-marquardt,
        1000 of a filter.
    seed
        Of everything random, the choice of validation data included; 0 by default.
    out
        A new or empty directory for the run; the first free one in runs/ by default.
    set
        Any option of the config, as model.dissipation=viscous; may be given several
        times. Short for it: --model.dissipation viscous.
    show_config
        Print the whole config as TOML, and do nothing else.
    """
    from .. import experiments

    named = {
        "data.file": data,
        "data.angles": None if angles is None else _indices(angles),
        "model": model,
        "model.known": known,
        "loss": loss,
        "learner": learner,
        "solver": solver,
        "learner.updates": updates,
        "seed": seed,
    }
    whole = _configured(experiments.fit_config, config, named, set)
    if show_config:
        print(experiments.config_to_toml(whole), end="")
        return
    from ._display import fit_progress

    directory = out or experiments.fit_directory(whole)
    with fit_progress(console, whole.learner.updates_or_default) as progress:
        report = _interruptible(
            lambda: experiments.fit_model(whole, directory, progress=progress), directory
        )
    _print_report(report, directory)


@app.command
def compare(
    runs: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    out: Annotated[Path | None, Parameter(show_default=False)] = None,
    target: Annotated[float | None, Parameter(show_default=False)] = None,
) -> None:
    """Lay runs side by side in one table and one plot: fits, or agents of one task.

    Fits by their errors on validation data. Agents by interquartile means over their seeds with
    95 % bootstrap intervals, and by the probability that a run is better than one of the first.

    Parameters
    ----------
    runs
        Directories of `lagdyna fit`, or of `lagdyna train`, with or without `--seeds`.
    out
        A new or empty directory for compare.json and rollout_error.png or learning_curves.png.
    target
        Of agents: the return to which steps are counted; the task's by default.
    """
    from .. import experiments

    if any(experiments.is_training(run) for run in runs):
        _compare_training([*runs], out, target)
        return
    if target is not None:
        raise experiments.UserError(
            f"`--target` was {target:g} for fits, which have no return; runs of `lagdyna "
            "train` have one"
        )
    rows = experiments.compare([*runs], out)
    table = Table(
        Column("run", no_wrap=True), *(Path(row["run"]).name for row in rows), box=None
    )
    names = {
        "model": "model",
        "learner": "learner",
        "loss": "loss",
        "weights": "weights",
        "seconds": "seconds",
        "one_step_qd": "one step, qd",
        "acceleration": "qdd",
        "torque": "force",
        "rollout_q": "rollout, q",
        "energy_drift": "energy drift",
    }
    for key, heading in names.items():
        table.add_row(heading, *(_cell(row[key]) for row in rows))
    console.print(table)
    _say(f"root mean square errors on validation data; rollouts of {_horizons(rows)}")
    if out is not None:
        _say(f"-> {out}")


@app.command
def reproduce(
    name: Name = None,
    /,
    *,
    seeds: Whole = None,
    quick: Annotated[bool, Parameter(negative="")] = False,
    tasks: Name = None,
    out: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Make an experiment of a paper again, its figures beside ours.

    Parameters
    ----------
    name
        Which one; without it, they are listed.
    seeds
        How many; 3 by default, 5 for das2026-learning-curves and ramesh2023-suite.
    quick
        A fraction of the work, which shows the tendency only.
    tasks
        For which tasks, as pendulum,acrobot, where a reproduction has several; all by
        default.
    out
        A directory for results.json and the pictures, new, empty, or one where the same
        was begun, to go on; the first free one in runs/ by default.
    """
    from .. import experiments

    known = experiments.REPRODUCTIONS
    if name is None:
        rows = [{"name": each.name, "title": each.title} for each in known.values()]
        _write(out, "reproductions.json", rows)
        table = Table("reproduction", "", box=None)
        for each in known.values():
            table.add_row(each.name, each.title)
        console.print(table)
        return
    if name not in known:
        raise experiments.UserError(f"`name` was {name!r}; accepted: {', '.join(known)}")
    if seeds is not None and seeds < 1:
        raise experiments.UserError(f"`seeds` was {seeds}: expected `int` >= 1")
    chosen = None if tasks is None else tasks.split(",")
    directory = out or experiments.reproduction_directory(name)
    _reproduced(
        lambda progress: experiments.reproduce(
            known[name],
            directory,
            seeds=seeds,
            quick=quick,
            tasks=chosen,
            progress=progress,
        ),
        directory,
    )


@app.command
def resume(run: Path, /) -> None:
    """Go on with an interrupted `train`, `fit` or `reproduce`, to the same end.

    Parameters
    ----------
    run
        The run's directory.
    """
    from .. import experiments
    from ._display import display, fit_progress

    if experiments.is_reproduction(run):
        _reproduced(
            lambda progress: experiments.resume_reproduction(
                experiments.REPRODUCTIONS, run, progress
            ),
            run,
        )
        return
    if experiments.is_fit(run):
        with fit_progress(console, None) as progress:
            report = _interruptible(lambda: experiments.resume_fit(run, progress=progress), run)
        _print_report(report, run)
        return
    if experiments.is_several(run):
        several = _interruptible(
            lambda: experiments.resume_seeds(run, progress=display(console)), run
        )
        _print_several(several, run)
        return
    summary = _interruptible(lambda: experiments.resume(run, progress=display(console)), run)
    _print_summary(summary, run)


def _compare_training(runs: list[Path], out: Path | None, target: float | None) -> None:
    from .. import experiments

    rows = experiments.compare_training([*runs], out, target)
    table = Table(
        Column("run", no_wrap=True), *(Path(row["run"]).name for row in rows), box=None
    )
    for key in ("agent", "model", "learner", "seeds", "env_steps"):
        table.add_row(key.replace("env_", ""), *(_cell(row[key]) for row in rows))
    for key, heading in (("return", "return"), ("steps_to_target", "steps to target")):
        table.add_row(
            heading, *(_with_interval(row[key], row[f"{key}_interval"]) for row in rows)
        )
    goal = rows[0]["target_return"]
    if goal is not None:
        table.add_row("reached it", *(f"{row['reached']} of {row['seeds']}" for row in rows))
    for key, heading in (("better_return", "higher return"), ("fewer_steps", "fewer steps")):
        cells = [
            "-" if found is None else _with_interval(found["probability"], _ends(found))
            for found in (row[key] for row in rows)
        ]
        table.add_row(f"P({heading})", *cells)
    console.print(table)
    _say(
        "interquartile means over seeds, 95 % bootstrap intervals; P, that a run does better "
        f"than one of {Path(rows[0]['run']).name}"
        + ("" if goal is None else f"; the target is a return of {goal:g}")
    )
    if out is not None:
        _say(f"-> {out}")


def _ends(found: dict[str, float | None]) -> list[float] | None:
    low, high = found["low"], found["high"]
    return None if low is None or high is None else [low, high]


def _with_interval(value: float | None, ends: list[float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" + ("" if ends is None else f" ({ends[0]:.4g} to {ends[1]:.4g})")


@app.command
def evaluate(
    run: Path,
    /,
    *,
    episodes: Whole = None,
    seed: Annotated[int, Parameter(converter=_whole)] = 0,
    out: Annotated[Path | None, Parameter(show_default=False)] = None,
    video: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Judge a run's policy on episodes that it has not seen.

    Parameters
    ----------
    run
        The run's directory.
    episodes
        How many; as many as in the run by default.
    seed
        Of their starts.
    out
        A new or empty directory for evaluation.json; evaluation-1, ... in the run's by
        default.
    video
        A new file that shows the first episode: .gif, or .mp4 and .webm with the extra
        lagdyna[video].
    """
    from .. import experiments

    result = experiments.evaluate(run, episodes=episodes, seed=seed, out=out, video=video)
    _say(
        f"{result['task']} after {result['env_steps']} steps: return "
        f"{result['return_mean']:.1f} ± {result['return_std']:.1f} "
        f"(from {result['return_min']:.1f} to {result['return_max']:.1f}) "
        f"over {result['eval_episodes']} episodes -> {result['out']}"
        + ("" if video is None else f", the first of them -> {video}")
    )


@app.command
def tasks(*, out: Annotated[Path | None, Parameter(show_default=False)] = None) -> None:
    """List the tasks that `lagdyna train` knows by name.

    Parameters
    ----------
    out
        A new or empty directory for tasks.json.
    """
    from ..tasks import TASKS

    rows = [
        {
            "name": name,
            "dt": task.dt,
            "repeat": task.repeat,
            "coordinates": [c.kind for c in task.coordinates],
            "actions": task.action_size,
            "target_return": task.target_return,
            "description": task.description,
        }
        for name, task in TASKS.items()
    ]
    _write(out, "tasks.json", rows)
    # A name is there to be copied, so it is never cut or wrapped: it has a line of its own.
    for row in rows:
        held = f", held for {row['repeat']} steps" if row["repeat"] > 1 else ""
        console.print(f"[bold]{row['name']}[/]  {row['description']}", soft_wrap=True)
        target = row["target_return"]
        facts = (
            ", ".join(row["coordinates"]),
            "1 action" if row["actions"] == 1 else f"{row['actions']} actions",
            f"dt {row['dt']:g} s{held}",
            *([] if target is None else [f"target {target:g}"]),
        )
        console.print(f"    [dim]{'; '.join(facts)}[/]", soft_wrap=True)
    _say("Any other Gymnasium environment with continuous actions: see the docs, 'Tasks'.")


@app.command
def solvers(*, out: Annotated[Path | None, Parameter(show_default=False)] = None) -> None:
    """List the solvers that `--solver` knows by name.

    Parameters
    ----------
    out
        A new or empty directory for solvers.json.
    """
    import diffrax

    from ..simulate import SOLVERS, get_solver

    rows = []
    for name in SOLVERS:
        solver = get_solver(name)
        term = diffrax.ODETerm(lambda t, y, args: y)
        rows.append(
            {
                "name": name,
                "order": solver.order(term),
                "adaptive": isinstance(solver, diffrax.AbstractAdaptiveSolver),
                "default": name == "heun",
            }
        )
    _write(out, "solvers.json", rows)
    table = Table("solver", "order", "adaptive steps", "", box=None)
    for row in rows:
        table.add_row(
            row["name"],
            str(row["order"]),
            "yes" if row["adaptive"] else "no",
            "default" if row["default"] else "",
        )
    console.print(table)


def main() -> None:
    """The `lagdyna` command. Exit codes: 0 done, 2 a user's mistake, 130 interrupted."""
    try:
        app(
            _settings(sys.argv[1:]),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        _fail(" ".join(str(error).split()))
    except ValueError as error:
        from ..experiments import UserError

        if not isinstance(error, UserError):
            raise
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _configured(
    convert: Callable[[dict[str, Any]], Any],
    config: Path | None,
    named: dict[str, Any],
    settings: list[str] | None,
) -> Any:
    """The config that a file and the command line describe together."""
    from .. import experiments

    table = {} if config is None else experiments.read_table(config)
    for key, value in named.items():
        if value is not None:
            experiments.override(table, key, value)
    for setting in settings or []:
        key, equals, text = setting.partition("=")
        if not equals:
            raise experiments.UserError(
                f"`set` was {setting!r}; SECTION.OPTION=VALUE is accepted"
            )
        experiments.override(table, key, experiments.parse_value(text))
    try:
        return convert(table)
    except experiments.UserError as error:
        raise error if config is None else experiments.UserError(f"{config}: {error}") from None


def _indices(text: str) -> Any:
    """`0,2` as a list; what is not one is left for the config to refuse."""
    words = text.split(",")
    return [int(word) for word in words] if all(w.isdecimal() for w in words) else text


def _settings(tokens: list[str]) -> list[str]:
    """`--agent.horizon 20` and `--agent.horizon=20` written as `--set agent.horizon=20`."""
    written, rest = [], iter(tokens)
    for token in rest:
        if re.fullmatch(r"--\w+(\.\w+)+", token):
            written += ["--set", f"{token[2:]}={next(rest, '')}"]
        elif re.fullmatch(r"--\w+(\.\w+)+=.*", token):
            written += ["--set", token[2:]]
        else:
            written.append(token)
    return written


def _reproduced(program: Callable[[Any], list[Any]], directory: Path) -> None:
    """Makes a reproduction, and prints its figures."""
    from ._display import parts_progress

    with parts_progress(console) as progress:
        entries = _interruptible(lambda: program(progress), directory)
    names = ("paper", "ours", "from", "to", "unit")
    figures = [Column(name, no_wrap=True) for name in names]
    table = Table(Column(overflow="fold"), *figures, box=None)
    for each in entries:
        found = (each.paper, each.ours, each.low, each.high)
        table.add_row(each.name, *map(_cell, found), each.unit)
    console.print(table)
    seeds = entries[0].seeds
    what = f"middle and range of {seeds} seeds" if seeds > 1 else "one seed"
    notes = {each.note for each in entries}
    note = notes.pop() if len(notes) == 1 else "results.json says what each figure is"
    _say(f"{what}; {note}")
    _say(f"-> {directory}: results.json and pictures")


def _interruptible(program: Callable[[], Outcome], directory: Path) -> Outcome:
    from ._interruption import insistent_interruption

    try:
        with insistent_interruption():
            return program()
    except KeyboardInterrupt:
        _say(f"interrupted; `lagdyna resume {directory}` goes on from what was finished")
        raise


def _print_summary(summary: dict[str, Any], directory: Path) -> None:
    reached = summary["steps_to_target"]
    target = summary["target_return"]
    if target is None:
        verdict = ""
    elif reached is None:
        verdict = f"; target {target:g} not reached"
    else:
        verdict = f"; target {target:g} reached after {reached} steps"
    _say(
        f"return {summary['return_mean']:.1f} ± {summary['return_std']:.1f} over "
        f"{summary['eval_episodes']} episodes after {summary['env_steps']} steps of "
        f"experience, {summary['wall_seconds']:.0f} s{verdict}"
    )
    drawn = ("learning_curve.png", "rollout.gif", "energy.png")
    there = [name for name in drawn if (directory / name).exists()]
    _say(f"the run is in {directory}: {', '.join(there)}, ...")


def _print_several(summary: dict[str, Any], directory: Path) -> None:
    count, interval = len(summary["seeds"]), summary["return_interval"]
    between = ""
    if interval is not None:
        between = f" (95 % from {interval[0]:.1f} to {interval[1]:.1f})"
    reached = [steps for steps in summary["steps_to_target"] if steps is not None]
    verdict = ""
    if summary["target_return"] is not None:
        verdict = f"; target {summary['target_return']:g} reached by {len(reached)} of {count}"
    _say(
        f"return {summary['return_interquartile_mean']:.1f}{between}, the interquartile mean "
        f"over {count} seeds after {summary['env_steps']} steps of experience, "
        f"{summary['wall_seconds']:.0f} s{verdict}"
    )
    _say(f"the runs are in {directory}: learning_curve.png, summary.json, seed-...")


def _print_report(report: dict[str, Any], directory: Path) -> None:
    validation = report["validation"]
    for note in report["notes"]:
        _say(f"note: {note}")
    parts = [f"one step q {_cell(validation['one_step']['q'])}"]
    parts.append(f"qd {_cell(validation['one_step']['qd'])}")
    if validation.get("acceleration") is not None:
        parts.append(f"qdd {_cell(validation['acceleration'])}")
    if validation["torque"] is not None:
        parts.append(f"force {_cell(validation['torque'])}")
    for each in report["parameters"] or []:
        _say(f"{each['name']}: {_cell(each['start'])} -> {_cell(each['fitted'])}")
    _say(
        f"{report['model']} by its {report['loss']} loss, {report['updates']} updates, "
        f"{report['seconds']:.0f} s; root mean square errors on "
        f"{validation['trajectories']} validation trajectories: {', '.join(parts)}"
    )
    calibration = report.get("calibration")
    if calibration is not None:
        levels, covered = (
            " ".join(f"{100 * x:.3g}" for x in calibration[name])
            for name in ("levels", "coverage")
        )
        _say(
            f"{levels} % intervals cover {covered} % of unseen data at a temperature of "
            f"{calibration['temperature']:.2g}"
        )
    _say(f"the run is in {directory}: report.json, learning_curve.png, phase.png, ...")


def _horizons(rows: list[dict[str, Any]]) -> str:
    return ", ".join(sorted({f"{row['rollout_seconds']:.3g} s" for row in rows}))


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_cell(each) for each in value)
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def _write(out: Path | None, name: str, value: Any) -> None:
    if out is not None:
        from ..experiments import new_directory, write_json

        write_json(new_directory(out) / name, value)


def _say(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _fail(message: str) -> None:
    errors = Console(stderr=True)
    errors.print(
        f"lagdyna: {message}", style="red", markup=False, highlight=False, soft_wrap=True
    )
    sys.exit(2)
