"""Analytic systems, their physical parameters as trainable leaves."""

from ._pendulum import Pendulum as Pendulum
