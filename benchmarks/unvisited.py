"""What models know of where nobody has been: weights that decay, and the reward's activation.

    python benchmarks/unvisited.py --tasks acrobot cart3pole --seeds 3 --out unvisited.json

Dynamics and reward of a task of the suite are learned as `lagdyna train` learns them, from
actions held in states drawn within reach, but for those in which every link points above the
horizontal: a tenth of the data, a training, the next tenth, another training, and so on, each
going on from the weights of the one before, whose decay here stays the same. Then they are
judged in states where every link points up to within some 0.1 rad, at low speed, where the
reward is nearly all that can be had, and in 2,000 new states like those of the data. The errors
are medians: that of the velocities after one action, rad/s (of a cart m/s), the norm over the
coordinates; that of the reward, as a fraction of the most that an action can pay. Prints a
Markdown table of means over seeds.
"""

from statistics import mean

import equinox as eqx
import jax
import jax.numpy as jnp
from _common import arguments, machine, write
from chains import drawn
from jaxtyping import Array, PRNGKeyArray

from lagdyna.data import Experience, ReplayBuffer
from lagdyna.experiments import Config, Trainer, Training
from lagdyna.experiments._toml import config_from_table
from lagdyna.experiments._worlds import _hold
from lagdyna.mechanics import State
from lagdyna.tasks import SUITE, suite_task

TESTED, TRAININGS = 2000, 10
CHOICES = ((0.0, "softplus"), (0.0, "tanh"), (0.03, "tanh"), (0.1, "tanh"), (0.3, "tanh"))
Errors = tuple[float, float, float, float]


def up(name: str, states: State) -> Array:
    """Of which states every link points above the horizontal."""
    directions = jnp.cumsum(states.q[:, int(SUITE[name].cart) :], axis=-1)
    return jnp.all(jnp.cos(directions) > 0, axis=-1)


def visited(config: Config, name: str, rows: int, key: PRNGKeyArray) -> Experience:
    """What `rows` actions do where not every link points up."""
    spec = config.task
    # An eighth is up of three links, a quarter of two, a half of one.
    some = drawn(spec, name, 3 * rows, 1.0, key)
    down = jnp.nonzero(~up(name, some.state))[0][:rows]
    return jax.tree.map(lambda x: x[down], some)


def upright(config: Config, name: str, rows: int, key: PRNGKeyArray) -> Experience:
    """What actions do near the upright rest."""
    spec, task = config.task, suite_task(name)
    q_key, qd_key, action_key = jax.random.split(key, 3)
    q, qd = (jax.random.normal(k, (rows, task.n)) for k in (q_key, qd_key))
    states = State(0.1 * q, 0.5 * qd)
    actions = jax.random.uniform(action_key, (rows, spec.action_size), minval=-1.0)
    held = jnp.asarray(spec.repeat)
    after, paid = jax.vmap(lambda s, a: _hold(task, s, a, spec.repeat, held))(states, actions)
    return Experience(states, actions, paid, after, jnp.zeros(rows, bool))


@eqx.filter_jit
def errors(training: Training, data: Experience) -> tuple[Array, Array]:
    """The median errors of velocities and of the reward."""
    after = training.transition.steps(data.state, data.action)
    off = jnp.linalg.norm(after.qd - data.next_state.qd, axis=-1)
    paid = jax.vmap(training.reward)(data.state, data.action, data.next_state)
    return jnp.median(off), jnp.median(jnp.abs(paid - data.reward))


def learned(
    name: str, decay: float, activation: str, rows: int, seed: int
) -> tuple[Trainer, Training]:
    """A run's models after all of the trainings, nothing else of it."""
    table = {
        "task": name,
        "seed": seed,
        # So long a run that what decays is hardly less after the trainings here.
        "steps": 100 * rows * SUITE[name].repeat,
        "collect": {"capacity": rows},
        "learner": {"decay": decay, "decay_until": 1.0},
        "reward": {"activation": activation, "decay": decay},
    }
    trainer = Trainer(config_from_table(table))
    training = trainer.init()
    data = visited(trainer.config, name, rows, jax.random.key(seed))
    updates = trainer.config.learner.updates_or_default
    for part in range(1, TRAININGS + 1):
        added = jnp.asarray(rows * part // TRAININGS)
        buffer = ReplayBuffer(data, jnp.zeros(rows, int), added)
        training = trainer.begin_fit(eqx.tree_at(lambda t: t.buffer, training, buffer))
        training, _ = trainer.fit(training, jnp.asarray(0), updates)
    return trainer, training


def judged(name: str, decay: float, activation: str, rows: int, seed: int) -> Errors:
    """Errors of velocities and reward where nobody has been, then those of where one has."""
    trainer, training = learned(name, decay, activation, rows, seed)
    most = trainer.config.task.repeat
    found = []
    for make in (upright, visited):
        key = jax.random.fold_in(jax.random.key(seed), 1)
        velocity, paid = errors(training, make(trainer.config, name, TESTED, key))
        found += [float(velocity), float(paid) / most]
    return found[0], found[1], found[2], found[3]


def main() -> None:
    """Measures, prints a table, writes JSON."""
    parser = arguments(__doc__, "unvisited.json")
    parser.add_argument(
        "--tasks", nargs="+", choices=[*SUITE], default=["acrobot", "cart3pole"]
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1500, help="actions to learn from")
    args = parser.parse_args()
    about, results = machine(), []
    heads = ("velocities, upright", "reward, upright", "velocities, visited", "reward, visited")
    print(f"| task | decay | reward's activation | {' | '.join(heads)} |")
    print("|---" * (3 + len(heads)) + "|")
    for name in args.tasks:
        for decay, activation in CHOICES:
            seeds = [
                judged(name, decay, activation, args.rows, seed) for seed in range(args.seeds)
            ]
            columns = dict(zip(heads, zip(*seeds, strict=True), strict=True))
            results.append({"task": name, "decay": decay, "activation": activation, **columns})
            cells = " | ".join(f"{mean(column):.3f}" for column in columns.values())
            print(f"| {name} | {decay:g} | {activation} | {cells} |", flush=True)
    write(args.out, {**about, **vars(args), "out": str(args.out), "results": results})


if __name__ == "__main__":
    main()
