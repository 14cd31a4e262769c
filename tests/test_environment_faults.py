"""Environments that break Gymnasium's rules are told apart before anything is written, and by name later."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import metahebb as package
from misbehaving import STEPS
from support import Answer, options, result

pytestmark = pytest.mark.xdist_group("environment faults")

IMPORT = ["--import", str(Path(__file__).with_name("misbehaving.py"))]
SMALL = options(hidden=4, population=2, generations=1, validation_lives=1, workers=1)
NOT_FINITE = ("a reward of NaN", "a huge reward", "an observation of NaN")

SAYS = {
    "four values": "returned a wrong number of values|(observation, reward, terminated, truncated, info)",
    "a reward of shape (1,)": "gave an array of shape (1,) for a reward|one real number",
    "a reward of None": "gave None for a reward|one real number",
    "a reward of text": "gave str 'much' for a reward",
    "an end of None": "returned None for terminated|a bool",
    "an info of None": "returned None for info|a dict",
    "another shape": "shape (4,)|Box(-1.0, 1.0, (3,), float32) has (3,)",
    "a scalar": "shape ()|has (3,)",
    "an observation of None": "gave None for an observation",
    "an observation with None": "gave [0.1, None, 0.2] for an observation",
    "a ragged observation": "gave [0.1, [0.2]] for an observation",
    "SystemExit": "raised SystemExit: I leave",
    "KeyboardInterrupt": "raised KeyboardInterrupt|step 1 of the life with seed 0",
    "ZeroDivisionError": "raised ZeroDivisionError|misbehaving.py, line",
}
OTHERS = {
    # what it is: (environment, argument, what the sentence says)
    "a reset without info": ("Misbehaving", "a reset without info", "returned an array of shape (3,)|reset(seed="),
    "SystemExit in the constructor": ("Misbehaving", "SystemExit in the constructor", "raised SystemExit: I leave"),
    "KeyboardInterrupt in it": ("Misbehaving", "KeyboardInterrupt in the constructor", "raised KeyboardInterrupt"),
    "no seed in reset": ("Seedless", "", "raised TypeError|the reset of the life|Gymnasium asks for reset(seed="),
    "no space": ("Spaceless", None, "observation_space|Gymnasium asks for a Space"),
    "a number out of range": ("Numbered", "", "gave the observation 9, which Discrete(4) does not contain"),
    "bytes between 0 and 1": ("Bytes", "", "gave an image of float64|of bytes"),
    "a part left out": ("Partial", "", "gave an observation without its part ['goal']"),
}
CASES = {
    **{how: ("Misbehaving", how, SAYS.get(how, "")) for how in STEPS if how not in NOT_FINITE},
    **OTHERS,
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_before_anything_is_written(
    case: str, metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, how, says = CASES[case]
    argument = [] if how is None else ["--env-arg", f"how={how}"]
    code, out, err = metahebb("train", f"gymnasium:{name}-v0", *argument, *IMPORT, *SMALL)
    assert code == 2
    assert out == ""
    assert err.startswith(f"Error: Environment '{name}-v0' ")
    assert err.count("\n") == 1
    for part in says.split("|"):
        assert part in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["a reward of None", "SystemExit", "KeyboardInterrupt", "another shape"])
def test_in_the_middle_of_a_run_it_is_named_with_seed_and_step(
    how: str, metahebb: Callable[..., Answer], tmp_path: Path
) -> None:
    # No life of the trial has a seed so large.
    arguments = ["--env-arg", f"how={how}", "--env-arg", "since=1000", "--env-arg", "step=4"]
    code, _, err = metahebb("train", "gymnasium:Misbehaving-v0", *arguments, *IMPORT, *SMALL, "--run", tmp_path / "run")
    assert code == 1
    last = err.strip().rpartition("\n")[2]
    assert last.startswith("Error: Environment 'Misbehaving-v0' ")
    assert "step 4 of the life with seed " in last
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("a reward of NaN", "rewards"),
        ("a huge reward", "their sum is beyond"),
        ("an observation of NaN", "observations"),
    ],
)
def test_an_environment_s_infinity_is_not_blamed_on_the_network(
    how: str, says: str, metahebb: Callable[..., Answer], tmp_path: Path
) -> None:
    code, _, err = metahebb(
        "train", "gymnasium:Misbehaving-v0", "--env-arg", f"how={how}", *IMPORT, "--run", tmp_path / "run",
        *options(hidden=4, population=2, generations=2, validation_lives=1, workers=1),
    )  # fmt: skip
    assert code == 1
    last = err.strip().rpartition("\n")[2]
    assert last.startswith("Error: No life of generation 0 had a finite fitness: the environment's ")
    assert says in last
    assert "normaliser" not in last


def test_a_run_of_nothing_but_divergence_does_not_end_well(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "explosive.py").write_text("def explosive(pre, post, weight, A):\n    return 1e30 * weight + A\n")
    code, _, err = metahebb(
        "train", "gymnasium:CartPole-v1", "--rule", tmp_path / "explosive.py:explosive", "--run", tmp_path / "run",
        *options(hidden=4, population=2, generations=2, validation_lives=1, workers=1, normaliser="none"),
    )  # fmt: skip
    assert code == 1
    assert "No life of the last 2 generations had a finite fitness: the networks diverge" in err


def test_a_life_without_end_is_given_one_that_is_said_and_recorded(
    metahebb: Callable[..., Answer], tmp_path: Path
) -> None:
    code, _, err = metahebb("train", "gymnasium:Unending-v0", *IMPORT, *SMALL, "--run", tmp_path / "run")
    assert code == 0
    assert "a life ends after 10000 if it has not by itself (--max-steps)" in err
    assert json.loads((tmp_path / "run" / "config.json").read_text())["max_steps"] == 10_000
    (metrics,) = package.open_run(tmp_path / "run").metrics()
    assert metrics["steps"] == 20_000
    # What is recorded is not said again.
    again = ["train", "--config", tmp_path / "run" / "config.json", "--run", tmp_path / "again", "--max-steps", "7"]
    code, _, err = metahebb(*again, "--workers", "1")
    assert (code, err) == (0, "")
    assert package.open_run(tmp_path / "again").metrics()[0]["steps"] == 14


@pytest.mark.parametrize("given", [None, "--fresh-environments", "--no-fresh-environments"])
def test_environments_with_a_memory_are_new_for_each_life(
    given: str | None, metahebb: Callable[..., Answer], tmp_path: Path
) -> None:
    def run(workers: int) -> dict[str, object]:
        folder = tmp_path / str(workers)
        code, *_ = metahebb(
            "train", "gymnasium:Remembering-v0", *IMPORT, "--run", folder, *([given] if given else []),
            *options(hidden=4, population=40, generations=2, validation_lives=2, workers=workers),
        )  # fmt: skip
        assert code == 0
        return result(folder)

    one, two = run(1), run(2)
    assert (one == two) is (given != "--no-fresh-environments")
    recorded = json.loads((tmp_path / "1" / "config.json").read_text())["fresh_environments"]
    assert recorded is (given != "--no-fresh-environments")


def test_bipedal_walker_has_the_same_bits_for_any_number_of_workers(tmp_path: Path) -> None:
    pytest.importorskip("Box2D")
    settings = {"hidden": (8,), "population": 32, "generations": 2, "validation_lives": 4, "max_steps": 100}
    one, two = (
        package.train("gymnasium:BipedalWalker-v3", run=tmp_path / str(n), workers=n, **settings) for n in (1, 2)
    )
    assert one.configuration.fresh_environments is True
    assert result(one.folder) == result(two.folder)
