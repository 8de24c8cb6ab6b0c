"""Options of fits: each has an effect or is refused."""

from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.config import fit_config
from lagdyna.identification import FitState, fit_loop, fit_problem, initial_state
from lagdyna.identification._loop import Record
from lagdyna.identification._report import early_stop
from lagdyna.identification._state import learned_part
from lagdyna.learners import OneStepLoss, SubstepsLoss
from lagdyna.mechanics import Coordinates
from lagdyna.parts import (
    ConstrainedMLPConfig,
    DeLaNConfig,
    EKFConfig,
    ForwardLossConfig,
    HNNConfig,
    KnownConfig,
    LevenbergMarquardtConfig,
    MLPConfig,
    NeuralODEConfig,
    OneStepLossConfig,
    SGDConfig,
)
from lagdyna.runs import fit_model, load_fit
from lagdyna.simulate import AbstractSecondOrderField, SolvedTransition
from lagdyna.systems import Pendulum

from ..learners.recordings import loss_of
from .small import SHORT, fit_without_report, small

pytestmark = pytest.mark.usefixtures("no_pictures")


class SameBatch(SGDConfig, frozen=True, kw_only=True):
    """Learner of a user whose updates use the same rows."""

    same_batch: ClassVar[bool] = True


class Constant(AbstractSecondOrderField):
    """Field of a user, whose acceleration is the action."""

    def acceleration(self, t: Any, q: Any, qd: Any, action: Any) -> Any:
        return action


def fitted(config: Any) -> tuple[FitState, list[Record]]:
    """Run a fit without a directory."""
    problem = fit_problem(config)
    state = initial_state(problem.config, problem.plant)
    return fit_loop(problem, state, [], lambda state, records: None)


def test_defaults_depend_on_the_learner(file: Path) -> None:
    def sizes(learner: Any) -> tuple[Any, Any]:
        config = fit_problem(small(file, learner=learner)).config
        return config.learner.updates, config.learner.batch

    assert sizes("adam") == (10_000, 256)
    assert sizes("ekf") == (1000, 32)
    assert sizes("ukf") == (200, 32)
    assert sizes("levenberg-marquardt") == (200, 8192)
    assert sizes(EKFConfig(updates=7, batch=3)) == (7, 3)


def test_the_loss_depends_on_the_model(file: Path) -> None:
    for model, loss in (
        (DeLaNConfig(), "forward"),
        (NeuralODEConfig(), "forward"),
        (HNNConfig(), "one-step"),
        (MLPConfig(), "one-step"),
    ):
        assert fit_problem(small(file, model=model)).config.loss.name == loss


@pytest.mark.parametrize("learner", [LevenbergMarquardtConfig, SameBatch])
def test_a_learner_of_one_batch_gets_at_most_so_many_rows(file: Path, learner: Any) -> None:
    few, all_rows = (
        fit_problem(small(file, learner=learner(updates=2, batch=batch)))
        for batch in (50, None)
    )
    assert (few.batch, all_rows.batch) == (None, None)
    assert [len(jax.tree.leaves(each.training)[0]) for each in (few, all_rows)] == [50, 205]
    assert few.rows == all_rows.rows == 205
    assert fit_problem(small(file, learner=SHORT)).batch == 16


def test_least_squares_is_for_small_networks(file: Path, tmp_path: Path) -> None:
    learner = LevenbergMarquardtConfig(updates=15)
    with pytest.raises(UserError, match="levenberg-marquardt holds matrices of them"):
        fit_model(
            small(file, model=DeLaNConfig(hidden=(999, 999)), learner=learner), tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()
    config = small(file, model=DeLaNConfig(hidden=(12,)), learner=learner)
    fit_without_report(config, tmp_path / "run")
    fitted = load_fit(tmp_path / "run")
    assert fitted.records[-1]["loss"] < 0.1  # of all training data, in each update
    learner = fitted.config.learner
    assert (learner.updates, learner.batch) == (15, 8192)


def test_substeps_of_the_loss_differ_from_those_of_the_model(file: Path) -> None:
    own, finer = (
        fit_problem(small(file, loss=OneStepLossConfig(substeps=substeps)))
        for substeps in (None, 3)
    )
    assert isinstance(own.loss, OneStepLoss)
    assert isinstance(finer.loss, SubstepsLoss)
    assert finer.loss.substeps == 3
    assert finer.config.solver is not None
    assert finer.config.solver.substeps == 1
    transition = initial_state(own.config, own.plant).transition
    coarse, fine = (float(loss_of(x.loss, transition, x.training)) for x in (own, finer))
    assert coarse != fine


def test_the_norm_changes_the_loss(file: Path) -> None:
    learner = SGDConfig(updates=1, batch=8, rate=1e-12)
    squared, huber = (
        fitted(
            small(
                file,
                model=MLPConfig(hidden=(8,)),
                loss=OneStepLossConfig(norm=norm),
                learner=learner,
            )
        )[1][0]["validation_loss"]
        for norm in ("squared", "pseudo-huber")
    )
    assert squared != huber
    # A mean of distances is at most the root of the mean of their squares.
    assert 0.1 * np.sqrt(squared) < huber < 1.001 * np.sqrt(squared)


def test_weight_decay_shrinks_the_weights_and_ends(file: Path) -> None:
    def size(weight_decay: float, until: float) -> float:
        learner = SGDConfig(
            updates=20,
            batch=8,
            rate=1e-3,
            clip=1e-6,  # so that the gradient changes next to nothing
            weight_decay=weight_decay,
            weight_decay_until=until,
        )
        state, _ = fitted(small(file, model=MLPConfig(hidden=(8,)), learner=learner))
        weights = [x for x in jax.tree.leaves(state.transition) if getattr(x, "ndim", 0) == 2]
        return float(np.sum([np.sum(np.abs(weight)) for weight in weights]))

    assert size(300.0, 1.0) < size(300.0, 0.1) < 0.9 * size(0.0, 1.0)


def test_the_model_of_the_smallest_validation_loss_is_kept(file: Path) -> None:
    learner = SGDConfig(updates=20, batch=8, rate=3.0)  # too large, so that it gets worse
    problem = fit_problem(small(file, model=MLPConfig(hidden=(8,)), learner=learner))
    before = initial_state(problem.config, problem.plant)
    state, records = fit_loop(problem, before, [], lambda state, records: None)
    losses = {each["updates"]: each["validation_loss"] for each in records}
    losses[0] = float(eqx.filter_jit(problem.loss)(before.transition, problem.validation))
    finite = {updates: loss for updates, loss in losses.items() if loss is not None}
    # A later model counts if its loss is within a twentieth of the smallest before it.
    best = max(
        updates
        for updates, loss in finite.items()
        if loss <= 1.05 * min(x for earlier, x in finite.items() if earlier <= updates)
    )
    assert best < 20
    assert state.kept is not None
    assert int(state.kept.updates) == best
    again = eqx.filter_jit(problem.loss)(state.chosen, problem.validation)
    assert float(again) == pytest.approx(finite[best], rel=1e-5)
    assert any(f"after {best} of 20" in each or not best for each in early_stop(state, records))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"file": "nowhere.npz"}}, "nowhere.npz"),
        ({"data": {"angles": [1]}}, r"`data.angles` was \[1\]; the data have 1 coord"),
        ({"data": {"control": "action"}}, "`data.control` was 'action'.*pendulum.npz has"),
        ({"data": {"noise": 0.1}}, "`data.noise` was 0.1, and .*pendulum.npz has velocities"),
        ({"data": {"force": [[1.0]]}}, "`data.force` was given with `data.control` = 'tau'"),
        ({"data": {"validation": 1.0}}, "`data.validation` was 1.0"),
        ({"model": {"name": "delam"}}, "`model.name` was 'delam'; nearest: delan"),
        ({"model": {"name": "mlp"}, "loss": {"name": "forward"}}, "'mlp' has no accelerations"),
        (
            {"model": {"name": "neural-ode"}, "loss": {"name": "inverse"}},
            "`loss.name` was 'inverse'.*'neural-ode' has no inverse dynamics",
        ),
        ({"model": {"name": "mlp"}, "solver": {"name": "heun"}}, "'mlp'.* uses no solver"),
        ({"model": {"name": "mlp"}, "loss": {"name": "one-step", "substeps": 2}}, "no solver"),
        ({"solver": {"name": "hoin"}}, "'hoin'"),
        (
            {"model": {"name": "hnn"}, "solver": {"name": "variational_midpoint"}},
            "variational_midpoint needs the Lagrangian",
        ),
        (
            {"model": {"name": "constrained-mlp"}, "loss": {"name": "multi-step"}},
            "with the model 'constrained-mlp' one-step is accepted",
        ),
        (
            {"learner": {"name": "ekf"}, "loss": {"name": "one-step", "norm": "pseudo-huber"}},
            "ekf needs a sum of squares",
        ),
        ({"learner": {"updates": 0}}, "`learner.updates` was 0"),
        ({"learner": {"prior": 1.0}}, "`learner.prior` is no option of 'adam'"),
        ({"loss": {"name": "forward", "window": 4}}, "`loss.window` is no option of 'forward'"),
        ({"model": {"fixed": ["mass"]}}, "`model.fixed` is no option of 'delan'"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(
    file: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    table = {**changes, "data": {"file": str(file), "angles": "all", **changes.get("data", {})}}
    with pytest.raises(UserError, match=message) as raised:
        fit_model(fit_config(table), tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (DeLaNConfig(), "known", "`known` was given with the model 'delan'"),
        (DeLaNConfig(), "residual", "`residual` was given with the model 'delan'"),
        (KnownConfig(), "residual", "`residual` was given with the model 'known'"),
        (ConstrainedMLPConfig(), None, "needs `model.known`, or `model.residual`"),
    ],
)
def test_equations_that_the_model_cannot_use_are_refused(
    file: Path, tmp_path: Path, model: Any, given: str | None, message: str
) -> None:
    objects: dict[str, Any] = {"known": Pendulum.rod(), "residual": lambda *step: step[0].q}
    options = {} if given is None else {given: objects[given]}
    with pytest.raises(UserError, match=message):
        fit_model(small(file, model=model), tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "learner"),
    [
        ({}, "adam"),
        ({"model": "known"}, "levenberg-marquardt"),
        ({"model": "known", "learner": {"updates": 5}}, "levenberg-marquardt"),
        ({"model": "known", "learner": {"rate": 0.1}}, "adam"),
        ({"model": "known", "learner": "ekf"}, "ekf"),
        # It needs a sum of squares.
        ({"model": "known", "loss": {"name": "one-step", "norm": "pseudo-huber"}}, "adam"),
    ],
)
def test_the_usual_learner_is_that_of_the_model(options: dict[str, Any], learner: str) -> None:
    assert fit_config({"data": "a.npz", **options}).learner.name == learner


def test_a_field_of_a_user_without_accelerations_is_refused_by_their_loss() -> None:
    transition = SolvedTransition(Constant(), Coordinates((True,)), 0.05)
    assert learned_part(OneStepLossConfig(), transition) is transition
    with pytest.raises(UserError, match="`loss.name` was 'forward'.*`AccelerationField`"):
        learned_part(ForwardLossConfig(), transition)
