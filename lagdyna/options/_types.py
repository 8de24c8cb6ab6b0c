"""Types of options, with their bounds."""

from typing import Annotated, Literal

from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Whole = Annotated[int, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Masses = Annotated[tuple[Positive, ...], Meta(min_length=1)]
NonNegative = Annotated[float, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
UpToOne = Annotated[float, Meta(gt=0, le=1)]
Discount = Annotated[float, Meta(gt=0, lt=1)]
Widths = Annotated[tuple[Count, ...], Meta(min_length=1)]
ActivationName = Literal["softplus", "tanh", "silu", "elu", "relu"]
DissipationName = Literal["none", "viscous", "coulomb", "both", "stribeck", "curve", "all"]
StructureName = Literal["network", "chain"]
ResidualForm = Literal["potential", "position", "force", "energy"]
InertiaName = Literal["description", "unknown"]
