"""The settings of a run: everything that decides its result, in one value that is written beside it.

A run is made again from its configuration alone. How many workers live its lives, and for how long it may take, are not
part of it: they do not change the result.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metahebb.errors import UsageError, quoted, unknown
from metahebb.files import read_file
from metahebb.settings import (
    Flag,
    Group,
    Name,
    Names,
    Number,
    Pairs,
    Setting,
    Sizes,
    Text,
    Whole,
    setting,
    settings_of,
)

__all__ = [
    "FORMAT",
    "PRESETS",
    "SEED",
    "SETTINGS",
    "Configuration",
    "check_format",
    "configuration_from_json",
    "read_configuration",
]

FORMAT = 1
"""The number of the format of run folders and agents: it grows when older versions could not read a newer one."""

STARTS = ("normal", "uniform")
SEED = Whole(0, 2**63 - 1)
WORLD, NETWORK, SEARCH, RUN = Group.WORLD, Group.NETWORK, Group.SEARCH, Group.RUN
POSITIVE, NOT_NEGATIVE, DECAY = Number(above=0), Number(at_least=0), Number(above=0, at_most=1)


def _keys(module: str, *tables: str) -> Callable[[], Iterable[str]]:
    """The names in tables of a module of ours, which is imported when they are asked for."""

    def names() -> list[str]:
        imported = importlib.import_module(f"metahebb.{module}")
        return [name for table in tables for name in getattr(imported, table)]

    return names


@dataclass(frozen=True)
class Configuration:
    """All settings of a run. The defaults are those of ``gymnasium:`` tasks.

    Each field declares a setting once (``settings.setting``): the command's options, the checks, ``--from`` and the
    files are made from it.
    """

    # fmt: off
    task: str = setting(..., WORLD, Text(), "The task, such as gymnasium:CartPole-v1.", option=None)
    env_args: Mapping[str, Any] = setting(
        {}, WORLD, Pairs(), "An argument for the environment; may be repeated.", option="env-arg")
    greyscale: bool = setting(False, WORLD, Flag(), "Show the network colour images in grey.")
    frame_stack: int = setting(1, WORLD, Whole(1), "How many of the latest observations the network sees at once.")
    max_steps: int | None = setting(
        None, WORLD, Whole(1), "Steps after which a life ends; default the environment's own limit.", absent=None)
    fresh_environments: bool | None = setting(
        None, WORLD, Flag(), "A new environment for each life; default where lives need it.", absent=None)
    imports: tuple[str, ...] = setting(
        (), WORLD, Names(), "A module (or .py file) that registers tasks or environments of your own; may be repeated.",
        option="import")
    import_digests: tuple[str, ...] = setting(
        (), WORLD, Names(), "SHA-256 of each import that is a file; empty for a module.", option=None, absent=())
    simulator: str | None = setting(
        None, WORLD, Text(), "The simulator: jax or gymnasium (car-racing), mujoco or mjx (quadruped), exact or merged "
        "(quadruped-bullet).")
    morphologies: tuple[str, ...] = setting(
        (), WORLD, Names(), "A body to live in, where the task has bodies; may be repeated.", option="morphology")

    rule: str = setting(
        "ABCD_lr", NETWORK, Text(), "A rule (see `metahebb rules`), or my_rules.py:my_rule.", static="ABCD_lr")
    rule_digest: str | None = setting(
        None, NETWORK, Text(), "SHA-256 of the file of a user's rule.", option=None, static=None)
    static: bool = setting(
        False, NETWORK, Flag(), "Evolve the weights themselves, which do not change in life: no plasticity.")
    initial_weights: str = setting(
        "uniform", NETWORK, Name(_keys("initial_weights", "NAMES")), "The weights that a life begins with.",
        static="uniform")
    normaliser: str = setting(
        "max-abs", NETWORK, Name(_keys("normalisers", "NORMALISERS")), "What bounds the weights after every update.",
        static="none")
    normalise_observations: bool = setting(
        False, NETWORK, Flag(), "Give the network observations as deviations from their mean in the life so far.",
        absent=False)
    hidden: tuple[int, ...] = setting((128, 64), NETWORK, Sizes(), "The hidden layers' sizes, such as 128,64.")
    activation: str = setting(
        "tanh", NETWORK, Name(_keys("networks", "ACTIVATIONS")), "The hidden neurons' activation function.")
    coefficients: str = setting(
        "float32", NETWORK, Name(_keys("networks", "STORAGE")),
        "How a life stores its coefficients; float16 is faster in large networks.", static="float32")

    strategy: str = setting(
        "openai-es", SEARCH, Text(), "The search: openai-es, or one of evosax (see `metahebb strategies`).")
    strategy_options: Mapping[str, float | str] = setting(
        {}, SEARCH, Pairs(), "A setting of a strategy of evosax; may be repeated.", option="strategy-option")
    population: int = setting(64, SEARCH, Whole(1), "Members of a generation; openai-es needs an even number.")
    lives: int = setting(1, SEARCH, Whole(1), "Lives of each member in a generation (in each of its bodies).")
    bodies_in_turn: bool = setting(
        False, SEARCH, Flag(), "A member lives in one of the bodies, pair after pair in turn, instead of in each.",
        absent=False)
    paired_lives: bool = setting(
        True, SEARCH, Flag(), "The two members of a mirrored pair live in the same worlds.", only_for="openai-es")
    start: str = setting("normal", SEARCH, Name(lambda: STARTS), "The distribution of the starting genes.")
    start_scale: float = setting(1.0, SEARCH, POSITIVE, "A factor on the starting genes.")
    filter_scale: float = setting(
        1.0, SEARCH, POSITIVE, "With images, a factor on the filters' starting genes, samples and updates.",
        only_for="openai-es")
    sigma: float = setting(
        0.1, SEARCH, POSITIVE, "Standard deviation of the samples around the mean genome.", only_for="openai-es")
    noise_rank: int = setting(
        0, SEARCH, Whole(0), "Rank of the samples' noise in each layer's matrix of a coefficient; 0 is full noise.",
        only_for="openai-es", absent=0)
    sigma_decay: float = setting(0.999, SEARCH, DECAY, "A factor on sigma after each generation.", only_for="openai-es")
    sigma_minimum: float = setting(0.01, SEARCH, NOT_NEGATIVE, "Sigma does not decay below this.", only_for="openai-es")
    shaping: str = setting(
        "ranks", SEARCH, Name(_keys("evolution.openai_es", "SHAPINGS")),
        "What of a generation's fitness counts: the members' ranks, or their scores.", only_for="openai-es",
        absent="ranks")
    lr: float = setting(0.05, SEARCH, POSITIVE, "Learning rate of the search.", only_for="openai-es")
    lr_decay: float = setting(
        0.995, SEARCH, DECAY, "A factor on the learning rate after each generation.", only_for="openai-es")
    lr_minimum: float = setting(
        0.001, SEARCH, NOT_NEGATIVE, "The learning rate does not decay below this.", only_for="openai-es")
    decay_steps: int | None = setting(
        None, SEARCH, Whole(1), "Steps of lives for which sigma and lr decay once; default each generation's.",
        only_for="openai-es", absent=None)
    optimizer: str = setting(
        "sgd", SEARCH, Name(_keys("evolution.openai_es", "OPTIMIZERS")), "What makes a step of the estimated gradient.",
        only_for="openai-es")
    penalty: float = setting(
        0.01, SEARCH, NOT_NEGATIVE, "This times the mean square of the genes is subtracted from the fitness.")

    seed: int = setting(0, RUN, SEED, "The same seed gives the same run.")
    generations: int = setting(300, RUN, Whole(1), "How many to evolve; with --resume, the new total.")
    validate_every: int = setting(10, RUN, Whole(1), "Generations between validations of the mean genome.")
    validation_lives: int = setting(32, RUN, Whole(1), "How many lives a validation takes.")
    target: float | None = setting(
        None, RUN, Number(), "The validation score that ends the run; default the environment's own.")
    # fmt: on

    def __post_init__(self) -> None:
        """Raises UsageError for a value of the wrong type, out of its range or unknown by name."""
        for name, declared in SETTINGS.items():
            object.__setattr__(self, name, declared.read(getattr(self, name)))
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

    @property
    def lives_per_member(self) -> int:
        """How many lives a member's fitness is the mean of."""
        return self.lives if self.bodies_in_turn else self.lives * max(len(self.morphologies), 1)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values, with the format's number."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return {"format": FORMAT, **{name: v for name, v in values.items() if v != SETTINGS[name].absent}}


SETTINGS: Mapping[str, Setting] = settings_of(Configuration)
"""All settings by name."""

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "rule": "ABCD_lr",
        "normalise_observations": False,
        "coefficients": "float32",
        "strategy": "openai-es",
        "population": 200,
        "generations": 300,
        "lives": 1,
        "bodies_in_turn": False,
        "paired_lives": False,
        "start": "normal",
        "start_scale": 1.0,
        "filter_scale": 1.0,
        "sigma": 0.1,
        "noise_rank": 0,
        "sigma_decay": 0.999,
        "sigma_minimum": 0.01,
        "shaping": "ranks",
        "lr": 0.2,
        "lr_decay": 0.995,
        "lr_minimum": 0.001,
        "decay_steps": None,
        "optimizer": "sgd",
        "penalty": 0.01,
    },
}
"""Settings by name; a task's own settings (``Task.paper``) override them, and explicit options override both."""


def configuration_from_json(data: Any, source: str) -> Configuration:
    """A configuration of JSON values; raises UsageError naming ``source`` if they are not one.

    Files of all formats up to this version's are read; what a file does not mention has its default, or what its
    absence meant when the file was written (``absent``).
    """
    if not isinstance(data, dict) or "task" not in data:
        raise UsageError(f"{source} is not a configuration of metahebb.")
    check_format(data.get("format"), source)
    known = {name: declared.absent for name, declared in SETTINGS.items() if declared.absent is not ...}
    values = known | {name: value for name, value in data.items() if name != "format"}
    for name in values:
        if name not in SETTINGS:
            raise UsageError(
                f"{source}: {unknown('setting', name, sorted(SETTINGS))} A newer version of metahebb may have it."
            )
    try:
        return Configuration(**values)
    except UsageError as e:
        raise UsageError(f"{source}: {e}") from e


def check_format(number: Any, source: str) -> None:
    """Raise UsageError for a file's format number that this version cannot read."""
    if type(number) is not int or number < 1:
        raise UsageError(f"{source} has format {number!r}; this version of metahebb reads formats up to {FORMAT}.")
    if number > FORMAT:
        raise UsageError(
            f"{source} has format {number}; this version of metahebb reads formats up to {FORMAT}: use a newer one."
        )


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
