import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.mechanics import Coordinates
from lagdyna.models import DeLaN

from ..helpers import built, close, normals, randomised, shape_of

MIXED = Coordinates((True, False, True))
KEY = jax.random.key(0)
MODEL = shape_of(DeLaN, MIXED, hidden=(8, 8), min_diagonal=0.01)


@eqx.filter_jit
def parts(model: DeLaN, q: jax.Array):
    """Compute `F`, `M` and `V`."""
    mass = model.mass_matrix(q, jnp.zeros_like(q))
    return model.mass_factor(q), mass, model.potential_energy(q)


@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 1.0))
def test_mass_matrix_is_symmetric_positive_definite(seed, scale, x64):
    _, mass, _ = parts(randomised(MODEL, seed, scale), normals(seed, 3))
    np.testing.assert_array_equal(mass, mass.T)
    assert np.linalg.eigvalsh(mass).min() > 0


# For matrices too ill-conditioned for eigenvalues, check the factor instead: a triangular
# matrix with a positive diagonal is a Cholesky factor.
@given(seed=st.integers(0, 10_000), scale=st.floats(1, 1000))
def test_mass_factor_is_a_cholesky_factor_for_all_weights(seed, scale, tolerance):
    factor, _, _ = parts(randomised(MODEL, seed, scale), 3 * normals(seed, 3))
    assert np.isfinite(factor).all()
    np.testing.assert_array_equal(np.tril(factor, -1), 0)
    assert np.diag(factor).min() >= np.asarray(0.01, factor.dtype)


def test_each_entry_of_the_mass_factor_depends_on_its_own_output(x64):
    # A change of each output must change exactly one entry of the upper triangle.
    bias = lambda m: m.factor_network.layers[-1].bias  # noqa: E731
    q = normals(0, 3)
    model = randomised(MODEL, 0, 0.3)
    slopes = jax.jit(jax.jacobian(lambda b: eqx.tree_at(bias, model, b).mass_factor(q)))(
        bias(model)
    )
    touched = np.argwhere(np.asarray(slopes) != 0)
    assert sorted(map(tuple, touched[:, :2])) == sorted(zip(*np.triu_indices(3), strict=True))
    assert sorted(touched[:, 2]) == list(range(6))


@given(seed=st.integers(0, 10_000), turns=st.tuples(*[st.integers(-3, 3)] * 2))
def test_model_is_periodic_in_its_angles(seed, turns, x64):
    model, q = randomised(MODEL, seed, 0.5), normals(seed, 3)
    turned = q + 2 * np.pi * np.asarray([turns[0], 0, turns[1]])
    close(parts(model, turned), parts(model, q), 1e-11)


def test_model_is_not_periodic_in_a_linear_coordinate(x64):
    model, q = randomised(MODEL, 1, 0.5), normals(1, 3)
    _, mass, potential = parts(model, q)
    _, moved_mass, moved_potential = parts(model, q + jnp.asarray([0, 2 * np.pi, 0]))
    assert np.abs(moved_mass - mass).max() > 1e-2
    assert abs(moved_potential - potential) > 1e-2


@pytest.mark.parametrize("mass", [2.0, (0.5, 3.0, 20.0)])
def test_untrained_mass_is_close_to_initial_mass(mass):
    for seed in range(3):
        key = jax.random.key(seed)
        model = built(DeLaN, MIXED, initial_mass=mass, hidden=(8,), key=key)
        _, got, _ = parts(model, normals(seed, 3))
        ratio = np.diag(got) / mass
        assert ((ratio > 0.3) & (ratio < 3)).all()


@pytest.mark.parametrize("mass", [1e-3, 1.0, 1e8])
def test_initial_mass_is_exact_for_zero_network_outputs(mass):
    silent = randomised(shape_of(DeLaN, MIXED, initial_mass=mass, hidden=(8,)), 0, scale=0.0)
    close(parts(silent, normals(0, 3))[1] / mass, np.eye(3), 1e-4)


def test_a_model_without_hidden_layers_works():
    factor, _, _ = parts(built(DeLaN, MIXED, hidden=(), key=KEY), normals(0, 3))
    assert np.diag(factor).min() > 0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"hidden": (8, 0)}, "`hidden`"),
        ({"min_diagonal": 0.0}, "`min_diagonal`"),
        ({"initial_mass": -1.0}, "`initial_mass`"),
        ({"initial_mass": (1.0, 0.0, 1.0)}, "`initial_mass`"),
        ({"initial_mass": (1.0, 2.0)}, "`initial_mass`"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(wrong, named):
    with pytest.raises(ValueError, match=named):
        DeLaN(MIXED, **wrong, key=KEY)
