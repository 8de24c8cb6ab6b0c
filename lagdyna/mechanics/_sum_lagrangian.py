import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ._frozen import frozen
from ._lagrangian import AbstractLagrangian, Forces
from ._mass_solve import AbstractMassSolve, ExactSolve


class SumLagrangian(AbstractLagrangian):
    """Known Lagrangian plus a learned residual, `L = L_known + L_learned`.

    Momenta, energies, mass matrices and forces of the two parts add. Each part therefore
    uses its own, cheapest way of differentiation.

    **Arguments:**

    - `known`: the known part, such as a system of `lagdyna.systems`.
    - `learned`: the learned part, such as a [`lagdyna.models.DeLaN`][] or
        [`lagdyna.models.LNN`][] with small initial outputs.
    - `learn_known`: whether the parameters of `known` are learned too.
    - `solve`: solver with the sum of the mass matrices. The default, an exact solve, is
        correct for two rigid bodies. See [`lagdyna.mechanics.AbstractMassSolve`][] for others.
    """

    known: AbstractLagrangian
    learned: AbstractLagrangian
    learn_known: bool = eqx.field(static=True, default=False)
    solve: AbstractMassSolve = ExactSolve()

    def __call__(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        known, learned = self._parts()
        return known(q, qd) + learned(q, qd)

    def momentum(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, " n"]:
        known, learned = self._parts()
        return known.momentum(q, qd) + learned.momentum(q, qd)

    def energy(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Scalar:
        known, learned = self._parts()
        return known.energy(q, qd) + learned.energy(q, qd)

    def mass_matrix(self, q: Float[Array, " n"], qd: Float[Array, " n"]) -> Float[Array, "n n"]:
        known, learned = self._parts()
        return known.mass_matrix(q, qd) + learned.mass_matrix(q, qd)

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        bias = self.inverse_dynamics(q, qd, jnp.zeros_like(qd))
        return self.solve(self.mass_matrix(q, qd), tau - bias)

    def inverse_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        known, learned = self._parts()
        return known.inverse_dynamics(q, qd, qdd) + learned.inverse_dynamics(q, qd, qdd)

    def forces(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Forces:
        known, learned = self._parts()
        pairs = zip(known.forces(q, qd, qdd), learned.forces(q, qd, qdd), strict=True)
        return Forces(*(a + b for a, b in pairs))

    def _parts(self) -> tuple[AbstractLagrangian, AbstractLagrangian]:
        return (self.known if self.learn_known else frozen(self.known)), self.learned
