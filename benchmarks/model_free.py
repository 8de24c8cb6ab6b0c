"""The model-free agent beside Stable-Baselines3's TD3: returns against experience.

    python benchmarks/model_free.py --seeds 10 --steps 10000 --out model_free.json

Both are TD3 on `Pendulum-v1` with the same settings: policy and two critics of 256x256 with
ReLU, Adam at 1e-3, batches of 128, a discount of 0.99, targets that follow by 0.005, noise of
0.1 in actions and of 0.2, clipped at 0.5, in target actions, an actor updated every other time,
100 random steps, and one update for each step; theirs after each, ours after every 200. Both
are judged every 200 steps on the same 20 episodes. Seeds that are in `--out` already are not
run again. Beside the JSON file comes a picture of the same name.
"""

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from _common import arguments, machine, write

from lagdyna.experiments import config_from_table
from lagdyna.experiments._curves import steps_to
from lagdyna.experiments._plots import plot_comparison
from lagdyna.experiments._statistics import interquartile_mean, interval, sooner
from lagdyna.experiments._worlds import EVALUATE, start_seeds
from lagdyna.experiments.reproductions._runs import train_or_resume

TASK, TARGET, EVERY, EPISODES, RANDOM = "Pendulum-v1", -200.0, 200, 20, 100
HIDDEN, BATCH, RATE, NOISE = (256, 256), 128, 1e-3, 0.1


def ours(steps: int, seed: int, directory: Path) -> list[float]:
    """Mean returns of `lagdyna train --agent dyna --agent.dyna.ratio 0`."""
    dyna = {"ratio": 0.0, "hidden": [*HIDDEN], "batch": BATCH, "rate": RATE, "noise": NOISE}
    table = {
        "task": TASK,
        "steps": steps,
        "seed": seed,
        "agent": {"name": "dyna", "dyna": dyna},
        "collect": {"random_steps": RANDOM, "train_every": EVERY},
        "evaluation": {"episodes": EPISODES},
    }
    directory.mkdir(parents=True, exist_ok=True)
    _, found = train_or_resume(config_from_table(table), directory / f"seed-{seed}", print)
    return found["returns"].tolist()


def theirs(steps: int, seed: int) -> list[float]:
    """Mean returns of Stable-Baselines3's."""
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
    """Steps of the first evaluation at the target or above, `nan` if there is none."""
    return steps_to(EVERY * np.arange(1, len(curve) + 1), np.asarray(curve), TARGET)


def main() -> None:
    """Runs both, prints steps to the target, writes JSON and a picture."""
    parser = arguments(__doc__, "model_free.json")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--runs", type=Path, default=Path("runs/model-free"))
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
    drawn = [(name, times, np.asarray([*each.values()])) for name, each in curves.items()]
    plot_comparison(args.out.with_suffix(".png"), drawn, f"TD3 on {TASK}", TARGET)
    write(args.out, {**results, "curves": curves})


if __name__ == "__main__":
    main()
