"""Time of a DeLaN update for chains of 1 to 7 links, and of exported inverse dynamics.

    python benchmarks/delan.py --out delan.json

An update is one Adam step of the inverse loss or of the forward loss on 512 rows. The DeLaN has
two networks of 64x64, and the updates run inside `lagdyna.learners.fit`. The exported function
is `LearnedModel.export_inverse_dynamics` for two links. It is called with one sample at a time
from the host, as in a control loop.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import arguments, machine, milliseconds, seconds, write

from lagdyna.learners import (
    AbstractLoss,
    Accelerations,
    ForwardLoss,
    GradientLearner,
    InverseLoss,
    fit,
)
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, State
from lagdyna.models import DeLaN
from lagdyna.simulate import LagrangianField, LearnedModel, SolvedTransition

UPDATES, BATCH, CALLS = 200, 512, 20_000


def untrained(n: int) -> MechanicalSystem:
    """Build a system with a DeLaN of `n` angles, all actuated."""
    coordinates = Coordinates((True,) * n)
    motors = FixedActuation(tuple(tuple(float(i == j) for j in range(n)) for i in range(n)))
    return MechanicalSystem(DeLaN(coordinates, key=jax.random.key(0)), coordinates, motors)


def update(n: int, loss: AbstractLoss, repeats: int) -> dict[str, float]:
    """Measure the milliseconds of one update."""
    keys = jax.random.split(jax.random.key(1), 4)
    q, qd, action, qdd = (jax.random.normal(key, (4096, n)) for key in keys)
    data = Accelerations(State(q, qd), action, qdd)
    learner = GradientLearner(optax.adam(1e-3), loss)
    system = untrained(n)
    first, times = seconds(
        lambda: (
            fit(
                system, learner, data, key=jax.random.key(2), steps=UPDATES, batch_size=BATCH
            ).model
        ),
        repeats,
    )
    return {**milliseconds(times, UPDATES), "first_call_s": round(first, 2)}


def calls_per_second() -> float:
    """Measure the calls per second of the exported inverse dynamics, one sample a call."""
    system = untrained(2)
    transition = SolvedTransition(LagrangianField(system), system.coordinates, 0.01)
    exported = LearnedModel(transition).export_inverse_dynamics()
    # Compile ahead of time to exclude the cache lookup of `jit` from the calls.
    example = jnp.zeros(2)
    program = jax.jit(exported.call).lower(example, example, example).compile()
    samples = np.random.default_rng(0).normal(size=(CALLS, 3, 2)).astype(np.float32)
    np.asarray(program(*samples[0]))
    start = time.perf_counter()
    for sample in samples:
        np.asarray(program(*sample))
    return CALLS / (time.perf_counter() - start)


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "delan.json")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls")
    args = parser.parse_args()
    about = machine()
    rows = []
    print("| links | inverse loss, ms | forward loss, ms | first call, s |")
    print("|---|---|---|---|")
    for n in range(1, 8):
        ones = jnp.ones(n)
        inverse = update(n, InverseLoss(ones), args.repeats)
        forward = update(n, ForwardLoss(ones), args.repeats)
        rows.append({"n": n, "inverse": inverse, "forward": forward})
        print(
            f"| {n} | {inverse['median_ms']:.2f} | {forward['median_ms']:.2f} | "
            f"{inverse['first_call_s']:.1f}, {forward['first_call_s']:.1f} |",
            flush=True,
        )
    rate = calls_per_second()
    print(f"exported inverse dynamics: {rate:.0f} calls a second")
    result = {"machine": about, "rows": rows, "inverse_dynamics_per_second": rate}
    write(args.out, {"benchmark": "delan", **result})


if __name__ == "__main__":
    main()
