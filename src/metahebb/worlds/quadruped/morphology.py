"""Bodies of the quadruped: how long the two moving segments of each leg are."""

from __future__ import annotations

from dataclasses import dataclass
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
    """from the hip to the ankle"""
    lower: float = 1.0
    """from the ankle to the tip"""


_STANDARD_LEG = Leg()


@dataclass(frozen=True)
class Morphology:
    """A body: the factors of its four legs.

    Its text is a name of :data:`MORPHOLOGIES` or the factors, and :func:`parse_morphology` reads it back.
    """

    front_left: Leg = _STANDARD_LEG
    back_left: Leg = _STANDARD_LEG
    back_right: Leg = _STANDARD_LEG
    front_right: Leg = _STANDARD_LEG

    def __post_init__(self) -> None:
        """Refuse, with ``ValueError``, a factor outside of :data:`FACTOR_RANGE`."""
        lowest, highest = FACTOR_RANGE
        for name, leg in zip(LEGS, self.legs, strict=True):
            for segment, factor in zip(Leg._fields, leg, strict=True):
                if not lowest <= factor <= highest:  # NaN is not
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
            f"{name}={float(leg.upper)!r},{float(leg.lower)!r}"
            for name, leg in zip(LEGS, self.legs, strict=True)
            if leg != _STANDARD_LEG
        )


# The paper's damage: a lower segment of (0.1, 0.1) instead of (0.4, 0.4).
_DAMAGED_LEG = Leg(lower=0.25)

STANDARD = Morphology()
FRONT_RIGHT_DAMAGED = Morphology(front_right=_DAMAGED_LEG)
FRONT_LEFT_DAMAGED = Morphology(front_left=_DAMAGED_LEG)

MORPHOLOGIES = {
    "standard": STANDARD,
    "front-right-damaged": FRONT_RIGHT_DAMAGED,
    "front-left-damaged": FRONT_LEFT_DAMAGED,
}
"""The paper's bodies by name."""

_ACCEPTED = (
    f"name one of {', '.join(MORPHOLOGIES)}, or give the two factors of the legs that differ, "
    f"as in 'front-left=1.0,0.5 back-right=0.8,1.0'"
)


def parse_morphology(text: str) -> Morphology:
    """Read a body: a name, or the factors (upper, lower) of the legs that differ from the standard.

    ``"front-right-damaged"`` and ``"front-left=1.0,0.5 back-right=0.8,1.0"`` are bodies. Anything else is a
    ``ValueError`` that says what was given and what would be accepted.
    """
    text = text.strip()
    if text in MORPHOLOGIES:
        return MORPHOLOGIES[text]
    if "=" not in text:
        raise ValueError(f"There is no body named {text!r}: {_ACCEPTED}.")
    legs: dict[str, Leg] = {}
    for word in text.split():
        name, _, factors = word.partition("=")
        if name not in LEGS:
            raise ValueError(f"There is no leg named {name!r}: the legs are {', '.join(LEGS)}.")
        if name in legs:
            raise ValueError(f"The leg {name} is given twice in {text!r}: give each leg once.")
        legs[name] = _parse_leg(word, factors)
    return Morphology(**{name.replace("-", "_"): leg for name, leg in legs.items()})


def _parse_leg(word: str, factors: str) -> Leg:
    try:
        upper, lower = map(float, factors.split(","))
    except ValueError:
        raise ValueError(f"{word!r} does not describe a leg: {_ACCEPTED}.") from None
    return Leg(upper, lower)
