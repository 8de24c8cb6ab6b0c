"""Experience as PyTrees, and the replay buffer that keeps it."""

from ._experience import Experience as Experience
from ._replay import ReplayBuffer as ReplayBuffer
