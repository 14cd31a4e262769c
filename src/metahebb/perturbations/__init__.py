"""Perturbations: what disturbs a life, and when. They are tried on agents; no agent is evolved under them."""

from metahebb.perturbations.checks import conditions_of, perturbations_for
from metahebb.perturbations.kinds import KINDS, Kind
from metahebb.perturbations.perturbation import Perturbation, Perturbations, parse_perturbation
from metahebb.perturbations.program import UNDISTURBED, Disturbed, Program

__all__ = [
    "KINDS", "UNDISTURBED", "Disturbed", "Kind", "Perturbation", "Perturbations", "Program", "conditions_of",
    "parse_perturbation", "perturbations_for",
]  # fmt: skip
