"""Gymnasium registration of the rigid-body suite.

Importing `lagdyna` registers the ids. The environments are imported only when they are made.
"""

from types import MappingProxyType

import gymnasium as gym

IDS = MappingProxyType(
    {
        "pendulum": "lagdyna/Pendulum-v0",
        "reacher": "lagdyna/Reacher-v0",
        "cartpole": "lagdyna/CartPole-v0",
        "acrobot": "lagdyna/Acrobot-v0",
        "cart2pole": "lagdyna/CartDoublePole-v0",
        "acro3bot": "lagdyna/AcroTripleBot-v0",
        "cart3pole": "lagdyna/CartTriplePole-v0",
    }
)
"""Gymnasium ids of the suite by short name."""

YARDSTICKS = MappingProxyType(
    {
        "realaigym-acrobot": ("lagdyna/RealAIGymAcrobot-v0", 5000),
        "realaigym-pendubot": ("lagdyna/RealAIGymPendubot-v0", 5000),
        "pilco-cartpole": ("lagdyna/PilcoCartPole-v0", 50),
        "pilco-cart2pole": ("lagdyna/PilcoCartDoublePole-v0", 100),
    }
)
"""Gymnasium id and episode length of each published benchmark, by short name."""


LEARNED_MODEL = "lagdyna/LearnedModel-v0"
"""Gymnasium id of the environment of a learned model."""

EPISODE_SECONDS = 10.0
"""Usual length of an episode in a learned model."""


def register_suite() -> None:
    """Register the environments of the suite and of learned models with Gymnasium.

    This makes them available to `gymnasium.make` and `gymnasium.make_vec`.
    """
    seven = {name: (env_id, 1000) for name, env_id in IDS.items()}
    for name, (env_id, steps) in {**seven, **YARDSTICKS}.items():
        if env_id not in gym.registry:
            gym.register(
                env_id,
                "lagdyna.tasks.suite:SuiteEnv",
                max_episode_steps=steps,
                vector_entry_point="lagdyna.tasks.suite:SuiteVectorEnv",
                kwargs={"task": name},
            )
    if LEARNED_MODEL not in gym.registry:
        gym.register(LEARNED_MODEL, "lagdyna.worlds:LearnedEnv")
