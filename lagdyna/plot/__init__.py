"""Figures of runs from their data, on given axes or on new figures; Matplotlib on first use."""

from ._energies import energies as energies
from ._energies import energy_changes as energy_changes
from ._figure import BLUE as BLUE
from ._figure import GREEN as GREEN
from ._figure import GREY as GREY
from ._figure import ORANGE as ORANGE
from ._figure import blank as blank
from ._figure import finish as finish
from ._figure import literal as literal
from ._figure import save as save
from ._fits import loss_curve as loss_curve
from ._fits import phase_portrait as phase_portrait
from ._fits import rollout_errors as rollout_errors
from ._learning_curves import comparison as comparison
from ._learning_curves import learning_curve as learning_curve
from ._learning_curves import learning_curves as learning_curves
from ._motions import excitation as excitation
from ._motions import plan as plan
from ._torques import torques as torques
