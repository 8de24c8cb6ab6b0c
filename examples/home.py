"""Fit a Lagrangian to the log of a pendulum: the snippet of the home page."""

# --8<-- [start:snippet]
import numpy as np

import lagdyna

# The log of a pendulum, 1 kg on a link of 0.5 m, moved by a motor: 20 s at 100 Hz.
t = np.arange(0, 20, 0.01)
q = 1.5 * np.sin(1.3 * t) + np.sin(2.9 * t)
qd = 1.95 * np.cos(1.3 * t) + 2.9 * np.cos(2.9 * t)
qdd = -2.535 * np.sin(1.3 * t) - 8.41 * np.sin(2.9 * t)
tau = 0.25 * qdd + 4.905 * np.sin(q)
np.savez("log.npz", t=t, q=q, qd=qd, qdd=qdd, tau=tau)

lagdyna.fit("log.npz", "runs/log", angles="all")
model = lagdyna.load_fit("runs/log").model
print("mass matrix, kg m^2:", model.mass_matrix([0.0], [0.0]))
print("gravity torque at 1 rad, N m:", model.gravity([1.0]))
# --8<-- [end:snippet]
