"""Analytic systems with physical parameters as trainable leaves."""

from ._charged_particle import ChargedParticle as ChargedParticle
from ._double_pendulum import DoublePendulum as DoublePendulum
from ._link_potential import LinkPotential as LinkPotential
from ._pendulum import Pendulum as Pendulum
from ._planar_chain import PlanarChain as PlanarChain
from ._recursions import RigidBodies as RigidBodies
from ._relativistic_particle import RelativisticParticle as RelativisticParticle
from ._robot_description import RobotDescription as RobotDescription
from ._robot_model import RobotModel as RobotModel
from ._tree import KinematicTree as KinematicTree
