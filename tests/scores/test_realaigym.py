"""Scores of RealAIGym's leaderboard, compared with its own programs.

The reference numbers were computed with https://github.com/dfki-ric-underactuated-lab/
double_pendulum, commit 1e8544e67f. `realaigym.npz` has simulated trajectories with columns
`t, q1, q2, qd1, qd2, tau1, tau2`, the angles from hanging: an acrobot and a pendubot under the
leaderboard's own controller, and an acrobot under random torques, every tenth row of each.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.scores import (
    HeldController,
    Variation,
    realaigym_robustness,
    realaigym_score,
    realaigym_trajectory,
)
from lagdyna.scores._robustness import variations_of
from lagdyna.scores._simulate import as_controller, final_state

# Success, swing-up time, energy, torque cost, torque smoothness, velocity cost, score.
SCORES = {
    "random": (
        0.0,
        9.979999542236328,
        944.1208792462187,
        112.62750629285169,
        4.8889415399666145,
        20076.183354059234,
        0.0,
    ),
    "acrobot": (
        1.0,
        4.059999942779541,
        10.434792498307505,
        1.8854822936927607,
        0.08300147953965403,
        105.80922220442989,
        0.3961654591857581,
    ),
    "pendubot": (
        1.0,
        4.139999866485596,
        9.535017631123077,
        1.2521136393233276,
        0.04392315841095582,
        211.12303797290826,
        0.3923028464634424,
    ),
    # The acrobot's with 1 rad added to the first angle of the last 40 rows.
    "falls": (
        0.0,
        9.979999542236328,
        10.434792498307505,
        1.8854822936927607,
        0.08300147953965403,
        105.80922220442989,
        0.0,
    ),
}


def trajectory(name: str) -> tuple[np.ndarray, ...]:
    """A stored trajectory in lagdyna's coordinates."""
    with np.load(Path(__file__).parent / "realaigym.npz") as stored:
        rows = stored["acrobot" if name == "falls" else name]
    if name == "falls":
        rows[-40:, 1] += np.float32(1.0)
    t, x, tau = rows[:, 0].astype(float), rows[:, 1:5].astype(float), rows[:, 5:].astype(float)
    return t, x[:, :2] - np.asarray([np.pi, 0.0]), x[:, 2:], tau


@pytest.mark.parametrize("name", SCORES)
def test_the_score_is_the_leaderboards(name: str) -> None:
    t, q, qd, tau = trajectory(name)
    expected = SCORES[name]
    np.testing.assert_allclose(realaigym_score(t, q, qd, tau), expected, rtol=1e-9, atol=1e-9)
    wrapped = np.pi - np.mod(np.pi - q, 2 * np.pi)
    np.testing.assert_allclose(
        realaigym_score(t, wrapped, qd, tau), expected, rtol=1e-9, atol=1e-9
    )


def test_a_short_trajectory_is_no_success() -> None:
    t, q, qd, tau = trajectory("acrobot")
    score = realaigym_score(0.95 * t, q, qd, tau)
    assert (score.success, score.swing_up_time, score.score) == (False, float("inf"), 0.0)


def test_bad_trajectories_are_refused() -> None:
    t, q, qd, tau = trajectory("acrobot")
    with pytest.raises(ValueError, match=r"shapes .*three times \(rows, 2\)"):
        realaigym_score(t[:-1], q, qd, tau)
    with pytest.raises(ValueError, match="`qd` has numbers that are not finite"):
        realaigym_score(t, q, np.full_like(qd, np.nan), tau)
    with pytest.raises(ValueError, match="`t` does not increase"):
        realaigym_score(t[::-1], q, qd, tau)


# Last state after 300 steps, with the first angle from hanging, for the variations below and
# the controller of `feedback`.
FINAL = {
    "acrobot": {
        "nominal": (-4.177916156, 11.20351452, -21.29767176, 50.12744467),
        "rotor": (-3.577413575, 10.15206517, -8.306402344, 34.72609767),
        "moment0": (-3.647917313, 10.76974622, -14.39509616, 41.01152035),
        "moment1": (-4.27625897, 11.48281103, -23.2386758, 54.12817671),
        "mass": (-2.94987124, 9.947819394, 0.6807574375, 30.09131768),
        "inertia0": (-5.210699691, 12.34248422, -43.80713077, 89.03207314),
        "inertia1": (-4.869786989, 10.40004111, -19.52292663, 40.74233938),
        "viscous0": (-6.033171687, 13.19186847, -41.19085198, 83.57027689),
        "viscous1": (-2.332011575, 6.448092488, -11.05097765, 28.39443676),
        "coulomb0": (-2.919135949, 10.20294402, -4.229296298, 32.64392538),
        "coulomb1": (-4.782017235, 12.42510181, -37.51376312, 80.52446667),
        "response": (-3.912050059, 10.49312321, -13.99228185, 39.98744084),
        "overshoot": (-4.192959147, 11.24265064, -21.74716651, 50.88331169),
        "delay": (-4.302101544, 11.40687499, -24.17883327, 55.09622342),
        "push": (-5.634190562, 13.99188791, -25.85046318, 55.73272268),
    },
    "pendubot": {
        "nominal": (3.016537859, -2.011283357, 7.746110936, -0.05966150475),
        "rotor": (3.004282819, -2.057788581, 8.246975569, -0.4331192364),
        "moment0": (2.814784369, -1.966797917, 6.904553674, -0.302508026),
        "moment1": (3.333790547, -2.447758476, 11.19795736, -2.505501826),
        "mass": (2.286203276, -1.509328906, 4.100091407, 0.516970997),
        "inertia0": (3.143017765, -2.019935415, 8.088694384, -0.1293082883),
        "inertia1": (3.301314176, -2.430442011, 10.81598616, -2.425414866),
        "viscous0": (3.478808617, -2.063710893, 9.689297249, 0.8009981402),
        "viscous1": (2.332443025, -1.513764358, 5.807356393, -1.166813606),
        "coulomb0": (2.625943213, -1.945952362, 6.335185067, -0.1586819784),
        "coulomb1": (3.476528373, -2.287875273, 10.3201971, -0.2865473637),
        "response": (2.954214521, -2.022399675, 7.833109141, -0.0001122730971),
        "overshoot": (3.018940993, -2.010522977, 7.740115458, -0.06590821538),
        "delay": (3.148337569, -2.031113645, 8.190063743, 0.1352271043),
        "push": (3.40748486, -2.206670046, 9.410771448, -2.863667645),
    },
}


def variations() -> dict[str, Variation]:
    nominal = Variation()

    def one(x: Any, joint: int, value: float) -> np.ndarray:
        changed = np.array(x)
        changed[joint] = value
        return changed

    def scaled(x: Any, joint: int, factor: float) -> np.ndarray:
        return one(x, joint, factor * x[joint])

    changes: dict[str, dict[str, Any]] = {
        "nominal": {},
        "rotor": {"rotor": 7e-5},
        "moment0": {"moment": scaled(nominal.moment, 0, 1.2)},
        "moment1": {"moment": scaled(nominal.moment, 1, 0.8)},
        "mass": {"mass": 1.25 * nominal.mass, "moment": scaled(nominal.moment, 1, 1.25)},
        "inertia0": {"inertia": scaled(nominal.inertia, 0, 0.75)},
        "inertia1": {"inertia": scaled(nominal.inertia, 1, 1.25)},
        "viscous0": {"viscous": one(np.zeros(2), 0, -0.05)},
        "viscous1": {"viscous": one(np.zeros(2), 1, 0.1)},
        "coulomb0": {"coulomb": one(np.zeros(2), 0, 0.2)},
        "coulomb1": {"coulomb": one(np.zeros(2), 1, -0.1)},
        "response": {"response": 0.1},
        "overshoot": {"response": 1.905},
        "delay": {"delay": 12},
        "push": {
            "push_time": np.asarray([0.2, 0.4, 0.5]),
            "push_width": np.asarray([0.05, 0.08, 0.1]),
            "push_torque": np.asarray([3.0, -4.0, 2.0]),
        },
    }
    return {name: nominal._replace(**change) for name, change in changes.items()}


def feedback(t: Any, q: jax.Array, qd: jax.Array) -> jax.Array:
    """Torques on both joints; only that of the motor has an effect."""
    tau = 4 * jnp.sin(3 * t) + 0.4 * jnp.sin(q[1]) - 0.3 * jnp.cos(q[0])
    return jnp.full(2, tau - 0.1 * qd[0] - 0.05 * qd[1])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("robot", FINAL)
def test_variations_are_those_of_the_robustness_tests(robot: str) -> None:
    named = variations()
    stacked = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *named.values())
    controller, keys = as_controller(feedback), jax.random.split(jax.random.key(0), len(named))
    q, qd = jax.jit(jax.vmap(lambda v, key: final_state(robot, controller, v, key, 300)))(
        stacked, keys
    )
    found = np.concatenate([q + np.asarray([np.pi, 0.0]), qd], axis=1)
    for row, name in zip(found, named, strict=True):
        np.testing.assert_allclose(row, FINAL[robot][name], rtol=1e-8, err_msg=name)


def test_the_simulations_of_the_robustness_score_are_those_of_the_leaderboard() -> None:
    found = variations_of(np.random.default_rng(0))
    sizes = {name: len(part.delay) for name, part in found.items()}
    assert list(sizes.values()) == [210, 210, 210, 21, 21, 50]
    nominal = Variation()
    for name, low, high in (
        ("rotor", 0.0, 1e-4),
        ("mass", 0.75 * nominal.mass, 1.25 * nominal.mass),
        ("viscous", -0.1, 0.1),
        ("coulomb", -0.2, 0.2),
    ):
        values = getattr(found["model"], name)
        assert (values.min(), values.max()) == pytest.approx((low, high))
    model = found["model"]
    np.testing.assert_allclose(np.ptp(model.inertia, axis=0), 0.5 * nominal.inertia)
    # The centre of the outer link also stays where it is if its mass changes.
    with_mass = model.mass != nominal.mass
    np.testing.assert_allclose(
        model.moment[with_mass, 1] / model.mass[with_mass], nominal.moment[1] / nominal.mass
    )
    assert found["delay"].delay.tolist() == list(range(21))
    assert found["velocity_noise"].speed_noise.max() == 0.5
    assert found["torque_noise"].torque_noise.max() == 1.1
    assert found["torque_response"].response[[0, -1]].tolist() == [0.1, 2.0]
    pushes = found["perturbations"]
    assert np.all((pushes.push_time >= 1) & (pushes.push_time <= 9))
    assert np.all((np.abs(pushes.push_torque) >= 0.5) & (np.abs(pushes.push_torque) <= 5))


def test_torques_are_held_and_clipped() -> None:
    def huge(t: Any, q: jax.Array, qd: jax.Array) -> jax.Array:
        return jnp.stack([9 * jnp.cos(1000 * t), 3 * jnp.cos(1000 * t)])

    t, _, _, tau = realaigym_trajectory("pendubot", HeldController(huge, 4), steps=10)
    held = 9 * np.cos(1000 * t[[0, 0, 0, 0, 4, 4, 4, 4, 8, 8]])
    np.testing.assert_allclose(tau[:, 0], np.clip(held, -6, 6), rtol=1e-6)
    assert not tau[:, 1].any()
    np.testing.assert_allclose(t, 0.002 * np.arange(10))


def test_wrong_controllers_are_refused() -> None:
    for call in (realaigym_trajectory, realaigym_robustness):
        with pytest.raises(ValueError, match="`robot` was 'cartpole'; 'acrobot' and 'pend"):
            call("cartpole", feedback)
        with pytest.raises(ValueError, match=r"`controller` returned \(1,\).*shape \(2,\)"):
            call("acrobot", lambda t, q, qd: jnp.zeros(1))
    with pytest.raises(ValueError, match="`steps` must be at least 1, got 0"):
        realaigym_trajectory("acrobot", feedback, steps=0)
    with pytest.raises(ValueError, match="`batch` must be at least 1, got 0"):
        realaigym_robustness("acrobot", feedback, batch=0)
    with pytest.raises(ValueError, match="`steps` must be at least 1, got 0"):
        HeldController(feedback, 0)
