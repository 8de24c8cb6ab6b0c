"""Plan a motion of an arm from pose to pose by its fitted model, and track it.

Run `python examples/move_an_arm.py --out moved`; it needs the extra `mujoco`.

The arm is that of `arm.py`, simulated by MuJoCo with errors that its description does not know.
Its log is fitted by `--model robot`. With the fitted model alone a motion of one second is
planned from rest to rest, within the limits of position, speed and torque in the description.
Computed torques of the same model track it at 500 Hz, cut at the limits. The script prints
where the tip arrives.
"""

import argparse
from pathlib import Path

import numpy as np
from arm import DT, URDF, ComputedTorque, Plant, Reference, Vector, record, run, tips

import lagdyna
from lagdyna.parts import RobotConfig
from lagdyna.runs import plan_motion
from lagdyna.systems import RobotModel

START = (0.0, 1.2, -1.0, 0.0)
GOALS = ((1.2, 0.3, 0.8, -0.6), (-1.0, 0.6, -1.2, 0.8))


def main(arguments: list[str] | None = None) -> None:
    """Record, fit, plan, track, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="new directory")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the log")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True)
    record(args.out / "log.npz", args.seconds)
    config = RobotConfig(robot=str(URDF), dissipation="both")
    fit = args.out / "fit"
    lagdyna.fit(args.out / "log.npz", fit, angles="all", model=config, loss="inverse")
    controller = ComputedTorque(lagdyna.load_fit(fit).model)
    description = RobotModel.from_urdf(URDF).description
    assert description is not None
    effort = np.asarray([link.effort for link in description.links])

    def torques(q: Vector, qd: Vector, *wanted: Vector) -> Vector:
        return np.clip(controller(q, qd, *wanted), -effort, effort)

    print("| goal | planned torque, of the limit | tip at the end, mm | on the way, mm |")
    print("|---|---|---|---|")
    for goal in GOALS:
        plan = plan_motion(fit, goal, START, steps=round(1 / DT)).plan
        q, qd = (np.asarray(x) for x in plan.states)
        q = np.unwrap(q, axis=0)
        still = np.zeros((round(0.2 / DT), q.shape[1]))
        motion = Reference(
            np.concatenate([q, still + q[-1]]),
            np.concatenate([qd, still]),
            np.concatenate([np.diff(qd, axis=0) / DT, still, still[:1]]),
        )
        log = run(Plant(20), motion, torques)
        used = np.abs(np.asarray(plan.actions) / effort).max()
        error = 1e3 * np.linalg.norm(tips(log.q) - tips(motion.q), axis=1)
        name = ", ".join(f"{x:g}" for x in goal)
        print(f"| {name} | {used:.0%} | {error[-1]:.2f} | {error.max():.2f} |", flush=True)


if __name__ == "__main__":
    main()
