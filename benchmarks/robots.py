"""Time of the dynamics of a robot arm, beside Pinocchio's.

    python benchmarks/robots.py --out robots.json
    python benchmarks/robots.py --robot arm.urdf --joints shoulder elbow

Inverse dynamics, their gradient with respect to all inertial parameters, forward dynamics and
the mass matrix run on a batch of random states in float32. The default robot is the Panda with
seven joints of the package example-robot-data. Where the package `pin` is installed, ten
calls at a time alternate with Pinocchio's `rneaInParallel` and `abaInParallel` (C++, float64),
and a ratio of the minimum times stands beside each row. A process of its own, bound to as many
cores, measures each number of threads. CPU time is that of all threads of the process: where it
is below wall time on one core, other programs held the core.

A single call goes through `LearnedModel.export_inverse_dynamics`, compiled ahead of time, from
NumPy to NumPy, as in a control loop.
"""

import importlib
import multiprocessing
import os
import sys
import sysconfig
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, machine, write
from jaxtyping import Array, Float

from lagdyna.mechanics import FixedActuation, MechanicalSystem
from lagdyna.simulate import LagrangianField, LearnedModel, SolvedTransition
from lagdyna.systems import RobotModel

PANDA = "cmeel.prefix/share/example-robot-data/robots/panda_description/urdf/panda.urdf"
PANDA_JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
WARM_UP, TOGETHER = 3, 10


class Program(NamedTuple):
    """Compiled program that is timed.

    **Attributes:** `call`; `compile_s`, seconds of its compilation; `beside`, name of the row
    that its time is divided by.
    """

    call: Callable[[], Any]
    compile_s: float | None
    beside: str | None


def default_robot() -> Path:
    """Return the robot description of the Panda."""
    path = Path(sysconfig.get_path("purelib")) / PANDA
    if not path.exists():
        sys.exit("no robot: install the package example-robot-data, or give `--robot FILE`")
    return path


def compiled(function: Callable[..., Any], *given: Any, beside: str | None = None) -> Program:
    """Compile a function of arrays ahead of time."""
    start = time.perf_counter()
    program = jax.jit(function).lower(*given).compile()
    took = time.perf_counter() - start
    return Program(lambda: jax.block_until_ready(program(*given)), took, beside)


def our_programs(robot: RobotModel, batch: int) -> dict[str, Program]:
    """Compile lagdyna's dynamics of a batch of random states."""
    states = random_states(robot.tree.links, batch)
    q, qd, qdd = (jnp.asarray(x, jnp.float32) for x in states)

    def forces(inertia: Float[Array, "links 10"], *state: Array) -> Array:
        changed = eqx.tree_at(lambda x: x.inertia, robot, inertia)
        return jax.vmap(changed.inverse_dynamics)(*state)

    def squares(inertia: Float[Array, "links 10"], *state: Array) -> Array:
        return jnp.sum(forces(inertia, *state) ** 2)

    forward = jax.vmap(robot.forward_dynamics)
    matrix = jax.vmap(robot.mass_matrix)
    rnea, aba = "Pinocchio rnea", "Pinocchio aba"
    return {
        "inverse dynamics": compiled(forces, robot.inertia, q, qd, qdd, beside=rnea),
        "gradient": compiled(jax.grad(squares), robot.inertia, q, qd, qdd, beside=rnea),
        "forward dynamics": compiled(forward, q, qd, qdd, beside=aba),
        "mass matrix": compiled(matrix, q, qd),
    }


def pinocchio_programs(
    path: Path, joints: tuple[str, ...], batch: int, threads: int
) -> dict[str, Program]:
    """Prepare Pinocchio's dynamics of the same states; empty where it is not installed."""
    try:
        pin = importlib.import_module("pinocchio")
    except ImportError:
        return {}
    model: Any = pin.buildModelFromUrdf(str(path))
    others = [i for i, name in enumerate(model.names) if i > 0 and name not in joints]
    model = pin.buildReducedModel(model, others, pin.neutral(model))
    if model.nq != len(joints):
        return {}  # continuous joints have two numbers there
    pool = pin.ModelPool(model, threads)
    q, qd, qdd = (np.asfortranarray(x.T) for x in random_states(len(joints), batch))
    result = np.zeros_like(q)

    def call(function: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: function(threads, pool, q, qd, qdd, result)

    return {
        "Pinocchio rnea": Program(call(pin.rneaInParallel), None, None),
        "Pinocchio aba": Program(call(pin.abaInParallel), None, None),
    }


def random_states(n: int, batch: int) -> list[Float[np.ndarray, "batch n"]]:
    """Draw positions, velocities, and accelerations or torques."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(batch, n)) for _ in range(3)]


def timed(programs: dict[str, Program], repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Time programs in turn, so that all of them share the state of the machine.

    Each gets several calls at a time, the first of which are not timed, since the caches and
    threads of the others are cold.

    **Returns:** wall and CPU seconds of each call.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for _ in range(repeats):
        for name, program in programs.items():
            for i in range(WARM_UP + TOGETHER):
                wall, cpu = time.perf_counter(), time.process_time()
                program.call()
                took = time.perf_counter() - wall, time.process_time() - cpu
                if i >= WARM_UP:
                    times[name].append(took)
    return times


def single_call(robot: RobotModel, calls: int) -> dict[str, Any]:
    """Measure the microseconds of one exported call, from NumPy to NumPy."""
    n = robot.tree.links
    motors = FixedActuation(tuple(tuple(float(i == j) for j in range(n)) for i in range(n)))
    system = MechanicalSystem(robot, robot.coordinates, motors)
    model = LearnedModel(SolvedTransition(LagrangianField(system), system.coordinates, 0.002))
    start = time.perf_counter()
    exported = model.export_inverse_dynamics()
    # Compile ahead of time to exclude the cache lookup of `jit` from the calls.
    program = jax.jit(exported.call).lower(*exported.in_avals).compile()
    took = time.perf_counter() - start
    samples = np.stack(random_states(n, calls), axis=1).astype(np.float32)
    times = []
    for i, sample in enumerate((*samples[:WARM_UP], *samples)):
        wall, cpu = time.perf_counter(), time.process_time()
        np.asarray(program(*sample))
        if i >= WARM_UP:
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return {"name": "one exported call", **statistics(times, 1), "compile_s": round(took, 2)}


def statistics(times: list[tuple[float, float]], batch: int) -> dict[str, float]:
    """Compute medians and minima of wall and CPU time, in microseconds a sample."""
    found = {}
    for kind, column in zip(("wall", "cpu"), zip(*times, strict=True), strict=True):
        for name, value in (("median", median(column)), ("min", min(column))):
            found[f"{kind}_{name}_us"] = round(1e6 * value / batch, 4)
    return found


def measure(
    path: Path, joints: tuple[str, ...] | None, batch: int, threads: int, repeats: int
) -> dict[str, Any]:
    """Measure everything on some cores; runs in a process of its own."""
    if hasattr(os, "sched_setaffinity"):  # before JAX starts its threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    read = RobotModel.from_urdf if path.suffix == ".urdf" else RobotModel.from_mjcf
    robot = read(path, joints=joints)
    assert robot.description is not None
    names = robot.description.joints
    programs = our_programs(robot, batch)
    if path.suffix == ".urdf":
        programs |= pinocchio_programs(path, names, batch, threads)
    times = timed(programs, repeats)
    rows = []
    for name, program in programs.items():
        row: dict[str, Any] = {"name": name, **statistics(times[name], batch)}
        if program.compile_s is not None:
            row["compile_s"] = round(program.compile_s, 2)
        if program.beside in times:
            other = statistics(times[program.beside], batch)
            row["beside"] = program.beside
            row["ratio"] = round(row["wall_min_us"] / other["wall_min_us"], 3)
        rows.append(row)
    rows.append(single_call(robot, 200 * repeats))
    return {"threads": threads, "joints": names, "rows": rows, "load": os.getloadavg()[0]}


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "robots.json")
    parser.add_argument("--robot", type=Path, help="URDF or MJCF; the Panda by default")
    parser.add_argument("--joints", nargs="+", help="joints that move; all by default")
    parser.add_argument("--batch", type=int, default=4096, help="states of a call")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=10, help="turns of ten timed calls")
    args = parser.parse_args()
    path = args.robot or default_robot()
    joints = args.joints or (PANDA_JOINTS if args.robot is None else None)
    about, results = machine(), []
    print(
        "| cores | program | wall median, min, us | CPU median, min, us | compile, s | ratio |"
    )
    print("|---|---|---|---|---|---|")
    for threads in args.threads:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as executor:
            given = (path, joints and tuple(joints), args.batch, threads, args.repeats)
            found = executor.submit(measure, *given).result()
        results.append(found)
        for row in found["rows"]:
            ratio = f"{row['ratio']:.2f} of {row['beside']}" if "ratio" in row else "-"
            print(
                f"| {threads} | {row['name']} | {row['wall_median_us']:.3g}, "
                f"{row['wall_min_us']:.3g} | {row['cpu_median_us']:.3g}, "
                f"{row['cpu_min_us']:.3g} | {row.get('compile_s', '-')} | {ratio} |",
                flush=True,
            )
    about |= {"robot": path.name, "batch": args.batch, "repeats": args.repeats}
    write(args.out, {"benchmark": "robots", "machine": about, "results": results})


if __name__ == "__main__":
    main()
