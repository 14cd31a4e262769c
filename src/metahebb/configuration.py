"""The settings of a run: everything that decides its result, in one value that is written beside it.

A run is made again from its configuration alone. How many workers live its lives, and for how long it may take, are not
part of it: they do not change the result.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metahebb.errors import UsageError, quoted, unknown
from metahebb.files import read_file
from metahebb.initial_weights import CO_EVOLVED, INITIAL_WEIGHTS
from metahebb.networks import ACTIVATIONS, STORAGE, Network
from metahebb.normalisers import NORMALISERS
from metahebb.rules import Rule, load_rule
from metahebb.tasks import Options, Task, locate_user_module, make_task

__all__ = ["FORMAT", "PRESETS", "Configuration", "configure", "network_of", "read_configuration", "task_of"]

FORMAT = 1
"""The number of the format of run folders and agents; it grows when older versions could not read a newer one."""

OPTIMIZERS = ("sgd", "momentum", "adam")
STARTS = ("normal", "uniform")
_OPENAI_ES_ONLY = (
    "paired_lives", "filter_scale", "sigma", "sigma_decay", "sigma_minimum",
    "lr", "lr_decay", "lr_minimum", "optimizer",
)  # fmt: skip

_STATIC = {"rule": "ABCD_lr", "normaliser": "none", "initial_weights": "uniform", "coefficients": "float32"}
"""What static networks do not have, and what is written in its place."""


@dataclass(frozen=True)
class Configuration:
    """All settings of a run. The defaults are those of ``gymnasium:`` tasks."""

    task: str
    env_args: Mapping[str, Any] = field(default_factory=dict)
    greyscale: bool = False
    frame_stack: int = 1
    imports: tuple[str, ...] = ()
    simulator: str | None = None
    """which of a task's simulators, where it has several"""
    morphologies: tuple[str, ...] = ()
    """the bodies that a member lives in, one life each (times ``lives``), where its task has bodies"""

    rule: str = "ABCD_lr"
    rule_digest: str | None = None
    """SHA-256 of the file of a user's rule"""
    static: bool = False
    initial_weights: str = "uniform"
    normaliser: str = "max-abs"
    hidden: tuple[int, ...] = (128, 64)
    activation: str = "tanh"
    coefficients: str = "float32"
    """how a life stores them; float16 is faster where synapses are many"""

    strategy: str = "openai-es"
    strategy_options: Mapping[str, float | str] = field(default_factory=dict)
    population: int = 64
    generations: int = 300
    lives: int = 1
    """lives of each member in each generation, and in each of its bodies"""
    paired_lives: bool = True
    """the two members of a mirrored pair share the seeds of their lives"""
    start: str = "normal"
    start_scale: float = 1.0
    """times the starting genes"""
    filter_scale: float = 1.0
    """times the filters' starting genes, samples and updates, so that what they show is not saturated"""
    sigma: float = 0.1
    sigma_decay: float = 0.999
    sigma_minimum: float = 0.01
    lr: float = 0.05
    lr_decay: float = 0.995
    lr_minimum: float = 0.001
    optimizer: str = "sgd"
    penalty: float = 0.01
    """times the mean square of the synapses' genes, subtracted from the fitness"""
    seed: int = 0

    validate_every: int = 10
    """generations between validations of the mean"""
    validation_lives: int = 32
    target: float | None = None
    """a validation score that ends the run"""

    def __post_init__(self) -> None:
        """Raises UsageError for a value of the wrong type, out of its range or unknown by name."""
        for f in dataclasses.fields(self):
            value, accepts = getattr(self, f.name), _ACCEPTS.get(str(f.type))
            if accepts is not None and not accepts(value):
                raise UsageError(f"{f.name} is {value!r}; it must be of type {f.type}.")
        for name, accepted in {
            "initial_weights": (*INITIAL_WEIGHTS, CO_EVOLVED),
            "normaliser": tuple(NORMALISERS),
            "activation": tuple(ACTIVATIONS),
            "coefficients": tuple(STORAGE),
            "optimizer": OPTIMIZERS,
            "start": STARTS,
        }.items():
            if getattr(self, name) not in accepted:
                raise unknown(name.replace("_", " "), str(getattr(self, name)), accepted)
        for name in (
            "population",
            "generations",
            "lives",
            "frame_stack",
            "validate_every",
            "validation_lives",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"--{_option(name)} is {value!r}; it must be a whole number, 1 or more.")
        for name in ("start_scale", "filter_scale", "sigma", "lr", "sigma_decay", "lr_decay"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                raise UsageError(f"--{_option(name)} is {value!r}; it must be a finite number above 0.")
        for name in ("sigma_minimum", "lr_minimum", "penalty"):
            value = getattr(self, name)
            if not _is_number(value) or value < 0:
                raise UsageError(f"--{_option(name)} is {value!r}; it must be a finite number, 0 or more.")
        if self.target is not None and not _is_number(self.target):
            raise UsageError(f"--target is {self.target!r}; it must be a finite number.")
        if not all(size >= 1 for size in self.hidden):
            raise UsageError(f"--hidden is {self.hidden!r}; it must be whole numbers, 1 or more, such as 128,64.")
        check_seed(self.seed)
        if self.strategy == "openai-es":
            if self.population % 2:
                raise UsageError(
                    f"--population is {self.population}; openai-es samples mirrored pairs, so it must be even: "
                    f"{self.population + 1} would do."
                )
            if self.strategy_options:
                raise UsageError(
                    "--strategy-option is for strategies of evosax; openai-es has --sigma, --lr and --optimizer."
                )

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values, with the format's number."""
        return {"format": FORMAT, **dataclasses.asdict(self)}


def check_seed(seed: int) -> None:
    """Raise UsageError for a seed that is none."""
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise UsageError(f"--seed is {seed!r}; it must be a whole number from 0 to 2^63 − 1.")


_ACCEPTS: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "str | None": lambda value: value is None or isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "tuple[str, ...]": lambda value: isinstance(value, tuple) and all(isinstance(item, str) for item in value),
    "tuple[int, ...]": lambda value: isinstance(value, tuple) and all(type(item) is int for item in value),
    "Mapping[str, Any]": lambda value: isinstance(value, Mapping),
    "Mapping[str, float | str]": lambda value: isinstance(value, Mapping),
}
"""What a setting may be, by the type that it is declared with; numbers have sentences of their own."""


def _option(name: str) -> str:
    return name.replace("_", "-")


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "rule": "ABCD_lr",
        "strategy": "openai-es",
        "population": 200,
        "generations": 300,
        "lives": 1,
        "paired_lives": False,
        "start": "normal",
        "start_scale": 1.0,
        "filter_scale": 1.0,
        "sigma": 0.1,
        "sigma_decay": 0.999,
        "sigma_minimum": 0.01,
        "lr": 0.2,
        "lr_decay": 0.995,
        "lr_minimum": 0.001,
        "optimizer": "sgd",
        "penalty": 0.01,
    },
}
"""Settings by name; a task's own settings and explicit options go before them."""


def configure(task: str, preset: str | None = None, **options: Any) -> tuple[Configuration, Task, Network]:
    """A configuration of a task, its preset and explicit options, checked as a whole.

    Options that are None are left to the preset, then to the task. Raises UsageError for anything that is known to be
    bad before work starts.
    """
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items() if value is not None
    }
    known = {f.name for f in dataclasses.fields(Configuration)}
    for name in given:
        if name not in known:
            raise unknown("option", name, sorted(known))
    if preset is not None and preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    if "imports" in given:
        given["imports"] = tuple(locate_user_module(name) for name in given["imports"])
    options_of_task = Options(
        given.get("env_args", {}), given.get("greyscale", False), given.get("frame_stack", 1), given.get("simulator")
    )
    made = make_task(task, options_of_task, given.get("imports", ()))
    published = {**PRESETS[preset], **made.paper} if preset else {}
    settings = {"target": made.target, **made.settings, **published, **given}
    if given.get("strategy", "openai-es") != "openai-es":
        defaults = {f.name: f.default for f in dataclasses.fields(Configuration)}
        for name in _OPENAI_ES_ONLY:
            if name in given and given[name] != defaults[name]:
                raise UsageError(
                    f"--{_option(name)} belongs to openai-es; {given['strategy']} of evosax takes its own settings by "
                    "--strategy-option, such as std_init=0.1."
                )
            settings[name] = defaults[name]
    settings["morphologies"] = bodies_of(made, settings.get("morphologies", ()))
    if settings.get("static"):
        for name, only in _STATIC.items():
            if name in given and given[name] != only:
                raise UsageError(f"--static networks have no {_option(name)}: their weights are evolved; leave it out.")
            settings[name] = only
    configuration = Configuration(task=task, **settings)
    network = network_of(configuration, made)
    if given.get("filter_scale", 1.0) != 1.0 and not network.filter_parameters:
        raise UsageError(f"--filter-scale is {given['filter_scale']!r}, but task {task!r} has no images to filter.")
    if network.rule is not None and network.rule.file is not None:
        settings |= {
            "rule": f"{network.rule.file}:{network.rule.name.rpartition(':')[2]}",
            "rule_digest": network.rule.digest,
        }
        configuration = Configuration(task=task, **settings)
    return configuration, made, network


def task_of(configuration: Configuration) -> Task:
    """The task that a configuration names."""
    c = configuration
    return make_task(c.task, Options(c.env_args, c.greyscale, c.frame_stack, c.simulator), c.imports)


def bodies_of(task: Task, morphologies: Sequence[str]) -> tuple[str, ...]:
    """The bodies as they are written in a configuration; raises UsageError for a task without, or an unknown one."""
    if morphologies and task.parse_body is None:
        raise UsageError(
            f"--morphology is given, but task {task.name!r} has no bodies; `metahebb tasks` tells which do."
        )
    return tuple(task.parse_body(body) for body in morphologies) if task.parse_body is not None else ()


def network_of(configuration: Configuration, task: Task, rule: Rule | None = None) -> Network:
    """The network that a configuration describes, for its task; ``rule`` goes before the rule's name."""
    if configuration.static:
        rule = None
    elif rule is None:
        rule = load_rule(configuration.rule)
    return Network(
        task.encoder,
        task.readout.outputs,
        rule,
        configuration.hidden,
        configuration.activation,
        task.output_activation,
        configuration.initial_weights,
        configuration.normaliser,
        configuration.coefficients,
    )


def configuration_from_json(data: Any, source: str) -> Configuration:
    """A configuration of JSON values; raises UsageError naming ``source`` if they are not one."""
    if not isinstance(data, dict) or "task" not in data:
        raise UsageError(f"{source} is not a configuration of metahebb.")
    if data.get("format") != FORMAT:
        raise UsageError(
            f"{source} has format {data.get('format')!r}; this version reads format {FORMAT}. "
            "Use the version of metahebb that wrote it."
        )
    values = {name: value for name, value in data.items() if name != "format"}
    known = {f.name for f in dataclasses.fields(Configuration)}
    for name in values:
        if name not in known:
            raise UsageError(f"{source}: {unknown('setting', name, sorted(known))}")
    for name in ("imports", "hidden", "morphologies"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    try:
        return Configuration(**values)
    except UsageError as e:
        raise UsageError(f"{source}: {e}") from e


def read_configuration(path: Path) -> Configuration:
    """A configuration of a file that a run wrote; raises UsageError if it is not one."""
    content = read_file("The configuration", path)
    try:
        configuration = configuration_from_json(json.loads(content), quoted(path))
        # What is nested too deep to be written is not read either.
        configuration.to_json()
    except UsageError:
        raise
    except (ValueError, RecursionError) as e:
        raise UsageError(f"{quoted(path)} is not a configuration of metahebb: {e}.") from e
    return configuration
