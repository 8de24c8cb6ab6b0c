"""Descriptions of MuJoCo environments, with numbers from their XML files.

The force of an action is its gear times the upper bound of its control. `dt` is the simulator's
time step times its number of steps per action.
"""

from collections.abc import Mapping

from ._make import WrapperSpec
from ._spec import CoordinateSpec, TaskSpec

FOREIGN: Mapping[str, TaskSpec] = {
    "InvertedPendulum-v5": TaskSpec(
        env_id="InvertedPendulum-v5",
        # qpos, then qvel; each of the cart, then of the pole (angle from upright).
        coordinates=(
            CoordinateSpec(
                kind="linear", position=0, velocity=2, position_range=1.0, velocity_range=2.0
            ),
            CoordinateSpec(
                kind="angle", position=1, velocity=3, ends_beyond=0.2, velocity_range=3.0
            ),
        ),
        dt=0.04,
        force=((300.0,), (0.0,)),
        dissipation="viscous",
        steps=1_000,
        target_return=950.0,
        description="MuJoCo's pole on a cart: keep it within 0.2 rad of upright.",
    ),
    "InvertedDoublePendulum-v5": TaskSpec(
        env_id="InvertedDoublePendulum-v5",
        # x; sines, then cosines of both joints (relative angles); velocities.
        coordinates=(
            CoordinateSpec(
                kind="linear",
                position=0,
                velocity=5,
                position_range=1.0,
                velocity_limit=10.0,
                velocity_range=3.0,
            ),
            *(
                CoordinateSpec(
                    kind="angle",
                    sin=1 + joint,
                    cos=3 + joint,
                    velocity=6 + joint,
                    position_range=0.3,
                    velocity_limit=10.0,
                    velocity_range=4.0,
                )
                for joint in range(2)
            ),
        ),
        dt=0.05,
        force=((500.0,), (0.0,), (0.0,)),
        dissipation="viscous",
        terminates=True,
        substeps=2,
        chain=True,
        steps=10_000,
        target_return=9100.0,
        description="MuJoCo's two poles on a cart: keep the tip above a height of 1 m.",
    ),
    "Reacher-v5": TaskSpec(
        env_id="Reacher-v5",
        # Cosines, then sines of both joints; target; velocities; fingertip minus target.
        coordinates=(
            CoordinateSpec(kind="angle", cos=0, sin=2, velocity=6, velocity_range=20.0),
            CoordinateSpec(
                kind="angle", cos=1, sin=3, velocity=7, velocity_range=20.0, stops_at=3.0
            ),
        ),
        dt=0.02,
        force=((200.0, 0.0), (0.0, 200.0)),
        dissipation="viscous",
        context=(4, 5),
        context_range=0.2,
        chain=True,
        link_lengths=(0.1, 0.11),
        steps=10_000,
        target_return=-3.75,
        description="MuJoCo's planar arm of two links: move the tip to a target.",
    ),
    "dm_control/pendulum-swingup-v0": TaskSpec(
        env_id="shimmy:dm_control/pendulum-swingup-v0",
        coordinates=(
            CoordinateSpec(kind="angle", cos=0, sin=1, velocity=2, velocity_range=10.0),
        ),
        dt=0.02,
        force=((1.0,),),
        dissipation="viscous",
        sparse_reward=True,
        repeat=2,
        steps=10_000,
        description="dm_control's pendulum: swing up with weak torque; the reward is sparse.",
    ),
    "dm_control/cartpole-swingup-v0": TaskSpec(
        env_id="shimmy:dm_control/cartpole-swingup-v0",
        coordinates=(
            CoordinateSpec(
                kind="linear", position=0, velocity=3, position_range=1.8, velocity_range=5.0
            ),
            CoordinateSpec(kind="angle", cos=1, sin=2, velocity=4, velocity_range=12.0),
        ),
        dt=0.01,
        force=((10.0,), (0.0,)),
        dissipation="viscous",
        repeat=4,
        substeps=2,
        steps=25_000,
        description="dm_control's pole on a cart: swing it up and balance it.",
    ),
    "dm_control/acrobot-swingup-v0": TaskSpec(
        env_id="shimmy:dm_control/acrobot-swingup-v0",
        # Sines, then cosines of both links from upright; joint velocities.
        coordinates=(
            CoordinateSpec(kind="angle", sin=0, cos=2, velocity=4, velocity_range=8.0),
            CoordinateSpec(
                kind="angle", sin=1, cos=3, velocity=5, velocity_range=16.0, relative_to=0
            ),
        ),
        dt=0.01,
        force=((0.0,), (2.0,)),
        dissipation="viscous",
        repeat=4,
        substeps=2,
        chain=True,
        steps=25_000,
        description="dm_control's acrobot: swing two links up, driven at the elbow.",
    ),
    **{
        f"dm_control/reacher-{level}-v0": TaskSpec(
            env_id=f"shimmy:dm_control/reacher-{level}-v0",
            # Angles of both joints; vector from fingertip to target; velocities; target.
            coordinates=(
                CoordinateSpec(kind="angle", position=0, velocity=4, velocity_range=10.0),
                CoordinateSpec(
                    kind="angle", position=1, velocity=5, velocity_range=10.0, stops_at=2.79
                ),
            ),
            dt=0.02,
            force=((0.05, 0.0), (0.0, 0.05)),
            dissipation="viscous",
            context=(6, 7),
            context_range=0.2,
            wrappers=(WrapperSpec(name="lagdyna.tasks:ReacherTarget"),),
            repeat=2,
            # Friction slows the light second link down within a step of 0.02 s.
            substeps=2,
            chain=True,
            link_lengths=(0.12, 0.12),
            sparse_reward=True,
            steps=10_000,
            description=f"dm_control's arm of two links: touch a {size} target.",
        )
        for level, size in (("easy", "large"), ("hard", "small"))
    },
}
"""Descriptions of the MuJoCo environments of Gymnasium and dm_control, by name."""
