"""Off-policy algorithms of Dyna."""

import abc
from typing import TYPE_CHECKING

from ...options import (
    ActivationName,
    Count,
    Discount,
    Family,
    NonNegative,
    Part,
    Positive,
    UpToOne,
    Widths,
)

if TYPE_CHECKING:
    import lagdyna.agents
    import lagdyna.tasks


ALGORITHMS = Family("algorithm", "off-policy algorithm", "td3")
"""Off-policy algorithms of Dyna by name."""


@ALGORITHMS
class AlgorithmConfig(Part, frozen=True, kw_only=True):
    """Options that off-policy algorithms share, and the method that builds one.

    **Arguments:**

    - `hidden`: widths of the hidden layers of policy and critics.
    - `activation`: activation function of policy and critics.
    - `discount`: discount factor of the return.
    - `critics`: number of critics; the smallest estimate counts.
    - `target_rate`: rate of the Polyak average of the targets.
    - `rate`: learning rate of Adam for policy, critics and temperature.
    - `clip`: largest norm of their gradients.
    """

    hidden: Widths = (256, 256)
    activation: ActivationName = "relu"
    discount: Discount = 0.99
    critics: Count = 2
    target_rate: UpToOne = 0.005
    rate: Positive = 1e-3
    clip: Positive = 100.0

    @abc.abstractmethod
    def build(self, plant: "lagdyna.tasks.Plant") -> "lagdyna.agents.AbstractOffPolicy":
        """Build the actor-critic of a plant."""

    def shared(self, plant: "lagdyna.tasks.Plant") -> dict[str, object]:
        """Constructor arguments of every [`lagdyna.agents.AbstractOffPolicy`][]."""
        from ...agents import Features
        from ...learners import make_optimiser

        return {
            "features": Features(
                plant.state_coordinates, plant.velocity_scale, plant.position_scale
            ),
            "action_size": plant.action_size,
            "hidden": self.hidden,
            "activation": plant.activation(self.activation),
            "critics": self.critics,
            "discount": self.discount,
            "target_rate": self.target_rate,
            "optimiser": make_optimiser("adam", self.rate, self.clip),
        }


class TD3Config(AlgorithmConfig, frozen=True, kw_only=True, tag="td3"):
    """Twin delayed deterministic policy gradient (Fujimoto et al. 2018).

    See [`lagdyna.agents.TD3`][].

    **Arguments:**

    - `noise`: standard deviation of the exploration noise.
    - `target_noise`, `target_clip`: standard deviation and largest size of the noise of
        target actions.
    - `delay`: critic updates per update of policy and targets.
    """

    noise: NonNegative = 0.1
    target_noise: NonNegative = 0.2
    target_clip: NonNegative = 0.5
    delay: Count = 2

    def build(self, plant: "lagdyna.tasks.Plant") -> "lagdyna.agents.AbstractOffPolicy":
        from ...agents import TD3

        return TD3(
            **self.shared(plant),  # pyright: ignore[reportArgumentType]
            noise=self.noise,
            target_noise=self.target_noise,
            target_clip=self.target_clip,
            delay=self.delay,
        )


class SACConfig(AlgorithmConfig, frozen=True, kw_only=True, tag="sac"):
    """Soft actor-critic with a learned temperature (Haarnoja et al. 2018).

    See [`lagdyna.agents.SAC`][].
    """

    def build(self, plant: "lagdyna.tasks.Plant") -> "lagdyna.agents.AbstractOffPolicy":
        from ...agents import SAC

        return SAC(**self.shared(plant))  # pyright: ignore[reportArgumentType]
