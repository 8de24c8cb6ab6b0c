"""Study of a sweep: trials in one file, which several processes share."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import UserError
from ..options import check_unchanged, table_of
from ..results import InUse, locked
from ..statistics import interquartile_mean, interval
from ._checks import check_journal, check_results, own_directory
from ._config import SweepConfig
from ._extra import check_installed
from ._space import Choices, grid_point
from ._trials import Trial, Trials, write_trials

if TYPE_CHECKING:
    import optuna

STUDY = "study.journal"
CLAIMS = "claims"
_NAME = "sweep"
_PATIENCE = 60.0  # seconds until a process that holds the sweep's lock counts as stuck
_STATES = {
    "WAITING": "waiting",
    "RUNNING": "running",
    "COMPLETE": "finished",
    "PRUNED": "pruned",
    "FAIL": "failed",
}
# What workers get may change between two calls, and trials may be added.
_FREE = ("trials", "slurm", "local")


class Pruned(Exception):
    """Trial that ends early, since it does worse than others."""


class Claim:
    """Trial that this process works on; no other one does until it is given back.

    **Attributes:** `number`; `options`, by their dotted names; `directory`, of its runs;
    `begun`, whether another process had begun it.
    """

    def __init__(self, study: "Study", trial: "optuna.trial.Trial", begun: bool):
        self._study, self._trial, self.begun = study, trial, begun
        self.number = trial.number
        self.options = study.options_of(trial)
        self.directory = study.directory / f"trial-{trial.number}"

    def report(self, rounds: int, value: float) -> None:
        """Report the objective after a number of rounds.

        **Raises:** `Pruned` if the trial should end.
        """
        if np.isfinite(value):
            self._trial.report(value, rounds)
            if self._trial.should_prune():
                raise Pruned

    def finish(self, values: tuple[float, ...], seconds: float) -> None:
        """Keep the results of a trial: one value of each seed."""
        found = np.asarray(values, float)
        if not np.isfinite(found).all():
            self.fail(f"its results are not finite: {', '.join(f'{x:g}' for x in found)}")
            return
        self._trial.set_user_attr("values", found.tolist())
        self._trial.set_user_attr("interval", interval(found))
        self._trial.set_user_attr("seconds", seconds)
        self._study.tell(self._trial, interquartile_mean(found))

    def prune(self, seconds: float) -> None:
        """Mark the trial as one that ended early."""
        self._trial.set_user_attr("seconds", seconds)
        self._study.tell(self._trial, state="PRUNED")

    def fail(self, reason: str) -> None:
        """Mark the trial as failed."""
        self._trial.set_user_attr("reason", reason)
        self._study.tell(self._trial, state="FAIL")


class Study:
    """Trials of a sweep in a journal file of Optuna's.

    A process claims a trial by the lock of a directory, which the operating system frees when
    the process is killed. So a trial that is running, and whose lock is free, was interrupted.

    **Arguments:** `directory`, of the sweep; `config`, of the sweep; `trust`, whether the
    config names Python code, which may be run.

    **Raises:** `UserError` if Optuna is not installed, or the study is damaged or of another
    config.
    """

    def __init__(self, directory: Path, config: SweepConfig, trust: bool = False):
        check_installed("optuna", "a sweep")
        import optuna

        from ._journal import Journal

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.directory, self.config, self.trust = directory, config, trust
        self._maximise = config.train is not None
        path = directory / STUDY
        try:
            with locked_list(directory):
                check_journal(path)
                self._storage = optuna.storages.JournalStorage(
                    Journal(path, directory / CLAIMS / "journal")
                )
                self._begin()
                self._check_config()
                check_results(directory, self.trials())
        except UserError:
            raise
        # Optuna raises many kinds of exceptions for a damaged journal.
        except Exception as error:
            raise UserError(
                f"{str(path)!r} is damaged or cannot be read ({type(error).__name__}: {error})"
                "; restore it, or begin the sweep in a new directory"
            ) from error

    def add_trials(self) -> None:
        """Add waiting trials until there are as many as the config wants."""
        wanted = self.config.trials or 0
        with locked_list(self.directory):
            study = self._study()
            for number in range(len(self._all()), wanted):
                labels = {}
                if self.config.sampler == "grid":
                    labels = self._labels(grid_point(self.config.dimensions, number))
                study.enqueue_trial(labels)
        self.write_list()

    @contextmanager
    def claimed(self) -> Iterator[Claim | None]:
        """Claim a trial that was interrupted, else one that is waiting.

        **Returns:** a context manager that gives the trial, or `None` if other processes work
        on all that are left. At its end the trial is given back.
        """
        import optuna

        states = optuna.trial.TrialState
        left = [*self._all(states.RUNNING), *self._all(states.WAITING)]
        for each in left:
            with ExitStack() as stack:
                folder = self.directory / CLAIMS / f"trial-{each.number}"
                try:
                    stack.enter_context(locked(own_directory(folder)))
                except InUse:
                    continue
                now = self._storage.get_trial(each._trial_id).state  # since the lock is ours
                if now.is_finished():
                    continue
                begun = now != states.WAITING
                if not begun:
                    self._storage.set_trial_state_values(each._trial_id, states.RUNNING)
                study = self._study(each.number)
                yield Claim(self, optuna.trial.Trial(study, each._trial_id), begun)
                return
        yield None

    def options_of(self, trial: "optuna.trial.Trial") -> dict[str, Any]:
        """Draw the options of a trial; those that it was given before are the same again."""
        found: dict[str, Any] = {}
        for name, each in self.config.dimensions.items():
            if isinstance(each, Choices):
                label: Any = trial.suggest_categorical(name, each.labels)
                found[name] = each.values[each.labels.index(label)]
            elif each.integer:
                ends = int(each.low), int(each.high)
                found[name] = trial.suggest_int(name, *ends, log=each.log)
            else:
                found[name] = trial.suggest_float(name, each.low, each.high, log=each.log)
        return found

    def tell(
        self, trial: "optuna.trial.Trial", value: float | None = None, state: str = "COMPLETE"
    ) -> None:
        """Finish a trial."""
        import optuna

        trial.study.tell(trial, value, state=optuna.trial.TrialState[state])

    def trials(self) -> Trials:
        """List all trials."""
        what = "return" if self._maximise else self.config.error
        return Trials(
            task=self.config.task,
            objective=what,
            maximise=self._maximise,
            seeds=self.config.seeds,
            trials=tuple(self._row(each) for each in self._all()),
        )

    def write_list(self) -> None:
        """Write `sweep.json`."""
        with locked_list(self.directory):
            write_trials(self.directory, self.trials())

    def _found(self) -> int | None:
        try:
            return self._storage.get_study_id_from_name(_NAME)
        except KeyError:
            return None

    def _begin(self) -> None:
        """Create the study, unless another process has been faster."""
        import optuna

        self._id = self._found()
        if self._id is None:
            directions = optuna.study.StudyDirection
            direction = directions.MAXIMIZE if self._maximise else directions.MINIMIZE
            self._id = self._storage.create_new_study([direction], _NAME)
        if "config" not in self._storage.get_study_user_attrs(self._id):
            self._storage.set_study_user_attr(self._id, "config", fixed_part(self.config))

    def _check_config(self) -> None:
        """Refuse another config, and take the order of the options of the beginning.

        Draws and the points of a grid depend on it, and files of TOML may change it.
        """
        found = self._storage.get_study_user_attrs(self._id or 0).get("config", {})
        check_unchanged(str(self.directory), found, fixed_part(self.config))
        space = {name: self.config.space[name] for name in found["space"]}
        self.config = replace(self.config, space=space)

    def _study(self, number: int = 0) -> "optuna.Study":
        """Load the study with a sampler whose draws depend on the number of the trial alone."""
        import optuna

        seed = int(np.random.SeedSequence([self.config.seed, number]).generate_state(1)[0])
        if self.config.sampler == "tpe":
            sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        else:
            sampler = optuna.samplers.RandomSampler(seed=seed)
        return optuna.load_study(
            study_name=_NAME, storage=self._storage, sampler=sampler, pruner=self._pruner()
        )

    def _pruner(self) -> "optuna.pruners.BasePruner":
        import optuna

        config = self.config
        if config.pruner == "median":
            # Rounds count from 1.
            return optuna.pruners.MedianPruner(config.startup, n_warmup_steps=config.warmup)
        if config.pruner == "halving":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=config.warmup)
        return optuna.pruners.NopPruner()

    def _all(self, *states: "optuna.trial.TrialState") -> "list[optuna.trial.FrozenTrial]":
        return self._storage.get_all_trials(self._id or 0, states=states or None)

    def _labels(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Write the options of a point of a grid as a study names them."""
        found = {}
        for name, each in self.config.dimensions.items():
            assert isinstance(each, Choices)
            found[name] = each.labels[each.values.index(options[name])]
        return found

    def _row(self, trial: "optuna.trial.FrozenTrial") -> Trial:
        about, options = trial.user_attrs, {}
        for name, each in self.config.dimensions.items():
            if name in trial.params:
                value = trial.params[name]
                chosen = isinstance(each, Choices)
                options[name] = each.values[each.labels.index(value)] if chosen else value
        ends = about.get("interval")
        return Trial(
            number=trial.number,
            state=_STATES[trial.state.name],  # pyright: ignore[reportArgumentType]
            options=options,
            objective=trial.value,
            interval=None if ends is None else (ends[0], ends[1]),
            values=tuple(about.get("values", ())),
            rounds=max(trial.intermediate_values, default=0),
            seconds=about.get("seconds"),
            reason=about.get("reason"),
        )


@contextmanager
def locked_list(directory: Path) -> Iterator[None]:
    """Lock what processes of a sweep write together; waits for other processes.

    Files beside it that a killed process left half written are removed.

    **Arguments:** `directory`, of the sweep.
    """
    # Of a directory of its own, since locking one removes such files in all of it.
    with locked(own_directory(directory / CLAIMS / "sweep"), patience=_PATIENCE):
        for path in directory.glob(".lagdyna-*"):
            with suppress(OSError):
                path.unlink()
        yield


def fixed_part(config: SweepConfig) -> dict[str, Any]:
    """Make a table of the options of a sweep that must stay as they were."""
    table = {name: each for name, each in table_of(config).items() if name not in _FREE}
    return json.loads(json.dumps(table, default=str))
