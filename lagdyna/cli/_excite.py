import math
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Column, Table

from ._options import Location, Seed, Whole
from ._print import add_row, cell, console, say

Number = Annotated[float | None, Parameter(show_default=False)]
Names = Annotated[str | None, Parameter(show_default=False)]


def excite(
    robot: Path,
    /,
    *,
    joints: Names = None,
    seconds: Number = None,
    rate: Number = None,
    harmonics: Whole = None,
    share: Number = None,
    restarts: Whole = None,
    seed: Seed = 0,
    out: Location = None,
) -> None:
    """Propose a joint motion that tells much about a robot's inertia and friction.

    The motion is a truncated Fourier series that starts and ends at rest and stays within the
    limits of position and speed in the robot description. Torques are kept within theirs
    where the description is right. Collisions are not checked.

    Parameters
    ----------
    robot
        The robot description: .urdf, or .xml for MJCF. Needs the extra lagdyna[mujoco].
    joints
        Names of the joints that move, as shoulder,elbow; the others stay at 0. All by default.
    seconds
        Length of the motion, which can be repeated; 10 by default.
    rate
        Samples per second in the files; 100 by default.
    harmonics
        Number of frequencies, multiples of 1 / seconds; 5 by default.
    share
        Part of the limits that may be used; 0.9 by default.
    restarts
        Number of random starts of the optimiser; 3 by default.
    seed
        Seed of the starts.
    out
        A new or empty directory; by default the first free one in runs/.
    """
    from ..config import described_robot
    from ..excitation import excite as find
    from ..excitation import write_excitation
    from ..parts import RobotConfig
    from ..results import check_empty, reserved
    from ..systems import RobotModel

    named = None if joints is None else tuple(joints.split(","))
    description = described_robot(RobotConfig(robot=str(robot), joints=named))
    model = RobotModel.from_description(description)
    given = {
        "seconds": seconds,
        "rate": rate,
        "harmonics": harmonics,
        "share": share,
        "restarts": restarts,
    }
    options = {name: value for name, value in given.items() if value is not None}
    stem = f"{robot.stem}-excitation"
    with reserved(out, lambda number: Path("runs") / f"{stem}-{number}") as directory:
        if out is not None and out.exists():
            check_empty(out)  # before the work
        found = find(model, seed=seed, **options)
        write_excitation(directory, found)
    table = Table(Column("joint"), "position", "speed", "torque", box=None)
    shares = found.position_share, found.velocity_share, found.torque_share
    for name, *parts in zip(description.joints, *shares, strict=True):
        add_row(table, name, *("-" if math.isnan(x) else f"{100 * x:.0f} %" for x in parts))
    say("share of each joint's limits that the motion uses:")
    console.print(table)
    for note in found.notes:
        say(f"note: {note}")
    say(
        f"condition number of the {found.base_parameters} base parameters: "
        f"{cell(found.random_condition)} for random motions, {cell(found.condition)} now; "
        f"standard deviations {100 * (1 - math.exp(-found.information)):.0f} % smaller in "
        "the geometric mean"
    )
    say(f"-> {directory}: trajectory.csv, trajectory.npz, excitation.json, excitation.png")
