"""Statistics over seeds and tasks."""

from ._seeds import Improvement as Improvement
from ._seeds import improvement as improvement
from ._seeds import interquartile_interval as interquartile_interval
from ._seeds import interquartile_mean as interquartile_mean
from ._seeds import interval as interval
from ._seeds import sooner as sooner
from ._tasks import Aggregate as Aggregate
from ._tasks import Profile as Profile
from ._tasks import aggregate as aggregate
from ._tasks import caution as caution
from ._tasks import performance_profile as performance_profile
