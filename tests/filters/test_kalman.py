"""Extended Kalman filters: exact on linear models, robust on nonlinear ones."""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from lagdyna.filters import BlockCovariance, GainCovariance, KalmanLearner
from lagdyna.learners import fit

from ..helpers import normals
from ..learners.regressions import (
    Linear,
    Misfit,
    data,
    init,
    learned,
    linear,
    misfit,
    network,
    nonlinear,
    regression,
    split,
    update,
    with_missing,
)

BLOCKS = ("full", "layer", "node", "weight")


def one_output(covariance: Array) -> np.ndarray:
    """Select the covariance of the first output's weights."""
    chosen = [0, 1, 2, 6]
    return np.asarray(covariance)[0][np.ix_(chosen, chosen)]


# Equal parts, since every number of rows is another program.
@pytest.mark.parametrize("cuts", [(), (6,), tuple(range(1, 12))])
def test_full_filter_equals_bayesian_regression_for_any_split(
    cuts: tuple[int, ...], x64: None
) -> None:
    learner = KalmanLearner(Misfit(), prior=2.0, noise=0.3)
    model, state, _ = learned(learner, linear(), split(data(0), *cuts))
    mean, covariance = regression(data(0), 2.0, 0.3)
    np.testing.assert_allclose(model.matrix.T, mean[:-1], atol=1e-9)
    np.testing.assert_allclose(model.offset, mean[-1], atol=1e-9)
    np.testing.assert_allclose(one_output(state.belief.blocks[0]), covariance, atol=1e-9)


def test_fading_equals_least_squares_with_forgetting(x64: None) -> None:
    learner = KalmanLearner(Misfit(), prior=2.0, noise=0.3, fading=0.9)
    model, state, _ = learned(learner, linear(), split(data(1), *range(1, 12)))
    mean, covariance = regression(data(1), 2.0, 0.3, 0.9)
    np.testing.assert_allclose(model.matrix.T, mean[:-1], atol=1e-9)
    np.testing.assert_allclose(one_output(state.belief.blocks[0]), covariance, atol=1e-9)


def test_repeats_count_data_of_several_passes_once(x64: None) -> None:
    learner = KalmanLearner(Misfit(), prior=2.0, noise=0.3, repeats=5.0)
    model, state, _ = learned(learner, linear(), [data(2)] * 5)
    mean, covariance = regression(data(2), 2.0, 0.3)
    np.testing.assert_allclose(model.matrix.T, mean[:-1], atol=1e-9)
    np.testing.assert_allclose(one_output(state.belief.blocks[0]), covariance, atol=1e-9)


def test_iterations_do_not_change_a_linear_update(x64: None) -> None:
    once, again = (
        learned(
            KalmanLearner(Misfit(), prior=2.0, noise=0.3, iterations=i), linear(), [data(3)]
        )[0]
        for i in (1, 4)
    )
    np.testing.assert_allclose(once.matrix, again.matrix, atol=1e-10)


def test_log_evidence_equals_the_marginal_log_density(x64: None) -> None:
    learner = KalmanLearner(Misfit(), prior=2.0, noise=0.3)
    batch = data(4)
    _, _, metrics = learned(learner, linear(), [batch])
    x, y = (np.asarray(each) for each in batch)
    design = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    marginal = 4 * design @ design.T + 0.09 * np.eye(12)
    error = y - x @ np.asarray(linear().matrix).T
    sign, determinant = np.linalg.slogdet(2 * np.pi * marginal)
    assert sign > 0
    quadratic = np.sum(error * np.linalg.solve(marginal, error))
    expected = -0.5 * (2 * determinant + quadratic) / 24
    np.testing.assert_allclose(metrics["log_evidence"], expected, rtol=1e-9)


class Pair(eqx.Module):
    """Two independent linear maps with concatenated outputs."""

    first: Linear
    second: Linear

    def __call__(self, x: Array) -> Array:
        return jnp.concatenate([self.first(x), self.second(x)])


@pytest.mark.parametrize("blocks", ["layer", "node", "weight"])
def test_block_filters_equal_the_full_filter_for_independent_weights(
    blocks: str, x64: None
) -> None:
    """The data and the model are such that blocks are independent in the full filter.

    Each output has its own weights. `"node"` has no learned offset, and rows for `"weight"`
    have one nonzero input.
    """
    x = np.asarray(normals(0, 9, 3))
    if blocks == "weight":
        x = np.concatenate([np.diag(normals(0, 3))] * 3)
    y = x @ np.asarray(normals(5, 3, 4)) + 0.1 * np.asarray(normals(9, 9, 4))
    model = Pair(linear(), linear())
    if blocks != "layer":
        # An offset that is no array is not learned.
        model = eqx.tree_at(lambda m: (m.first.offset, m.second.offset), model, (0.0, 0.0))
    full, found = (
        learned(KalmanLearner(Misfit(), blocks=b, noise=0.3), model, split((x, y), 3, 6))
        for b in ("full", blocks)
    )
    np.testing.assert_allclose(found[0].first.matrix, full[0].first.matrix, atol=1e-9)
    np.testing.assert_allclose(found[0].second.matrix, full[0].second.matrix, atol=1e-9)
    sizes = {"layer": (1, 8, 8), "node": (2, 3, 3), "weight": (6, 1, 1)}[blocks]
    assert [p.shape for p in found[1].belief.blocks] == [sizes, sizes]


@pytest.mark.parametrize("changes", [{}, {"fading": 0.9}, {"process": 0.05}])
def test_low_rank_equals_the_full_filter_for_few_directions(
    changes: dict[str, float], x64: None
) -> None:
    """Two distinct inputs and two outputs span four of eight directions."""
    x = np.tile(normals(0, 2, 3), (6, 1))
    y = x @ np.asarray(normals(5, 3, 2)) + 0.1 * np.asarray(normals(9, 12, 2))
    full, low = (
        learned(
            KalmanLearner(Misfit(), noise=0.3, rank=rank, **changes), linear(), split((x, y), 6)
        )
        for rank in (None, 4)
    )
    np.testing.assert_allclose(low[0].matrix, full[0].matrix, atol=1e-9)
    np.testing.assert_allclose(low[2]["log_evidence"], full[2]["log_evidence"], atol=1e-9)
    (covariance,) = eqx.filter_jit(low[1].belief.times)((jnp.asarray(np.eye(8)[:, None]),))
    np.testing.assert_allclose(covariance[:, 0], full[1].belief.blocks[0][0], atol=1e-9)


@pytest.mark.parametrize(
    ("blocks", "iterations"),
    [("full", 1), ("full", 3), ("layer", 1), ("node", 1), ("weight", 1)],
)
def test_every_covariance_form_learns_a_network(blocks: str, iterations: int) -> None:
    learner = KalmanLearner(Misfit(), blocks=blocks, iterations=iterations)
    batches = [nonlinear(seed) for seed in range(40)]
    first = float(misfit(network(), nonlinear(99)))
    model, _, metrics = learned(learner, network(), batches)
    assert float(misfit(model, nonlinear(99))) < 0.3 * first
    assert float(metrics["skipped"]) == 0


@pytest.mark.parametrize("iterations", [1, 3])
def test_gains_are_the_covariance_of_a_full_block(iterations: int, x64: None) -> None:
    options: Any = {"prior": 2.0, "iterations": iterations}
    batches = [nonlinear(seed, 2) for seed in range(4)]
    errors = jax.tree.leaves(batches[0])[1].size
    block, gains = (
        learned(KalmanLearner(Misfit(), **options, batches=kept), network(), batches)
        for kept in (None, (len(batches), errors))
    )
    belief = gains[1].belief
    assert isinstance(belief, GainCovariance)
    assert isinstance(block[1].belief, BlockCovariance)
    for a, b in zip(jax.tree.leaves(block[0]), jax.tree.leaves(gains[0]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    np.testing.assert_allclose(block[2]["log_evidence"], gains[2]["log_evidence"], atol=1e-9)
    directions = (normals(0, 3, 1, belief.gains.shape[-1]),)
    for a, b in zip(belief.times(directions), block[1].belief.times(directions), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    key = jax.random.key(1)
    for a, b in zip(belief.deviation(key), block[1].belief.deviation(key), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_gains_are_kept_where_they_are_fewer_and_nothing_is_forgotten() -> None:
    weights = sum(leaf.size for leaf in jax.tree.leaves(network()))
    fewer, as_many = (1, weights - 1), (1, weights)

    def form(**options: Any) -> type:
        return type(init(KalmanLearner(Misfit(), **options), network()).belief)

    assert form(batches=fewer) is GainCovariance
    assert form(batches=as_many) is BlockCovariance
    for other in ({"process": 0.1}, {"fading": 0.9}, {"blocks": "layer"}):
        assert form(batches=fewer, **other) is BlockCovariance


def test_gains_without_space_replace_the_oldest(x64: None) -> None:
    learner = KalmanLearner(Misfit(), batches=(2, 4))
    batches = [nonlinear(seed, 2) for seed in range(3)]
    _, state, metrics = learned(learner, network(), batches)
    _, before, _ = learned(learner, network(), batches[:2])
    np.testing.assert_array_equal(state.belief.gains[1], before.belief.gains[1])
    assert np.any(state.belief.gains[0] != before.belief.gains[0])
    assert float(metrics["skipped"]) == 0
    with pytest.raises(ValueError, match="a batch had 6 errors; at most 4 are accepted"):
        learned(learner, network(), [nonlinear(0, 3)])
    with pytest.raises(ValueError, match="neither forgetting nor process noise"):
        state.belief.predicted(0.9, None)


def test_gains_of_several_seeds_are_mapped(x64: None) -> None:
    """Their numbers of batches differ."""
    batches = [nonlinear(seed, 2) for seed in range(2)]
    learner = KalmanLearner(Misfit(), batches=(2, 4))
    beliefs = [learned(learner, network(), batches[:count])[1].belief for count in (1, 2)]
    directions = (normals(0, 3, 1, beliefs[0].gains.shape[-1]),)
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *beliefs)
    (mapped,) = jax.vmap(lambda belief: belief.times(directions))(stacked)
    for found, belief in zip(mapped, beliefs, strict=True):
        np.testing.assert_allclose(found, belief.times(directions)[0], atol=1e-12)


def test_gains_stay_positive_in_float32() -> None:
    """Updates on the same four rows, known to a thousandth."""
    learner = KalmanLearner(Misfit(), prior=10.0, noise=1e-3, batches=(8, 4))
    model, state, metrics = learned(learner, network(), [nonlinear(0, 2)] * 8)
    assert float(metrics["skipped"]) == 0
    assert np.isfinite(np.concatenate([np.ravel(x) for x in jax.tree.leaves(model)])).all()
    assert np.isfinite(state.belief.deviation(jax.random.key(0))[0]).all()


class Cubic(eqx.Module):
    """Model `w^3 x`, whose slope vanishes at 0."""

    w: Array

    def __call__(self, x: Array) -> Array:
        return self.w**3 * x


class Logarithm(eqx.Module):
    """Model `log(w) x`, which is `nan` after too long a step."""

    w: Array

    def __call__(self, x: Array) -> Array:
        return jnp.log(self.w) * x


@pytest.mark.parametrize("kind", [{"iterations": 1}, {"iterations": 3}, {"rank": 1}])
def test_a_step_to_non_finite_errors_is_rejected(kind: dict, x64: None) -> None:
    learner = KalmanLearner(Misfit(), prior=10.0, noise=0.1, **kind)
    model = Logarithm(jnp.asarray([0.1]))
    state = init(learner, model)
    batch = (jnp.asarray([[1.0]]), jnp.asarray([[-5.0]]))
    for _ in range(200):
        model, state, metrics = update(learner, model, state, batch)
        assert float(metrics["skipped"]) == 0
    assert np.log(np.asarray(model.w).item()) == pytest.approx(-5.0, abs=0.1)


def test_an_update_without_an_acceptable_step_is_skipped(x64: None) -> None:
    """The errors are finite at the mean and `nan` everywhere else."""

    class Island(eqx.Module):
        w: Array

        def __call__(self, x: Array) -> Array:
            return jnp.where(self.w == 0, self.w + x, jnp.nan)

    learner = KalmanLearner(Misfit(), prior=1.0, noise=0.1)
    model = Island(jnp.asarray([0.0]))
    state = init(learner, model)
    batch = (jnp.asarray([[1.0]]), jnp.asarray([[3.0]]))
    after, kept, metrics = update(learner, model, state, batch)
    assert float(metrics["skipped"]) == 1
    assert np.asarray(after.w).item() == 0
    np.testing.assert_array_equal(kept.belief.blocks[0], state.belief.blocks[0])


@pytest.mark.parametrize("iterations", [1, 3])
def test_a_step_that_increases_the_errors_is_rejected(iterations: int, x64: None) -> None:
    """At 0.1, the linearisation predicts an output of 8 at 267, where it is 19 million."""
    learner = KalmanLearner(Misfit(), prior=10.0, noise=0.1, iterations=iterations)
    model = Cubic(jnp.asarray([0.1]))
    batch = (jnp.asarray([[1.0]]), jnp.asarray([[8.0]]))
    state = init(learner, model)
    errors = []
    for _ in range(400):
        model, state, metrics = update(learner, model, state, batch)
        errors.append(float(metrics["loss"]))
    assert all(after <= before * 1.01 for before, after in itertools.pairwise(errors))
    assert np.asarray(model.w).item() == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("blocks", ["full", "node"])
@pytest.mark.parametrize("steps", [25_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_covariance_stays_symmetric_positive_definite_in_float32(
    blocks: str, steps: int
) -> None:
    """Updates on the same data."""
    learner = KalmanLearner(Misfit(), blocks=blocks, prior=10.0, noise=1e-3)
    fitted = fit(
        network(),
        learner,
        nonlinear(0, 64),
        key=jax.random.key(0),
        steps=steps,
        batch_size=4,
    )
    assert not np.any(fitted.metrics["skipped"])
    for covariance in fitted.state.belief.blocks:
        matrices = np.asarray(covariance, np.float64)
        np.testing.assert_array_equal(matrices, np.swapaxes(matrices, -1, -2))
        assert np.linalg.eigvalsh(matrices).min() > 0


def test_missing_entries_have_no_effect(x64: None) -> None:
    x, y = data(6)
    learner = KalmanLearner(Misfit(), prior=2.0, noise=0.3)
    without, _, _ = learned(learner, linear(), split((x, y), 8)[:1])
    with_gaps, _, metrics = learned(learner, linear(), [(x, with_missing(y, slice(8, None)))])
    np.testing.assert_allclose(with_gaps.matrix, without.matrix, atol=1e-12)
    assert float(metrics["skipped"]) == 0
    # A missing output does not affect the other output.
    half, _, _ = learned(learner, linear(), [(x, with_missing(y, slice(None), 1))])
    whole, _, _ = learned(learner, linear(), [(x, y)])
    np.testing.assert_allclose(half.matrix[0], whole.matrix[0], atol=1e-12)
    np.testing.assert_array_equal(half.matrix[1], linear().matrix[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prior": 0.0}, "`prior` must be positive, got 0.0"),
        ({"noise": -1.0}, "`noise` must be positive"),
        ({"process": -1.0}, "`process` must not be negative"),
        ({"fading": 1.5}, "`fading` must be above 0 and at most 1, got 1.5"),
        ({"iterations": 0}, "`iterations` must be positive, got 0"),
    ],
)
def test_invalid_options_raise_by_name(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KalmanLearner(Misfit(), **wrong)
