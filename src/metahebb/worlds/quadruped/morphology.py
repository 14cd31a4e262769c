"""Bodies of the quadruped: how long the two moving segments of each leg are."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

__all__ = [
    "FACTOR_RANGE",
    "FRONT_LEFT_DAMAGED",
    "FRONT_RIGHT_DAMAGED",
    "LEGS",
    "MORPHOLOGIES",
    "STANDARD",
    "Leg",
    "Morphology",
    "parse_morphology",
]

LEGS = ("front-left", "back-left", "back-right", "front-right")
"""The legs in the order of the robot's joints, named by position as seen along +x, the walking direction."""

FACTOR_RANGE = (0.1, 4.0)
"""The factors that a morphology accepts: a segment between a tenth and four times its standard length."""


class Leg(NamedTuple):
    """The lengths of a leg's moving segments, as factors of the standard length."""

    upper: float = 1.0
    """first hip to ankle"""
    lower: float = 1.0
    """ankle to tip"""


@dataclass(frozen=True)
class Morphology:
    """A body. Its text is a name of :data:`MORPHOLOGIES` or what :func:`parse_morphology` reads back."""

    front_left: Leg = Leg()
    back_left: Leg = Leg()
    back_right: Leg = Leg()
    front_right: Leg = Leg()

    def __post_init__(self) -> None:
        """Refuse, with ``ValueError``, a factor outside of :data:`FACTOR_RANGE`."""
        lowest, highest = FACTOR_RANGE
        for name, leg in zip(LEGS, self.legs, strict=True):
            for segment, factor in zip(Leg._fields, leg, strict=True):
                if not (math.isfinite(factor) and lowest <= factor <= highest):
                    raise ValueError(
                        f"The {segment} segment of the {name} leg cannot have the factor {factor:g}: "
                        f"factors lie between {lowest:g} and {highest:g}, and 1 is the standard length."
                    )

    @property
    def legs(self) -> tuple[Leg, Leg, Leg, Leg]:
        """The legs in the order of :data:`LEGS`."""
        return self.front_left, self.back_left, self.back_right, self.front_right

    def __str__(self) -> str:
        for name, morphology in MORPHOLOGIES.items():
            if self == morphology:
                return name
        return " ".join(
            f"{name}={leg.upper!r},{leg.lower!r}"
            for name, leg in zip(LEGS, self.legs, strict=True)
            if leg != Leg()
        )


# The paper's damage: a lower segment of (0.1, 0.1) instead of (0.4, 0.4).
_DAMAGED = Leg(lower=0.25)

STANDARD = Morphology()
FRONT_RIGHT_DAMAGED = Morphology(front_right=_DAMAGED)
FRONT_LEFT_DAMAGED = Morphology(front_left=_DAMAGED)

MORPHOLOGIES = {
    "standard": STANDARD,
    "front-right-damaged": FRONT_RIGHT_DAMAGED,
    "front-left-damaged": FRONT_LEFT_DAMAGED,
}
"""The paper's bodies by name."""


def parse_morphology(text: str) -> Morphology:
    """Read a body: a name, or the legs that differ from the standard with their two factors.

    ``"front-right-damaged"``, ``"front-left=1.0,0.5 back-right=0.8,1.0"``: each leg is followed by the factors
    of its upper and its lower segment. ``ValueError`` says what was given and what would be accepted.
    """
    if text.strip() in MORPHOLOGIES:
        return MORPHOLOGIES[text.strip()]
    legs: dict[str, Leg] = {}
    for word in text.split():
        name, equals, factors = word.partition("=")
        if not equals:
            raise ValueError(
                f"There is no body named {text.strip()!r}: name one of {', '.join(MORPHOLOGIES)}, or give factors "
                f"for legs as in 'front-left=1.0,0.5 back-right=0.8,1.0'."
            )
        if name not in LEGS:
            raise ValueError(f"There is no leg named {name!r}: the legs are {', '.join(LEGS)}.")
        if name in legs:
            raise ValueError(f"The leg {name} is given twice in {text.strip()!r}: give each leg once.")
        try:
            upper, lower = (float(factor) for factor in factors.split(","))
        except ValueError:
            raise ValueError(
                f"{word!r} does not give a leg: write its name and two factors, as in {name}=1.0,0.5."
            ) from None
        legs[name] = Leg(upper, lower)
    if not legs:
        raise ValueError(f"An empty text names no body: name one of {', '.join(MORPHOLOGIES)}, or give factors.")
    return Morphology(**{field.name: legs.get(field.name.replace("_", "-"), Leg()) for field in fields(Morphology)})
