"""Stable-Baselines3's TD3, for comparisons."""

import time
from typing import Any

import gymnasium as gym
import numpy as np

HIDDEN = [256, 256]


def updates_per_second(batch: int, rows: int, updates: int, repeats: int) -> dict[str, Any]:
    """Measure the updates per second of Stable-Baselines3's TD3 on the pendulum.

    The replay buffer holds `rows` random transitions. The result is the median over `repeats`
    runs of `updates` updates.

    **Raises:** `ImportError` if Stable-Baselines3 is not installed.
    """
    import stable_baselines3  # pyright: ignore[reportMissingImports]
    import torch  # pyright: ignore[reportMissingImports]
    from stable_baselines3 import TD3  # pyright: ignore[reportMissingImports]
    from stable_baselines3.common.logger import (  # pyright: ignore[reportMissingImports]
        configure,
    )

    model: Any = TD3(
        "MlpPolicy",
        gym.make("Pendulum-v1"),
        batch_size=batch,
        buffer_size=rows,
        policy_kwargs={"net_arch": HIDDEN},
        device="cpu",
    )
    model.set_logger(configure(None, []))
    draw = np.random.default_rng(0)
    for _ in range(rows):
        before, after = draw.normal(size=(2, 1, 3))
        action, reward = draw.uniform(-1, 1, (1, 1)), draw.normal(size=1)
        model.replay_buffer.add(before, after, action, reward, np.zeros(1), [{}])
    times = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        model.train(gradient_steps=updates, batch_size=batch)
        times.append(time.perf_counter() - start)
    return {
        "updates_per_second": round(updates / float(np.median(times[1:])), 1),
        "stable_baselines3": stable_baselines3.__version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
