"""Comparison of lagdyna's model-free TD3 with Stable-Baselines3's: return against steps.

    python benchmarks/model_free.py --seeds 10 --steps 10000 --out model_free.json

Both agents learn `Pendulum-v1` with the same settings:

- policy and two critics of 256x256 with ReLU;
- Adam with learning rate 1e-3, batch size 128, discount 0.99, target update rate 0.005;
- exploration noise 0.1, target policy noise 0.2 clipped at 0.5, policy delay 2;
- 100 random steps, and one update per environment step.

Stable-Baselines3 updates after each step, lagdyna after every 200 steps. Both are evaluated
every 200 steps on the same 20 episodes.

Seeds already in the `--out` file are not run again. A plot with the name of the JSON file is
written next to it.
"""

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from _common import arguments, machine, write

from lagdyna.config import CollectConfig, Config, EvaluationConfig
from lagdyna.parts import DynaConfig, TD3Config
from lagdyna.plot import comparison, save
from lagdyna.reproductions._runs import train_or_resume
from lagdyna.results import steps_to
from lagdyna.statistics import interquartile_mean, interval, sooner
from lagdyna.training import EVALUATE, start_seeds

TASK, TARGET, EVERY, EPISODES, RANDOM = "Pendulum-v1", -200.0, 200, 20, 100
HIDDEN, BATCH, RATE, NOISE = (256, 256), 128, 1e-3, 0.1


def ours(steps: int, seed: int, directory: Path) -> list[float]:
    """Run `lagdyna train --agent dyna --agent.ratio 0` and return its mean returns."""
    algorithm = TD3Config(hidden=HIDDEN, rate=RATE, noise=NOISE)
    config = Config(
        task=TASK,
        steps=steps,
        seed=seed,
        agent=DynaConfig(ratio=0.0, batch=BATCH, algorithm=algorithm),
        collect=CollectConfig(random_steps=RANDOM, train_every=EVERY),
        evaluation=EvaluationConfig(episodes=EPISODES),
    )
    directory.mkdir(parents=True, exist_ok=True)
    _, found = train_or_resume(config, directory / f"seed-{seed}", print)
    return found["returns"].tolist()


def theirs(steps: int, seed: int) -> list[float]:
    """Run Stable-Baselines3's TD3 and return its mean returns."""
    import torch  # pyright: ignore[reportMissingImports]
    from stable_baselines3 import TD3  # pyright: ignore[reportMissingImports]
    from stable_baselines3.common.noise import (  # pyright: ignore[reportMissingImports]
        NormalActionNoise,
    )

    judged, found = gym.make(TASK), []
    starts = start_seeds(seed, EVALUATE, EPISODES)
    model: Any = TD3(
        "MlpPolicy",
        gym.make(TASK),
        learning_rate=RATE,
        batch_size=BATCH,
        learning_starts=RANDOM,
        action_noise=NormalActionNoise(np.zeros(1), np.full(1, NOISE)),
        policy_kwargs={"net_arch": [*HIDDEN], "activation_fn": torch.nn.ReLU},
        seed=seed,
        device="cpu",
    )
    for _ in range(steps // EVERY):
        model.learn(EVERY, reset_num_timesteps=False)
        returns = []
        for start in starts:
            observation, total, over = judged.reset(seed=int(start))[0], 0.0, False
            while not over:
                action = model.predict(observation, deterministic=True)[0]
                observation, reward, ended, late, _ = judged.step(action)
                total, over = total + float(reward), ended or late
            returns.append(total)
        found.append(float(np.mean(returns)))
    return found


def first(curve: list[float]) -> float:
    """Find the steps of the first evaluation at or above the target, `nan` if none is."""
    return steps_to(EVERY * np.arange(1, len(curve) + 1), np.asarray(curve), TARGET)


def main() -> None:
    """Run both agents, print the steps to the target, write JSON and a plot."""
    parser = arguments(__doc__, "model_free.json")
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds")
    parser.add_argument("--steps", type=int, default=10_000, help="environment steps a run")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/model-free"), help="directory of lagdyna's runs"
    )
    args = parser.parse_args()
    results: dict[str, Any] = {"about": machine(), "steps": args.steps}
    curves: dict[str, dict[str, list[float]]] = {"lagdyna": {}, "Stable-Baselines3": {}}
    if args.out.exists():
        found = json.loads(args.out.read_text(encoding="utf-8"))
        if found["steps"] != args.steps:
            raise SystemExit(f"{args.out} is of {found['steps']} steps, not {args.steps}")
        curves = found["curves"]
    for seed in range(args.seeds):
        for name, run in (
            ("lagdyna", lambda seed: ours(args.steps, seed, args.runs)),
            ("Stable-Baselines3", lambda seed: theirs(args.steps, seed)),
        ):
            if str(seed) not in curves[name]:
                curves[name][str(seed)] = run(seed)
                write(args.out, {**results, "curves": curves})
            print(f"{name}, seed {seed}: {first(curves[name][str(seed)]):g} steps", flush=True)
    steps = {
        name: np.asarray([first(curve) for curve in each.values()])
        for name, each in curves.items()
    }
    for name, values in steps.items():
        reached = values[np.isfinite(values)]
        results[name] = {
            "steps_to_target": interquartile_mean(reached) if reached.size else None,
            "interval": interval(reached),
            "reached": int(reached.size),
            "seeds": len(values),
        }
        print(name, results[name])
    ends = (float(args.steps), float(args.steps))
    found = sooner(steps["lagdyna"], steps["Stable-Baselines3"], ends)
    results["fewer_steps"] = found._asdict()
    print("probability that ours takes fewer steps:", found)
    times = EVERY * np.arange(1, args.steps // EVERY + 1)
    drawn = {
        name: [(times, np.asarray(returns, float)) for returns in each.values()]
        for name, each in curves.items()
    }
    figure = comparison(drawn, title=f"TD3 on {TASK}", target=TARGET)
    save(figure, args.out.with_suffix(".png"))
    write(args.out, {**results, "curves": curves})


if __name__ == "__main__":
    main()
