import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagdyna.data import (
    DataError,
    DegreesWarning,
    SplitWarning,
    Trajectory,
    TrajectorySet,
    recorded_experience,
    recorded_steps,
    recorded_windows,
    resample,
    split,
    split_at_gaps,
    warn_if_degrees,
)
from lagdyna.learners import InverseLoss, MultiStepLoss, accelerations, step_scale
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, State
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import Pendulum

from ..learners.recordings import loss_of

ANGLE = Coordinates((True,))
LINEAR = Coordinates((False,))
DT = 0.05


def sequence(rows, start=0.0, dt=DT, **arrays):
    t = start + dt * np.arange(rows)
    return Trajectory(t, t, qd=np.ones(rows), **arrays)


@functools.cache
def simulated(rows=40, dt=DT, seed=0):
    """Simulate a pendulum under random actions, with `qdd`, `tau` and wrapped angles."""
    system = MechanicalSystem(Pendulum.rod(), ANGLE, FixedActuation(((2.0,),)))
    transition = SolvedTransition(LagrangianField(system), ANGLE, dt, substeps=8)
    actions = np.random.default_rng(seed).uniform(-1, 1, (rows, 1)).astype(np.float32)
    actions[-1] = 0.0

    @jax.jit
    def moved(actions):
        states = rollout(transition, State(jnp.array([3.0]), jnp.array([1.0])), actions[:-1])
        return states, jax.vmap(system.forward_dynamics)(*states, actions)

    states, qdd = moved(actions)
    trajectory = Trajectory(
        dt * np.arange(rows),
        np.asarray(states.q),
        qd=np.asarray(states.qd),
        qdd=np.asarray(qdd),
        tau=2 * actions,
        action=actions,
    )
    return system, transition, TrajectorySet([trajectory])


def test_a_single_coordinate_may_be_one_dimensional():
    trajectory = Trajectory([0, 1], [3, 4])
    assert trajectory.q.tolist() == [[3], [4]]
    assert (trajectory.n, trajectory.m, trajectory.rows) == (1, 0, 2)
    assert list(trajectory.arrays) == ["t", "q"]


def test_a_trajectory_has_no_gaps():
    with pytest.raises(DataError, match=r"`q`, row 1: found nan; .*split_at_gaps"):
        Trajectory([0, 1, 2], [0, np.nan, 1])
    with pytest.raises(DataError, match="`action`, row 1: found nan"):
        Trajectory([0, 1, 2], [0, 1, 2], action=[0, np.nan, 1])
    assert np.isnan(Trajectory([0, 1, 2], [0, 1, 2], action=[0, 1, np.nan]).action[-1])


def test_trajectories_of_a_set_have_the_same_arrays():
    with pytest.raises(DataError, match="no trajectory; at least one"):
        TrajectorySet([])
    with pytest.raises(DataError, match=r"trajectory 1 has t \(1\), q \(1\), but"):
        TrajectorySet([sequence(3), Trajectory([0, 1], [0, 1])])


def test_gaps_split_a_recording():
    t = np.arange(20.0)
    q = t.copy()
    # A hole of less than six steps is bridged, a longer one is not.
    q[[0, 4, 10, 11, 12, 13, 14]] = np.nan
    t[6] = np.nan
    assert [x.q[:, 0].tolist() for x in split_at_gaps({"t": t, "q": q})] == [
        [1, 2, 3, 5, 7, 8, 9],
        [15, 16, 17, 18, 19],
    ]


def test_a_row_with_only_the_action_missing_ends_a_trajectory():
    action = [0, 1, np.nan, 3, np.nan]
    parts = split_at_gaps({"t": np.arange(5), "q": np.arange(5), "action": action})
    assert [x.q[:, 0].tolist() for x in parts] == [[0, 1, 2], [3, 4]]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=12))
def test_every_complete_step_is_in_exactly_one_trajectory(known):
    state, action = (np.array(x) for x in zip(*known, strict=True))
    t = np.arange(len(known))
    arrays = {
        "t": t,
        "q": np.where(state, t, np.nan),
        "action": np.where(action, 1.0, np.nan),
    }
    steps = [k for k in range(len(t) - 1) if state[k] and action[k] and state[k + 1]]
    try:
        parts = split_at_gaps(arrays)
    except DataError:
        assert len(steps) == 0
    else:
        found = [int(x) for part in parts for x in part.t[:-1]]
        assert len(found) == len(set(found))
        assert set(steps) <= set(found)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 30), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_split_partitions_trajectories(count, fraction, seed):
    trajectories = TrajectorySet([sequence(2, start=float(i)) for i in range(count)])
    parts = split(trajectories, fraction, seed=seed)
    again = split(trajectories, fraction, seed=seed)
    starts = [[float(x.t[0]) for x in part] for part in parts]
    assert starts == [[float(x.t[0]) for x in part] for part in again]
    assert sorted(starts[0] + starts[1]) == list(range(count))
    assert starts[0] == sorted(starts[0])
    assert len(starts[1]) == min(max(round(fraction * count), 1), count - 1)


def test_one_trajectory_is_cut_in_time():
    with pytest.warns(SplitWarning, match="cut in time into 10 pieces"):
        training, validation = split(TrajectorySet([sequence(100)]))
    assert (len(training), len(validation)) == (8, 2)
    assert training.rows + validation.rows == 100
    with pytest.warns(SplitWarning, match="2 pieces"):
        split(TrajectorySet([sequence(5)]))
    with pytest.raises(DataError, match="one trajectory of 3 rows cannot be split"):
        split(TrajectorySet([sequence(3)]))
    with pytest.raises(DataError, match="`validation` was 1"):
        split(TrajectorySet([sequence(100)]), 1.0)


def degrees_of(q, t=None):
    t = np.arange(len(q)) * 0.01 if t is None else t
    warn_if_degrees(TrajectorySet([Trajectory(t, q)]), ANGLE, "file")


S = np.arange(1000) * 0.01


@pytest.mark.parametrize(
    ("q", "reason"),
    [
        (40 * np.sin(3 * S), "swings, spans -40 to 40"),
        (np.round(60 * np.exp(-S)), "in whole numbers"),
        (200 * S % 360, "with steps of up to 35"),
        (400 * S, "with steps of up to 4"),
        (90 + 80 * np.sin(S * 2) + 0.5 * np.cos(777 * S), "swings"),
    ],
)
def test_degrees_are_suspected(q, reason):
    with pytest.warns(DegreesWarning, match=f"file: column q0 is an angle and .*{reason}"):
        degrees_of(q)


@pytest.mark.parametrize(
    "q",
    [
        3 * np.sin(3 * S),
        np.pi + 6 * np.sin(3 * S),
        (20 * S + np.pi) % (2 * np.pi) - np.pi,
        20 * S,
        -100 * S + 0.3 * np.sin(9 * S),
        np.where(S < 3, 20 * S, 60 - 20 * (S - 3)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_radians_are_not_suspected(q):
    degrees_of(q)


@pytest.mark.filterwarnings("error")
def test_linear_coordinates_are_never_suspected():
    t = np.arange(1000) * 0.01
    warn_if_degrees(TrajectorySet([Trajectory(t, 40 * np.sin(3 * t))]), LINEAR, "file")


def test_steps_keep_their_individual_durations():
    trajectories = TrajectorySet(
        [sequence(3, action=[0.1, 0.2, np.nan]), sequence(2, dt=0.2, action=[0.3, 0.4])]
    )
    experience, dt = recorded_steps(trajectories, LINEAR)
    np.testing.assert_allclose(dt, [0.05, 0.05, 0.2], rtol=1e-6)
    experience = jax.tree.map(np.asarray, experience)
    np.testing.assert_allclose(experience.action[:, 0], [0.1, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_allclose(
        experience.next_state.q[:, 0], experience.state.q[:, 0] + dt, rtol=1e-6
    )
    with pytest.raises(
        DataError, match=r"trajectory 1, row 0: found a step of 0.2 s, .*resample"
    ):
        recorded_experience(trajectories, LINEAR, DT)


def test_angles_are_wrapped_in_float64():
    t = DT * np.arange(3)
    trajectories = TrajectorySet([Trajectory(t, t + 2e6 * np.pi, qd=np.ones(3))])
    state = recorded_experience(trajectories, ANGLE, DT).state
    np.testing.assert_allclose(np.asarray(state.q)[:, 0], t[:2], atol=1e-7)


def test_control_defaults_to_what_was_recorded():
    free = TrajectorySet([sequence(3)])
    assert recorded_steps(free, LINEAR).experience.action.shape == (2, 0)
    forced = TrajectorySet([sequence(3, tau=[1, 2, 3])])
    assert recorded_steps(forced, LINEAR).experience.action.tolist() == [[1], [2]]
    with pytest.raises(DataError, match="no array `action`, found t, q, qd, tau"):
        recorded_steps(forced, LINEAR, control="action")
    with pytest.raises(DataError, match=r"no array `qd`; .*estimate_velocities"):
        recorded_steps(TrajectorySet([Trajectory([0, 1], [0, 1])]), LINEAR)
    with pytest.raises(DataError, match="`q` has 1 columns, but the system has 2"):
        recorded_steps(free, Coordinates((True, False)))


def test_windows_do_not_cross_trajectories():
    trajectories = TrajectorySet([sequence(6), sequence(3, start=9.0)])
    windows, mask = recorded_windows(trajectories, LINEAR, DT, 3)
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0], [1, 1, 0]]
    first = np.asarray(windows.state.q)[:, 0, 0]
    np.testing.assert_allclose(first, [0, 3 * DT, 9], rtol=1e-6)
    _, every = recorded_windows(trajectories, LINEAR, DT, 3, stride=1)
    assert every.shape == (7, 3)
    with pytest.raises(ValueError, match="must be at least 1"):
        recorded_windows(trajectories, LINEAR, DT, 0)


def test_losses_of_the_true_system_are_zero():
    system, transition, trajectories = simulated()
    windows = recorded_windows(trajectories, ANGLE, DT, 5)
    scale = step_scale(recorded_experience(trajectories, ANGLE, DT), ANGLE)
    assert loss_of(MultiStepLoss(scale), transition, tuple(windows)) < 1e-6
    for control, actuation in (("action", ((2.0,),)), ("tau", ((1.0,),))):
        data = accelerations(trajectories, ANGLE, control=control)
        model = MechanicalSystem(system.lagrangian, ANGLE, FixedActuation(actuation))
        assert loss_of(InverseLoss(jnp.ones(1)), model, data) < 1e-8
    without = TrajectorySet(
        [Trajectory(**{name: x for name, x in trajectories[0].arrays.items() if name != "qdd"})]
    )
    with pytest.raises(DataError, match=r"no array `qdd`; .*predicted by the solver"):
        accelerations(without, ANGLE)


def test_resampling_follows_the_motion():
    _, _, fine = simulated(rows=401, dt=0.005)
    coarse = TrajectorySet([Trajectory(**{k: x[::10] for k, x in fine[0].arrays.items()})])
    # The action also changes between coarse samples, so the interpolation is not exact.
    (again,) = resample(coarse, ANGLE, 0.005)
    assert again.rows == 401
    difference = jax.jit(ANGLE.difference)(again.q, fine[0].q)
    assert np.abs(difference).max() < 2e-3
    np.testing.assert_allclose(again.t, fine[0].t, atol=1e-9)


def test_resampling_keeps_the_impulse_of_actions():
    t = np.array([0, 0.1, 0.25, 0.4, 0.6])
    action = np.array([1.0, -1.0, 0.5, 0.2, np.nan])
    trajectories = TrajectorySet([Trajectory(t, t, qd=np.ones(5), action=action)])
    (coarse,) = resample(trajectories, LINEAR, 0.3)
    np.testing.assert_allclose(
        coarse.action[:2, 0] * 0.3, [0.1 - 0.15 + 0.025, 0.05 + 0.04], atol=1e-12
    )
    assert np.isnan(coarse.action[-1, 0])
    np.testing.assert_allclose(coarse.q, coarse.t[:, None])


def test_resampling_refuses_invalid_arguments():
    trajectories = TrajectorySet([sequence(3)])
    with pytest.raises(DataError, match="`dt` was 0"):
        resample(trajectories, LINEAR, 0.0)
    with pytest.raises(
        DataError, match=r"`dt` was 1.0, but the longest trajectory lasts 0.1 s"
    ):
        resample(trajectories, LINEAR, 1.0)
    with pytest.raises(DataError, match="the limit is 2 GiB"):
        resample(trajectories, LINEAR, 1e-12)
