"""The published scores (arXiv:2007.02686v5), and which of our agents, lived where, stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RULES", "STATIC", "TABLES", "Place", "PublishedRow", "PublishedScore", "PublishedTable"]

RULES = ("A", "AD", "AD_lr", "ABC", "ABC_lr", "ABCD", "ABCD_lr", "ABCD_lr_D_out", "ABCD_lr_D_in_and_out")
"""the rules that the paper and its reference compare"""
STATIC = "-static"
"""what the name of an agent with static weights has behind that of the plastic one"""


@dataclass(frozen=True)
class PublishedScore:
    """A score over 100 lives."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{self.mean:.0f} ± {self.deviation:.0f}"


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table."""

    what: str
    body: str | None
    """None in a task without bodies"""
    static: PublishedScore
    plastic: PublishedScore


@dataclass(frozen=True)
class Place:
    """A simulator that our agents live in."""

    agent: str
    """the name of the plastic one"""
    simulator: str | None
    where: str


@dataclass(frozen=True)
class PublishedTable:
    """A published table; each of its rows is lived in each of the places."""

    title: str
    rows: tuple[PublishedRow, ...]
    places: tuple[Place, ...]
    remark: str
    """what should be known before numbers are compared"""


TABLES: Mapping[str, PublishedTable] = {
    "table1": PublishedTable(
        "Table 1, CarRacing",
        (PublishedRow("CarRacing", None, PublishedScore(711, 16), PublishedScore(872, 11)),),
        (Place("car-racing", "jax", "our simulator"), Place("car-racing", "gymnasium", "Gymnasium's")),
        "The published scores are of CarRacing-v0, where a lap ends once all tiles are visited; v3, and so ours, also "
        "ends it when 95% are and the car reaches tile 0.",
    ),
    "table2": PublishedTable(
        "Table 2, the quadruped",
        (
            PublishedRow("standard body", "standard", PublishedScore(1604, 171), PublishedScore(1051, 113)),
            PublishedRow(
                "front right damaged (seen)",
                "front-right-damaged",
                PublishedScore(1431, 54),
                PublishedScore(1019, 116),
            ),
            PublishedRow(
                "front left damaged (unseen)",
                "front-left-damaged",
                PublishedScore(68, 56),
                PublishedScore(452, 95),
            ),
        ),
        (Place("quadruped", "mujoco", "MuJoCo"), Place("quadruped-bullet", "exact", "Bullet")),
        "The published scores are of Bullet. The physics of the two simulators differ, and so do their agents.",
    ),
}
"""by the names of their commands"""
