"""Configurations: what they refuse, what goes before what, and that a file gives them back."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metahebb import configuration as module
from metahebb.agents import load_agent
from metahebb.assembly import configure, network_of, settings_from, task_of
from metahebb.configuration import FORMAT, PRESETS, SETTINGS, Configuration, configuration_from_json, read_configuration
from metahebb.errors import UsageError
from metahebb.evolution.runs import open_run
from metahebb.evolution.training import Ending
from metahebb.settings import Flag, Group, Name, Text, Whole, setting, settings_of
from support import ENVIRONMENTS, Answer

TASK = "gymnasium:CartPole-v1"
RESULTS = Path(__file__).parents[1] / "results"

FIRST_FORMAT = {
    "task", "env_args", "greyscale", "frame_stack", "imports", "simulator", "morphologies", "rule", "rule_digest",
    "static", "initial_weights", "normaliser", "hidden", "activation", "coefficients", "strategy", "strategy_options",
    "population", "generations", "lives", "paired_lives", "start", "start_scale", "filter_scale", "sigma",
    "sigma_decay", "sigma_minimum", "lr", "lr_decay", "lr_minimum", "optimizer", "penalty", "seed", "validate_every",
    "validation_lives", "target",
}  # fmt: skip
"""The settings that every file has."""

COUNTS = ("population", "generations", "lives", "frame_stack", "validate_every", "validation_lives")
DECAYS = ("sigma_decay", "lr_decay")
POSITIVE = ("start_scale", "filter_scale", "sigma", "lr", *DECAYS)
NOT_NEGATIVE = ("sigma_minimum", "lr_minimum", "penalty")
NAMES = ("initial_weights", "normaliser", "activation", "coefficients", "optimizer", "start")
TYPES: dict[str, tuple[str, list[Any]]] = {
    "task": ("text", [3, None]),
    "env_args": ("a mapping", [[1], "x=1", {1: 2}]),
    "greyscale": ("True or False", ["yes", 1]),
    "imports": ("a list of texts", ["my_envs.py", (3,)]),
    "simulator": ("text", [3]),
    "morphologies": ("a list of texts", ["standard"]),
    "rule": ("text", [None]),
    "rule_digest": ("text", [7]),
    "static": ("True or False", ["no", 0]),
    "hidden": ("whole numbers, 1 or more", [8, (8.0,), (True,), "128,64", (0,), (8, -1)]),
    "initial_weights": ("text", [None]),
    "strategy": ("text", [None]),
    "strategy_options": ("a mapping", ["std_init=1", None]),
    "paired_lives": ("True or False", ["no"]),
}

REFUSED: list[tuple[str, Any, str]] = [
    *((name, value, "a whole number, 1 or more") for name in COUNTS for value in (0, -1, 2.0, True, "4", None)),
    *((name, value, "a finite number above 0, 1 or less") for name in DECAYS for value in (1.0001, 1e30)),
    *((name, value, "float32 cannot hold it") for name in ("sigma", "lr") for value in (1e-320, 1e308, 10**40)),
    *((name, value, "a finite number above 0") for name in POSITIVE for value in (0, -0.1, math.nan, math.inf, "1")),
    *((name, v, "a finite number, 0 or more") for name in NOT_NEGATIVE for v in (-1e-9, math.nan, math.inf, None)),
    *(("target", value, "a finite number") for value in (math.nan, -math.inf, "475", True)),
    *(("seed", value, "a whole number from 0 to 2^63") for value in (-1, 2**63, 1.0, "1", None, True)),
    *((name, "noen", f"Unknown {name.replace('_', ' ')} 'noen'") for name in NAMES),
    *((name, value, f"must be {what}") for name, (what, values) in TYPES.items() for value in values),
    ("population", 7, "8 would do"),
]


@pytest.mark.parametrize(("name", "value", "complaint"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_is_out_of_range_is_refused(name: str, value: Any, complaint: str) -> None:
    with pytest.raises(UsageError) as error:
        Configuration(**{"task": TASK, name: value})
    sentence = str(error.value)
    assert complaint in sentence
    # It names the setting, as an option or as what it is, and what was given.
    assert SETTINGS[name].label in sentence or SETTINGS[name].label.replace("-", " ") in sentence
    assert str(value) in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 2) for name in COUNTS),
        *((name, 1e-9) for name in POSITIVE),
        *((name, 0) for name in NOT_NEGATIVE),
        *(("seed", value) for value in (0, 2**63 - 1)),
        *(("target", value) for value in (None, -100, 0.0)),
        ("hidden", ()),
        ("hidden", (1,)),
        ("initial_weights", "co-evolved"),
        *((name, 1.0) for name in DECAYS),
    ],
)
def test_the_edges_of_a_range_are_within(name: str, value: Any) -> None:
    assert getattr(Configuration(**{"task": TASK, name: value}), name) == value


def test_values_of_other_types_that_mean_the_same_are_written_plainly() -> None:
    given: dict[str, Any] = {
        "population": np.int64(4), "lr": np.float32(0.5), "hidden": [np.int32(8)], "imports": [Path("my_envs.py")],
        "penalty": np.float64(0.25),
    }  # fmt: skip
    configuration = Configuration(TASK, **given)
    plain = {"population": 4, "lr": 0.5, "hidden": [8], "imports": ["my_envs.py"], "penalty": 0.25}
    assert plain.items() <= json.loads(json.dumps(configuration.to_json())).items()


def test_openai_es_has_no_options_of_evosax() -> None:
    with pytest.raises(UsageError, match=r"^--strategy-option is for strategies of evosax; openai-es has --sigma"):
        Configuration(TASK, strategy_options={"std_init": 1.0})


def test_an_odd_population_suits_other_strategies() -> None:
    assert Configuration(TASK, strategy="SNES", population=7).population == 7


def test_a_file_gives_a_configuration_back(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "env_args": {"gravity": 0.1 + 0.2, "names": ["a", None], "sloppy": True},
        "imports": ("my_envs",),
        "morphologies": ("standard",),
        "hidden": (5, 4),
        "strategy": "SNES",
        "strategy_options": {"std_init": 1e-3, "optimizer": "adam"},
        "target": 1 / 3,
        "seed": 2**63 - 1,
        "static": True,
    }
    configuration = Configuration(TASK, **values)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(configuration.to_json()))
    assert read_configuration(path) == configuration
    assert configuration.to_json()["format"] == FORMAT == 1
    assert read_configuration(path) != dataclasses.replace(configuration, seed=1)


def test_files_have_all_settings_of_the_first_format_and_of_newer_ones_those_that_differ() -> None:
    newer = {name for name, declared in SETTINGS.items() if declared.absent is not ...}
    assert FIRST_FORMAT.isdisjoint(newer)
    # A newer setting has to say what files without it mean.
    assert SETTINGS.keys() - newer == FIRST_FORMAT
    as_before = {name: SETTINGS[name].absent for name in newer}
    assert Configuration(TASK, **as_before).to_json().keys() == FIRST_FORMAT | {"format"}


@dataclass(frozen=True)
class Newer:
    """A configuration of a later version: it has one setting more, whose default has changed since it came."""

    task: str = setting(..., Group.WORLD, Text(), "", option=None)
    a_newer_setting: int = setting(4, Group.NETWORK, Whole(1), "", absent=1)


def test_older_versions_read_files_that_newer_ones_write(monkeypatch: pytest.MonkeyPatch) -> None:
    older = configuration_from_json({"format": 1, "task": TASK}, "mine")
    monkeypatch.setattr(module, "SETTINGS", settings_of(Newer))
    monkeypatch.setattr(module, "Configuration", Newer)
    as_before, as_now = (Configuration.to_json(Newer(TASK, n)) for n in (1, 4))  # type: ignore[arg-type]
    assert as_before == {"format": 1, "task": TASK}
    # What a file does not mention is as it was before there was such a setting, whatever the default is by now.
    assert configuration_from_json(as_before, "mine") == Newer(TASK, 1)
    assert configuration_from_json(as_now, "mine") == Newer(TASK, 4)
    monkeypatch.undo()
    assert configuration_from_json(as_before, "mine") == older
    with pytest.raises(UsageError, match=r"'a_newer_setting'.* A newer version of metahebb may have"):
        configuration_from_json(as_now, "mine")


@pytest.mark.parametrize("folder", sorted(path.parent for path in RESULTS.glob("*/config.json")), ids=lambda f: f.name)
def test_the_runs_that_were_made_are_read(folder: Path) -> None:
    read = read_configuration(folder / "config.json")
    assert json.loads(json.dumps(read.to_json())) == json.loads((folder / "config.json").read_text())
    if (folder / "best.safetensors").exists() and not read.task.endswith("bullet"):
        assert load_agent(folder).configuration == read


DEFAULTS = {
    "frame_stack": "1", "rule": "ABCD_lr", "initial_weights": "uniform", "normaliser": "max-abs", "hidden": "128,64",
    "activation": "tanh", "coefficients": "float32", "strategy": "openai-es", "population": "64", "lives": "1",
    "paired_lives": "on", "start": "normal", "start_scale": "1", "filter_scale": "1", "sigma": "0.1", "noise_rank": "0",
    "sigma_decay": "0.999", "sigma_minimum": "0.01", "shaping": "ranks", "lr": "0.05", "lr_decay": "0.995",
    "lr_minimum": "0.001", "optimizer": "sgd", "penalty": "0.01", "seed": "0", "generations": "300",
    "validate_every": "10", "validation_lives": "32",
}  # fmt: skip
"""What the help says of them; of the others it has no more to say than their own."""


@pytest.mark.parametrize("help_asked", ["-h", "--help"])
def test_settings_are_options_that_help_describes(help_asked: str, metahebb: Callable[..., Answer]) -> None:
    assert {name for name, declared in SETTINGS.items() if declared.option is None} == {
        "task",
        "rule_digest",
        "import_digests",
    }
    words = " ".join(re.findall(r"[^\s│]+", metahebb("train", help_asked).out))
    for name, declared in SETTINGS.items():
        if declared.option is None:
            continue
        what = declared.help + (f" Default {DEFAULTS[name]}." if name in DEFAULTS else "")
        if isinstance(declared.kind, Name):
            what += f" One of {', '.join(declared.kind.accepted())}."
        if isinstance(declared.kind, Flag):
            what += f" Or --no-{declared.option}."
        assert re.search(rf"--{declared.option} \S+ {re.escape(what)} ", words), declared.option


CHANGED: dict[str, tuple[Any, str]] = {
    # name: (another value than the default of CartPole, the same on the command line)
    "env_args": ({"sutton_barto_reward": True}, "sutton_barto_reward=true"),
    "greyscale": (True, ""),
    "frame_stack": (2, "2"),
    "max_steps": (77, "77"),
    "fresh_environments": (True, ""),
    "imports": ((str(ENVIRONMENTS),), str(ENVIRONMENTS)),
    "simulator": ("gymnasium", "gymnasium"),
    "morphologies": (("standard",), "standard"),
    "rule": ("oja", "oja"),
    "static": (True, ""),
    "initial_weights": ("ones", "ones"),
    "normalise_observations": (False, ""),
    "normaliser": ("l2", "l2"),
    "hidden": ((5, 4), "5,4"),
    "activation": ("relu", "relu"),
    "coefficients": ("float16", "float16"),
    "strategy": ("SNES", "SNES"),
    "strategy_options": ({"std_init": 0.5}, "std_init=0.5"),
    "population": (6, "6"),
    "lives": (3, "3"),
    "bodies_in_turn": (False, ""),
    "paired_lives": (False, ""),
    "start": ("uniform", "uniform"),
    "start_scale": (0.5, "0.5"),
    "filter_scale": (0.5, "0.5"),
    "sigma": (0.5, "0.5"),
    "noise_rank": (2, "2"),
    "sigma_decay": (0.5, "0.5"),
    "sigma_minimum": (0.5, "0.5"),
    "shaping": ("scores", "scores"),
    "lr": (0.5, "0.5"),
    "lr_decay": (0.5, "0.5"),
    "lr_minimum": (0.5, "0.5"),
    "decay_steps": (50, "50"),
    "optimizer": ("adam", "adam"),
    "penalty": (0.5, "0.5"),
    "seed": (5, "5"),
    "generations": (7, "7"),
    "validate_every": (3, "3"),
    "validation_lives": (5, "5"),
    "target": (77.0, "77"),
}
WHERE: dict[str, dict[str, Any]] = {
    # what else a setting needs for it to be accepted
    "greyscale": {"task": "gymnasium:CarRacing-v3"},
    "simulator": {"task": "car-racing"},
    "morphologies": {"task": "quadruped"},
    "filter_scale": {"task": "car-racing"},
    "strategy_options": {"strategy": "SNES"},
    "bodies_in_turn": {"task": "quadruped"},
}


@pytest.mark.parametrize("name", [name for name, declared in SETTINGS.items() if declared.option is not None])
def test_a_setting_reaches_what_it_sets_from_the_command_line_on(
    name: str, metahebb: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    value, text = CHANGED[name]
    where = {"task": TASK, **WHERE.get(name, {})}
    task = where.pop("task")
    assert getattr(configure(task, **where)[0], name) != value
    # As far as the run's folder: nothing is lived.
    monkeypatch.setattr("metahebb.api.evolve_run", lambda run, **_: Ending("generations", 0, None))
    label = SETTINGS[name].label
    words = [f"--no-{label}"] if value is False else [f"--{label}", *([text] if text else [])]
    more = [word for other, given in where.items() for word in (f"--{SETTINGS[other].label}", given)]
    answer = metahebb("train", task, "--run", tmp_path / "run", *words, *more)
    assert answer.code == 0, answer.err
    written = open_run(tmp_path / "run").configuration
    assert getattr(written, name) == value
    plain = configure(task, **where)
    changed = configure(task, **where, **{name: value})
    group = SETTINGS[name].group
    if group is Group.NETWORK:
        assert changed[2] != plain[2]
    if group in (Group.WORLD, Group.NETWORK):
        # What an agent lives by goes with it to another run of its task, and its network to other tasks.
        assert settings_from(changed[0], task, Group.NETWORK)[name] == getattr(changed[0], name)
        assert (name in settings_from(changed[0], "another", Group.NETWORK)) == (group is Group.NETWORK)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (None, "mine is not a configuration"),
        ([], "mine is not a configuration"),
        ({"format": 1}, "mine is not a configuration"),
        ({"task": TASK}, "mine has format None; this version of metahebb reads formats up to 1."),
        ({"task": TASK, "format": True}, "mine has format True; this version of metahebb reads formats up to 1."),
        ({"task": TASK, "format": 0}, "mine has format 0; this version of metahebb reads formats up to 1."),
        ({"task": TASK, "format": 2}, "mine has format 2; this version of metahebb reads formats up to 1: use a newer"),
        (
            {"task": TASK, "format": 1, "populatoin": 4},
            "mine: Unknown setting 'populatoin'. Did you mean 'population'?",
        ),
        ({"task": TASK, "format": 1, "population": 0}, "mine: --population is 0"),
        ({"task": TASK, "format": 1, "hidden": ["8"]}, "mine: --hidden is ['8']; it must be whole numbers"),
    ],
)
def test_what_is_no_configuration_is_told(data: Any, complaint: str) -> None:
    with pytest.raises(UsageError) as error:
        configuration_from_json(data, "mine")
    assert str(error.value).startswith(complaint)


def test_explicit_options_go_before_a_preset_and_a_preset_before_a_task() -> None:
    """``car-racing`` has settings of its own, ``quadruped`` its own way to be the paper's too."""
    plain, paper = configure("car-racing")[0], configure("car-racing", "paper")[0]
    assert (plain.population, plain.shaping, plain.paired_lives) == (200, "scores", True)
    assert (paper.population, paper.shaping, paper.paired_lives, paper.generations) == (200, "ranks", False, 300)
    mine = configure("car-racing", "paper", lr=0.1, generations=None)[0]
    assert (mine.lr, mine.generations) == (0.1, 300)
    # The published repetition's, on the other task.
    legs = configure("quadruped", "paper")[0]
    assert (legs.population, legs.generations, legs.lr, legs.sigma) == (500, 500, 0.2, 0.1)
    assert (legs.normaliser, legs.morphologies) == ("none", ("standard", "front-right-damaged"))


def test_the_papers_schedule() -> None:
    published = {
        "rule": "ABCD_lr", "lives": 1, "paired_lives": False, "start": "normal", "start_scale": 1.0,
        "filter_scale": 1.0, "noise_rank": 0, "shaping": "ranks", "optimizer": "sgd", "penalty": 0.01,
        "sigma": 0.1, "sigma_decay": 0.999, "sigma_minimum": 0.01, "lr": 0.2, "lr_decay": 0.995, "lr_minimum": 0.001,
    }  # fmt: skip
    assert published.items() <= PRESETS["paper"].items()


def test_an_environments_threshold_is_the_target() -> None:
    assert configure(TASK)[0].target == 475
    assert configure(TASK, target=100.0)[0].target == 100


def test_a_static_network_has_no_settings_of_plasticity() -> None:
    configuration, _, network = configure(TASK, static=True)
    assert (configuration.normaliser, configuration.initial_weights) == ("none", "uniform")
    assert network.rule is None
    refused = {"rule": "oja", "normaliser": "max-abs", "initial_weights": "co-evolved", "coefficients": "float16"}
    for name, value in refused.items():
        with pytest.raises(UsageError, match=f"--static networks have no {name.replace('_', '-')}"):
            configure(TASK, static=True, **{name: value})


def test_images_have_scales_of_their_own_and_the_paper_has_none() -> None:
    plain, paper = configure("car-racing")[0], configure("car-racing", "paper")[0]
    assert (plain.start_scale, plain.filter_scale) == (0.3, 0.3)
    assert (paper.start_scale, paper.filter_scale) == (1.0, 1.0)
    with pytest.raises(UsageError, match=r"--bodies-in-turn is given, but task 'car-racing' has no bodies"):
        configure("car-racing", bodies_in_turn=True)
    with pytest.raises(UsageError, match=r"--filter-scale is 7.0, but task 'gymnasium:CartPole-v1' has no images"):
        configure(TASK, filter_scale=7.0)


@pytest.mark.parametrize("preset", [None, "paper"])
def test_a_configuration_of_another_strategy_can_be_given_again(preset: str | None) -> None:
    """Its own file does not hold settings of openai-es that ``--config`` would refuse."""
    configuration = configure("car-racing", preset, strategy="SNES")[0]
    assert configure(**dataclasses.asdict(configuration))[0] == configuration


@pytest.mark.parametrize("name", ["sigma", "lr", "optimizer", "paired_lives", "filter_scale"])
def test_settings_of_openai_es_are_not_for_other_strategies(name: str) -> None:
    value = {"sigma": 0.2, "lr": 0.2, "optimizer": "adam", "paired_lives": False, "filter_scale": 2.0}[name]
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} belongs to openai-es; SNES"):
        configure(TASK, strategy="SNES", **{name: value})


def test_a_configuration_makes_its_task_and_network_again() -> None:
    given = {"activation": "relu", "normaliser": "l2", "coefficients": "float16"}
    configuration, task, network = configure(TASK, hidden=(5,), rule="ABC", **given)
    again = configuration_from_json(configuration.to_json(), "mine")
    assert network_of(again, task_of(again)) == network
    assert task_of(again).encoder == task.encoder
    assert network.layers == ((4, 5), (5, 2))
    assert {name: getattr(network, name) for name in given} == given
