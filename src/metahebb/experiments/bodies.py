"""Named sets of the quadruped's bodies to sweep over.

``kandel``: the standard body, and each of the four legs with a lower segment of a quarter of its length, front legs
first; the protocol of Hebbian Attractor Networks (arXiv:2603.22512), whose agents are evolved with none of them or
with a front leg's, and tried with the rear ones'. Theirs is another robot (Brax's Ant); the rest is as there.

``unseen``: 30 bodies, slight changes of the standard one that no agent was evolved in, after Evolve & Merge
(arXiv:2104.07959). Theirs are given by hand, leg by leg; here the factors of all eight segments are drawn from
[0.75, 1.25], from one seed for ever, so that the bodies are the same for everyone and anybody can list them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from metahebb import seeds
from metahebb.seeds import Stream

__all__ = ["NAMED", "kandel", "unseen"]

LEGS = ("front-left", "back-left", "back-right", "front-right")
COUNT = 30
LEAST, MOST = 0.75, 1.25


def kandel() -> list[str]:
    """The five bodies of the protocol, as ``--morphology`` takes them."""
    return ["standard", *(f"{leg}=1.0,0.25" for leg in ("front-right", "front-left", "back-right", "back-left"))]


def unseen() -> list[str]:
    """The thirty bodies, as ``--morphology`` takes them."""
    draw = np.random.default_rng(seeds.sequence(0, Stream.BODIES))
    factors = draw.uniform(LEAST, MOST, (COUNT, len(LEGS), 2))
    return [
        " ".join(f"{leg}={upper:.2f},{lower:.2f}" for leg, (upper, lower) in zip(LEGS, body, strict=True))
        for body in factors
    ]


NAMED: Mapping[str, Callable[[], list[str]]] = {"kandel": kandel, "unseen": unseen}
"""The sets by name."""
