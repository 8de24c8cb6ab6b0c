"""The experiment, made in parts: one for each arm, kind of data and model."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ...learners import Accelerations
from ...mechanics import State
from .._entries import Entry
from .._reproduction import AbstractReproduction, PartProgress, Result, Results
from ._entries import arm_entries, pendulum_entries, ur10_entries
from ._figure import plot_errors, plot_torque
from ._fits import config, fit_or_resume, keep_recordings, solve
from ._models import TrueModel, torque_network
from ._motions import DT, VARIANTS, Variant, simulated, true_robot
from ._recordings import PENDULUM_MODELS, UR10_MODELS, make_pendulum_part, make_ur10_part
from ._robots import ARMS, Arm
from ._scores import columns, mass_errors, motion_errors, torque_errors
from ._sysid import SYSID_SAMPLES, identify_by_rollouts, why_missing

_VARIANTS: Mapping[str, Variant] = {each: each for each in VARIANTS}
_UR10, _PENDULUM = "ur10_recording", "double_pendulum_recording"
SYSID = "mujoco-sysid"
MODELS: Mapping[Variant, tuple[str, ...]] = {
    "exact": ("truth", "robot", "delan-structure", "least-squares", SYSID, "delan", "mlp"),
    "friction": ("robot", "delan-structure", "least-squares", SYSID, "delan"),
    "payload": ("robot", "robot-residual", "least-squares", SYSID, "mlp"),
}


class Sizes(NamedTuple):
    """Sizes of the experiment.

    **Attributes:** `training`, `unseen`, number of motions; `seconds`, of each; `updates`, of
    models that Adam fits, and iterations of `mujoco.sysid`.
    """

    training: int
    unseen: int
    seconds: float
    updates: Mapping[str, int]

    def updates_of(self, model: str) -> int | None:
        """Updates of a model; `None` for those of its usual learner."""
        return self.updates.get(model)


FULL = Sizes(10, 3, 20.0, {"mlp": 20_000})
QUICK = Sizes(2, 1, 5.0, {"delan": 400, "mlp": 2_000, SYSID: 5})


def make_arm_part(
    arm: Arm,
    variant: Variant,
    model: str,
    seed: int,
    sizes: Sizes,
    directory: Path,
    progress: PartProgress,
) -> Result:
    """Make a part of a simulated arm.

    **Arguments:**

    - `arm`: the robot.
    - `variant`, `model`: kind of data, and one of its models in `MODELS`.
    - `seed`, `directory`, `progress`: as of
        [`lagdyna.reproductions.AbstractReproduction.make`][].
    - `sizes`: numbers of motions and updates.

    **Raises:** `UserError` if the robot description is not installed.
    """
    described, updates = arm.robot(), sizes.updates_of(model)
    names = described.description.joints if described.description else arm.joints
    counts = (sizes.training, sizes.unseen)
    motions = simulated(described, variant, seed, counts, sizes.seconds, names)
    file = keep_recordings(directory, motions.training)
    if model == "truth":
        fitted, seconds = TrueModel(true_robot(described, seed)), 0.0
    elif model == "mlp":
        assert updates is not None
        arrays = {k: jnp.asarray(x, float) for k, x in columns(motions.training).items()}
        rows = Accelerations(State(arrays["q"], arrays["qd"]), arrays["tau"], arrays["qdd"])
        fitted, seconds = torque_network(rows, updates, seed, progress)
    else:
        friction = "both" if variant == "friction" else "none"
        given = model == SYSID or (variant == "friction" and model == "delan")
        options = {"model": {"dissipation": friction}} if given else {}
        learner = None if model == SYSID else updates
        made = config(model, file, learner, seed=seed, arm=arm, options=options)
        if model == "least-squares":
            fitted, seconds = solve(made)
        elif model == SYSID:
            fitted, seconds = identify_by_rollouts(made, updates, progress)
        else:
            fitted, seconds = fit_or_resume(made, directory, progress)
    found = {**torque_errors(fitted, motions.unseen), "seconds": np.asarray(seconds)}
    if not fitted.moves:
        return found
    return {
        **found,
        **motion_errors(fitted, motions.unseen, DT),
        "mass_matrix": mass_errors(fitted, true_robot(described, seed), motions.unseen),
    }


class Arms(AbstractReproduction):
    """Arms of six and seven joints, simulated and real.

    Torques of unseen motions, accelerations and predictions of models that get the kinematics
    of a robot description, and of others that get nothing. The simulated arms are a Panda, a
    UR5 and an xArm 7 whose links differ from their descriptions by 30 %. The recordings are
    those of `examples/data`.
    """

    name = "arms"
    title = "identification and learning of robot arms, simulated and recorded"
    seeds = 1
    tasks = (*ARMS, _UR10, _PENDULUM)
    quick_tasks = ("panda", _UR10, _PENDULUM)
    kinds = (
        *(
            f"{arm}.{variant}.{model}"
            for arm in ("panda", "ur5", "xarm7")
            for variant, models in MODELS.items()
            for model in models
        ),
        *(f"ur10_recording.{model}" for model in UR10_MODELS),
        *(f"double_pendulum_recording.{model}" for model in PENDULUM_MODELS),
    )

    def missing(self, kind: str) -> str | None:
        return why_missing() if kind.endswith(f".{SYSID}") else None

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, progress: PartProgress
    ) -> Result:
        task, _, rest = kind.partition(".")
        if task == _UR10:
            updates = 400 if quick else None
            return make_ur10_part(rest, seed, updates, directory, progress)
        if task == _PENDULUM:
            updates = 400 if quick else 3_000
            return make_pendulum_part(rest, seed, updates, directory, progress)
        name, _, model = rest.partition(".")
        variant = _VARIANTS[name]
        sizes = QUICK if quick else FULL
        return make_arm_part(ARMS[task], variant, model, seed, sizes, directory, progress)

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        note = "--quick" if quick else ""
        entries = []
        for kind in results.parts:
            task, _, rest = kind.partition(".")
            made = {_UR10: ur10_entries, _PENDULUM: pendulum_entries}.get(task)
            if made is not None:
                entries += made(results, kind, rest, note)
            else:
                variant, _, model = rest.partition(".")
                some = f"{SYSID_SAMPLES} samples" if model == SYSID else ""
                noted = "; ".join(x for x in (some, note) if x)
                entries += arm_entries(results, kind, f"{model}.{task}.{variant}", noted)
        plot_errors(out / "torque_nmse.png", results)
        plot_torque(out / "torque.png", results)
        return entries
