"""Named sets of the quadruped's bodies to sweep over.

``kandel``: the standard body, and each of the four legs with a lower segment of a quarter of its length, front legs
first; the protocol of Hebbian Attractor Networks (arXiv:2603.22512), whose agents are evolved with none of them or
with a front leg's, and tried with the rear ones'. Theirs is another robot (Brax's Ant); the rest is as there.

``legs``: the standard body, and each leg with a lower segment of 25, 50 and 75% of its length.

``unseen``: 30 bodies, slight changes of the standard one that no agent was evolved in, after Evolve & Merge
(arXiv:2104.07959). Here the factors of all eight segments are drawn from
[0.75, 1.25], from one seed for ever, so that the bodies are the same for everyone and anybody can list them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from metahebb import seeds
from metahebb.seeds import Stream

__all__ = ["NAMED", "kandel", "legs", "unseen"]

LEGS = ("front-left", "back-left", "back-right", "front-right")
FRONT_FIRST = ("front-right", "front-left", "back-right", "back-left")
COUNT = 30
LEAST, MOST = 0.75, 1.25


def kandel() -> list[str]:
    """The five bodies of the protocol, as ``--morphology`` takes them."""
    return ["standard", *(f"{leg}=1.0,0.25" for leg in FRONT_FIRST)]


def legs() -> list[str]:
    """The thirteen bodies, as ``--morphology`` takes them."""
    return ["standard", *(f"{leg}=1.0,{share}" for leg in FRONT_FIRST for share in ("0.25", "0.5", "0.75"))]


def unseen() -> list[str]:
    """The thirty bodies, as ``--morphology`` takes them."""
    draw = np.random.default_rng(seeds.sequence(0, Stream.BODIES))
    factors = draw.uniform(LEAST, MOST, (COUNT, len(LEGS), 2))
    return [
        " ".join(f"{leg}={upper:.2f},{lower:.2f}" for leg, (upper, lower) in zip(LEGS, body, strict=True))
        for body in factors
    ]


NAMED: Mapping[str, Callable[[], list[str]]] = {"kandel": kandel, "legs": legs, "unseen": unseen}
"""The sets by name."""
