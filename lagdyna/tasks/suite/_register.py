import gymnasium as gym

from ._entries import SUITE


def register_suite() -> None:
    """Makes the suite's environments known to `gymnasium.make` and `gymnasium.make_vec`."""
    for name, entry in SUITE.items():
        if entry.env_id not in gym.registry:
            gym.register(
                entry.env_id,
                "lagdyna.tasks.suite:SuiteEnv",
                max_episode_steps=1000,
                vector_entry_point="lagdyna.tasks.suite:SuiteVectorEnv",
                kwargs={"task": name},
            )
