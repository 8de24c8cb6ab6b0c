"""Swing a pole up by a model that was fitted to nine seconds of its motion.

Run `python examples/plan_a_swing_up.py`.

A simulated cart with a pole stands for the machine. It has friction, and its positions are
recorded with noise. The script fits wrong guesses of its parameters to the recording. With the
fitted model alone it plans a swing-up and designs a tracker and MPC. Both then drive the
simulated machine, beside those that were designed with the true equations.
"""

import argparse
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import lagdyna
from lagdyna import State
from lagdyna.config import DataConfig
from lagdyna.control import (
    ILQR,
    LQR,
    MPC,
    AbstractController,
    ActionBox,
    GoalCost,
    Tracker,
    closed_loop,
    find_equilibrium,
    region_of_attraction,
)
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, ViscousDissipation
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import PlanarChain

DT, FORCE = 0.02, 10.0  # s, and N of an action of 1
COORDINATES = Coordinates((False, True))
HANGING = State(jnp.asarray([0.0, jnp.pi]), jnp.zeros(2))
BOX = ActionBox.unit(1)


# --8<-- [start:system]
def cart_pole(cart: float, pole: float, friction: tuple[float, float]) -> MechanicalSystem:
    """Create a cart with a rod of 0.6 m from masses (kg) and viscous friction."""
    body = PlanarChain.rods(1, mass=pole, length=0.6, gravity=9.81, cart_mass=cart)
    motor = FixedActuation(((FORCE,), (0.0,)))
    return MechanicalSystem(body, COORDINATES, motor, ViscousDissipation(jnp.asarray(friction)))


truth = cart_pole(cart=1.0, pole=0.3, friction=(0.4, 0.01))
guess = cart_pole(cart=1.5, pole=0.2, friction=(0.1, 0.001))
machine = SolvedTransition(LagrangianField(truth), COORDINATES, DT, solver="tsit5", substeps=2)
# --8<-- [end:system]


def record(file: Path) -> None:
    """Write three motions of 3 s: positions with noise of 1 mm and 2 mrad, and actions."""
    random = np.random.default_rng(0)
    t, motions = DT * np.arange(151), []
    for _ in range(3):
        size, turns = random.uniform((0.15, 0.7), (0.35, 2.0), (3, 2)).T[:, :, None]
        waves = size * np.sin(2 * np.pi * turns * t + random.uniform(0, 6, (3, 1)))
        action = np.clip(waves.sum(0), -1, 1)[:, None]
        start = State(jnp.asarray([0.0, random.uniform(1.5, 4.5)]), jnp.zeros(2))
        states = eqx.filter_jit(rollout)(machine, start, jnp.asarray(action[:-1], float))
        q = np.array(states.q, float)
        q[:, 1] = np.unwrap(q[:, 1])
        q += random.normal(size=q.shape) * (0.001, 0.002)
        motions.append(Trajectory(t, q, action=action))
    write(file, TrajectorySet(motions), overwrite=True)


def fitted(out: Path) -> MechanicalSystem:
    """Record the machine, fit the guess, and return the fitted system."""
    # --8<-- [start:fit]
    record(out / "cart_pole.npz")
    config = lagdyna.FitConfig(
        data=DataConfig(file=str(out / "cart_pole.npz"), angles=(1,)),
        model=lagdyna.parts.KnownConfig(fixed=("gravity", "length", "centre")),
        loss="multi-step",
    )
    lagdyna.fit_model(config, out / "run", known=guess)
    model = lagdyna.load_fit(out / "run", known=guess).model
    # --8<-- [end:fit]
    for name, system in (("true", truth), ("guess", guess), ("fit", model.system)):
        body, viscous = system.lagrangian, system.dissipation
        assert isinstance(body, PlanarChain)
        assert isinstance(viscous, ViscousDissipation)
        friction = viscous.coefficients
        masses = f"cart {body.cart_mass:.3f} kg, pole {body.mass[0]:.3f} kg"
        print(f"{name + ':':6} {masses}, friction {friction[0]:.3f}, {friction[1]:.4f}")
    return model.system


# --8<-- [start:plan]
def designed(system: MechanicalSystem) -> dict[str, AbstractController]:
    """Plan a swing-up of 2.5 s with a model, and design a tracker and MPC."""
    # Arrays of one type, so that what is compiled for the first model serves the second.
    system = jax.tree.map(lambda x: jnp.asarray(x, x.dtype), system)
    model = SolvedTransition(LagrangianField(system), COORDINATES, DT)
    upright = find_equilibrium(model, [0.0, 0.0], BOX)
    lqr = LQR.design(model, upright, BOX)
    cost = GoalCost(upright, COORDINATES, state_weights=0.01, final_weights=100.0)
    plan = ILQR(BOX).search(model, cost, HANGING, 125, key=jax.random.key(0), restarts=4)
    plan.require_converged()
    region = region_of_attraction(model, lqr, key=jax.random.key(1))
    running = GoalCost(
        upright, COORDINATES, state_weights=(1.0, 1.0, 0.1, 0.1), final_weights=lqr.value
    )
    planner = ILQR(BOX, iterations=2, regularisation=1e-3)
    return {
        "tracker": Tracker.design(model, plan, BOX, goal=lqr, region=region),
        "MPC": MPC(model, running, planner, horizon=60, guess=plan.actions[:60]),
    }


# --8<-- [end:plan]


def main() -> None:
    """Fit, plan and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("swing-up"), help="a new directory")
    out = parser.parse_args().out
    out.mkdir(parents=True)
    models = {"the fitted model": fitted(out), "the true equations": truth}
    drive = eqx.filter_jit(closed_loop)
    # --8<-- [start:compare]
    print("in the simulated machine, for 5 s:")
    for name, system in models.items():
        for kind, controller in designed(system).items():
            states, _ = drive(machine, controller, HANGING, 250)
            height = jnp.cos(states.q[:, 1])  # 1 upright
            first = DT * int(jnp.argmax(height > 0.99))
            error = jnp.max(jnp.abs(jnp.concatenate([states.q[-1], states.qd[-1]])))
            print(
                f"{kind} by {name}: return {DT * float(height.sum()):.2f}, upright after "
                f"{first:.2f} s, error at the end {error:.1e}"
            )
    # --8<-- [end:compare]


if __name__ == "__main__":
    main()
