"""Robots of the experiment, and recordings of real ones."""

import functools
import importlib.metadata
from pathlib import Path
from typing import NamedTuple

import lagdyna

from ..._errors import UserError
from ...systems import RobotModel

_PACKAGE = "example-robot-data"


class Arm(NamedTuple):
    """Robot arm of the experiment.

    **Attributes:**

    - `file`: path of its URDF; a name alone is that of a file of `example-robot-data`.
    - `joints`: names of the joints that move.
    """

    file: str
    joints: tuple[str, ...]

    @property
    def path(self) -> str:
        """Path of the URDF.

        **Raises:** `UserError` if it is not installed.
        """
        return self.file if Path(self.file).parent != Path() else _shipped(self.file)

    def robot(self) -> RobotModel:
        """Read the robot description.

        **Raises:** `UserError` if it or MuJoCo is not installed.
        """
        return RobotModel.from_urdf(self.path, joints=self.joints)


_UR = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")
_UR_JOINTS = tuple(f"{name}_joint" for name in _UR)
ARMS = {
    "panda": Arm("panda.urdf", tuple(f"panda_joint{i}" for i in range(1, 8))),
    "ur5": Arm("ur5_robot.urdf", _UR_JOINTS),
    "xarm7": Arm("xarm7.urdf", tuple(f"joint{i}" for i in range(1, 8))),
}
UR10 = Arm("ur10_robot.urdf", _UR_JOINTS)


@functools.cache
def _shipped(name: str) -> str:
    """Find a robot description in the package that has it.

    **Raises:** `UserError` if the package is not installed, or has no such file.
    """
    try:
        files = importlib.metadata.files(_PACKAGE) or ()
    except importlib.metadata.PackageNotFoundError:
        files = ()
    for file in files:
        if file.name == name and Path(str(file.locate())).exists():
            return str(file.locate())
    raise UserError(
        f"the reproduction `arms` needs {name}, which is not installed; run "
        f"`pip install {_PACKAGE} 'lagdyna[mujoco]'`"
    )


def recording(name: str) -> Path:
    """Find a recording of a real machine beside the library.

    **Raises:** `UserError` if there is none, as in an installed package.
    """
    path = Path(lagdyna.__file__).parents[1] / "examples" / "data" / f"{name}.npz"
    if not path.exists():
        raise UserError(
            f"the recording {str(path)!r} is missing; it comes with a clone of the repository, "
            "and `--tasks panda,ur5,xarm7` does without"
        )
    return path
