"""Configurations: what they refuse, what goes before what, and that a file gives them back."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from metahebb.configuration import (
    FORMAT,
    PRESETS,
    Configuration,
    configuration_from_json,
    configure,
    network_of,
    read_configuration,
    task_of,
)
from metahebb.errors import UsageError

TASK = "gymnasium:CartPole-v1"

COUNTS = ("population", "generations", "lives", "frame_stack", "validate_every", "validation_lives")
POSITIVE = ("start_scale", "filter_scale", "sigma", "lr", "sigma_decay", "lr_decay")
NOT_NEGATIVE = ("sigma_minimum", "lr_minimum", "penalty")
NAMES = ("initial_weights", "normaliser", "activation", "coefficients", "optimizer", "start")
TYPES: dict[str, list[Any]] = {
    "task": [3, None],
    "env_args": [[1], "x=1"],
    "greyscale": ["yes", 1],
    "imports": ["my_envs.py", ["my_envs.py"], (3,)],
    "simulator": [3],
    "morphologies": ["standard"],
    "rule": [None],
    "rule_digest": [7],
    "static": ["no", 0],
    "hidden": [8, [8], (8.0,), (True,), "128,64"],
    "strategy": [None],
    "strategy_options": ["std_init=1", None],
    "paired_lives": ["no"],
}

REFUSED: list[tuple[str, Any, str]] = [
    *((name, value, "a whole number, 1 or more") for name in COUNTS for value in (0, -1, 2.0, True, "4", None)),
    *((name, value, "a finite number above 0") for name in POSITIVE for value in (0, -0.1, math.nan, math.inf, "1")),
    *((name, v, "a finite number, 0 or more") for name in NOT_NEGATIVE for v in (-1e-9, math.nan, math.inf, None)),
    *(("target", value, "a finite number") for value in (math.nan, -math.inf, "475", True)),
    *(("seed", value, "a whole number from 0 to 2^63") for value in (-1, 2**63, 1.0, "1", None, True)),
    *(("hidden", value, "whole numbers, 1 or more") for value in ((0,), (8, -1))),
    *((name, "noen", f"Unknown {name.replace('_', ' ')} 'noen'") for name in NAMES),
    *((name, value, "must be of type") for name, values in TYPES.items() for value in values),
    ("population", 7, "8 would do"),
]


@pytest.mark.parametrize(("name", "value", "complaint"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_is_out_of_range_is_refused(name: str, value: Any, complaint: str) -> None:
    with pytest.raises(UsageError) as error:
        Configuration(**{"task": TASK, name: value})
    sentence = str(error.value)
    assert complaint in sentence
    # It names the setting, as an option or as what it is, and what was given.
    assert name.replace("_", "-") in sentence or name in sentence or name.replace("_", " ") in sentence
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
    ],
)
def test_the_edges_of_a_range_are_within(name: str, value: Any) -> None:
    assert getattr(Configuration(**{"task": TASK, name: value}), name) == value


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


def test_all_settings_are_written() -> None:
    assert set(Configuration(TASK).to_json()) == {f.name for f in dataclasses.fields(Configuration)} | {"format"}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (None, "mine is not a configuration"),
        ([], "mine is not a configuration"),
        ({"format": 1}, "mine is not a configuration"),
        ({"task": TASK}, "mine has format None; this version reads format 1"),
        ({"task": TASK, "format": 2}, "mine has format 2; this version reads format 1"),
        (
            {"task": TASK, "format": 1, "populatoin": 4},
            "mine: Unknown setting 'populatoin'. Did you mean 'population'?",
        ),
        ({"task": TASK, "format": 1, "population": 0}, "mine: --population is 0"),
        ({"task": TASK, "format": 1, "hidden": ["8"]}, "mine: hidden is ('8',)"),
    ],
)
def test_what_is_no_configuration_is_told(data: Any, complaint: str) -> None:
    with pytest.raises(UsageError) as error:
        configuration_from_json(data, "mine")
    assert str(error.value).startswith(complaint)


def test_explicit_options_go_before_a_preset_and_a_preset_before_a_task() -> None:
    """``car-racing`` has settings of its own, and its own way to be the paper's."""
    plain, paper = configure("car-racing")[0], configure("car-racing", "paper")[0]
    assert (plain.population, plain.lr, plain.paired_lives) == (200, 0.05, True)
    assert (paper.population, paper.lr, paper.paired_lives, paper.generations) == (200, 0.2, False, 300)
    mine = configure("car-racing", "paper", lr=0.1, generations=None)[0]
    assert (mine.lr, mine.generations) == (0.1, 300)
    # The published repetition's, on the other task.
    legs = configure("quadruped", "paper")[0]
    assert (legs.population, legs.generations, legs.lr, legs.sigma) == (500, 500, 0.2, 0.1)
    assert (legs.normaliser, legs.morphologies) == ("none", ("standard", "front-right-damaged"))


def test_the_papers_schedule() -> None:
    published = {
        "rule": "ABCD_lr", "lives": 1, "paired_lives": False, "start": "normal", "start_scale": 1.0,
        "filter_scale": 1.0, "optimizer": "sgd", "penalty": 0.01,
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
