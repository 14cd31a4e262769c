"""Evolve plasticity rules for neural networks that start every life from random weights.

    import metahebb

    run = metahebb.train("gymnasium:CartPole-v1")
    print(metahebb.evaluate(run, lives=100).mean)

The public names are those below; everything else may change. Importing the package sets no environment variable,
starts nothing, and does not import JAX.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

_environment = dict(os.environ)

from metahebb.worlds import car_racing  # noqa: E402

# gymnasium.make("metahebb/CarRacing-v0") works from now on.
car_racing.register()

# Gymnasium silences pygame by an environment variable; importing metahebb leaves the environment as it was.
for _name in os.environ.keys() - _environment.keys():
    del os.environ[_name]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from metahebb.agents import Agent as Agent
    from metahebb.analysis.recordings import Recording as Recording
    from metahebb.analysis.recordings import open_recording as open_recording
    from metahebb.analysis.recordings import record as record
    from metahebb.analysis.video import film as film
    from metahebb.api import Evaluation as Evaluation
    from metahebb.api import evaluate as evaluate
    from metahebb.api import load as load
    from metahebb.api import resume as resume
    from metahebb.api import train as train
    from metahebb.configuration import Configuration as Configuration
    from metahebb.errors import MetahebbError as MetahebbError
    from metahebb.errors import RunError as RunError
    from metahebb.errors import UsageError as UsageError
    from metahebb.evolution.runs import Run as Run
    from metahebb.evolution.runs import open_run as open_run
    from metahebb.evolution.training import Observer as Observer
    from metahebb.experiments.comparison import Comparison as Comparison
    from metahebb.experiments.comparison import compare as compare
    from metahebb.experiments.sweep import Sweep as Sweep
    from metahebb.experiments.sweep import sweep as sweep
    from metahebb.networks import Network as Network
    from metahebb.paper.reference_files import import_reference as import_reference
    from metahebb.rules import RULES as RULES
    from metahebb.rules import Rule as Rule
    from metahebb.tasks import register_task as register_task

_PUBLIC = {
    "Agent": "agents",
    "Comparison": "experiments.comparison",
    "Configuration": "configuration",
    "Evaluation": "api",
    "MetahebbError": "errors",
    "Network": "networks",
    "Observer": "evolution.training",
    "RULES": "rules",
    "Recording": "analysis.recordings",
    "Rule": "rules",
    "Run": "evolution.runs",
    "RunError": "errors",
    "Sweep": "experiments.sweep",
    "UsageError": "errors",
    "compare": "experiments.comparison",
    "evaluate": "api",
    "film": "analysis.video",
    "import_reference": "paper.reference_files",
    "load": "api",
    "open_recording": "analysis.recordings",
    "open_run": "evolution.runs",
    "record": "analysis.recordings",
    "register_task": "tasks",
    "resume": "api",
    "sweep": "experiments.sweep",
    "train": "api",
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'metahebb' has no attribute {name!r}")
    return getattr(importlib.import_module(f"metahebb.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
