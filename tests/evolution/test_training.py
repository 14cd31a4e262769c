"""Runs have the same results to the last bit, whoever lives their lives and however often they are stopped."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import metahebb
from metahebb import Observer, Run, RunError, UsageError
from metahebb.assembly import configure
from metahebb.configuration import Configuration
from metahebb.evolution import training
from metahebb.evolution.training import fitness_of, lives_of
from metahebb.lifetimes.lives import Outcome, life_of
from metahebb.seeds import Stream
from support import COMPETING, ENVIRONMENTS, kill, result, workers_of

pytestmark = pytest.mark.xdist_group("training")

TASK = "gymnasium:CartPole-v1"
INTERRUPTED = Path(__file__).with_name("interrupted")
"""The folder of a run that the first version left after two generations."""
SETTINGS: dict[str, Any] = {
    "hidden": (8,),
    "population": 16,
    "generations": 3,
    "lives": 2,
    "validate_every": 1,
    "validation_lives": 3,
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam"},
    "with noise of low rank": {"noise_rank": 2},
    "with a distribution": {"strategy": "SNES"},
    "with a population": {"strategy": "DifferentialEvolution"},
}


class Killer(Observer):
    """Kills a worker of this process with SIGKILL after the fifth life of a generation."""

    def __init__(self, generation: int) -> None:
        self.generation_to_come, self.doomed, self.lives, self.killed = 0, generation, 0, 0

    def lived(self, outcome: Outcome, lives: int) -> None:
        self.lives += 1
        if self.generation_to_come == self.doomed and self.lives == 5:
            kill(workers_of()[:1])
            self.killed += 1

    def generation(self, metrics: dict[str, Any]) -> None:
        self.generation_to_come, self.lives = metrics["generation"] + 1, 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return metahebb.train(TASK, run=tmp_path_factory.mktemp("runs") / "undisturbed", workers=1, **SETTINGS)


@pytest.fixture
def copy(undisturbed: Run, tmp_path: Path) -> Path:
    """A copy of the undisturbed run, to be damaged."""
    return Path(shutil.copytree(undisturbed.folder, tmp_path / "copy"))


def forget(run: Path, generations: int) -> None:
    """Make of a run one that was killed after so many generations, in the middle of the next."""
    for path in (run / "checkpoints").iterdir():
        if int(path.stem) > generations:
            path.unlink()


def test_a_run_has_a_line_and_a_checkpoint_for_each_generation(undisturbed: Run) -> None:
    metrics = undisturbed.metrics()
    assert [line["generation"] for line in metrics] == [0, 1, 2]
    assert all(line["lives"] == 32 and line["steps"] >= 32 * 8 and line["diverged"] == 0 for line in metrics)
    assert all(line["fitness_mean"] == pytest.approx(line["steps"] / 32) for line in metrics)
    assert sorted(path.name for path in undisturbed.checkpoints.iterdir()) == [
        f"{generation:06d}.safetensors" for generation in (1, 2, 3)
    ]
    assert undisturbed.best.record["validation"] == max(line["validation"] for line in metrics)
    assert undisturbed.latest.record["generation"] == 2


@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_workers_changes_nothing(undisturbed: Run, tmp_path: Path, workers: int) -> None:
    run = metahebb.train(TASK, run=tmp_path / "run", workers=workers, **SETTINGS)
    assert result(run.folder) == result(undisturbed.folder)


def test_the_number_of_workers_changes_nothing_for_a_rule_that_reduces_over_neurons(tmp_path: Path) -> None:
    settings = SETTINGS | {"rule": COMPETING, "generations": 2}
    one, two = (metahebb.train(TASK, run=tmp_path / str(n), workers=n, **settings) for n in (1, 2))
    assert all(line["fitness_deviation"] > 0 for line in one.metrics())
    assert result(one.folder) == result(two.folder)


def test_the_number_of_workers_changes_nothing_in_a_traced_world(tmp_path: Path) -> None:
    # More lives than three workers have slots, so that some begin in slots where others ended.
    settings = {"population": 60, "generations": 2, "validate_every": 2, "validation_lives": 4}
    runs = [metahebb.train("car-racing", run=tmp_path / str(n), workers=n, **settings) for n in (1, 2, 3)]
    one, two, three = (result(run.folder) for run in runs)
    assert all(line["steps"] > 30 * line["lives"] and line["fitness_deviation"] > 0 for line in one["metrics"])
    assert two == one
    assert three == one


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_killed_is_replaced(undisturbed: Run, tmp_path: Path, workers: int) -> None:
    killer = Killer(generation=1)
    run = metahebb.train(TASK, run=tmp_path / "run", workers=workers, observer=killer, **SETTINGS)
    assert killer.killed == 1
    assert "A worker was killed by signal 9; its lives are lived again." in (run.folder / "log.txt").read_text()
    assert result(run.folder) == result(undisturbed.folder)


def test_resuming_changes_nothing(undisturbed: Run, copy: Path) -> None:
    forget(copy, 1)
    metahebb.resume(copy, workers=1)
    assert result(copy) == result(undisturbed.folder)


def test_a_run_that_version_0_1_left_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """Two generations of CartPole with adam: the leaves are mean, lr, σ, and adam's count, mu and nu."""
    folder = tmp_path / "run"
    shutil.copytree(INTERRUPTED, folder)
    leaves = safetensors.numpy.load_file(folder / "checkpoints" / "000002.safetensors")
    before = Run(folder, metahebb.open_run(folder).configuration).metrics()
    run = metahebb.resume(folder, generations=3, workers=1)
    metrics = run.metrics()
    assert metrics[:2] == before
    after = safetensors.numpy.load_file(folder / "checkpoints" / "000003.safetensors")
    assert after.keys() == leaves.keys() == {str(i) for i in range(6)}
    assert metrics[2]["lr"] == leaves["1"] == 0.05 * 0.995**2
    assert metrics[2]["sigma"] == leaves["2"]
    assert after["3"] == leaves["3"] + 1
    # Adam as published, of the gradient that its memory tells: m = 0.9·m + 0.1·g.
    gradient = (after["4"] - 0.9 * leaves["4"]) / 0.1
    np.testing.assert_allclose(after["5"], 0.999 * leaves["5"] + 0.001 * gradient**2, rtol=1e-3, atol=1e-6)
    unbiased = after["4"] / (1 - 0.9**3), after["5"] / (1 - 0.999**3)
    moved = metrics[2]["lr"] * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    np.testing.assert_allclose((after["0"] - leaves["0"])[:30], moved[:30], rtol=1e-3, atol=1e-6)


def test_a_search_of_another_strategy_is_not_told_to_lower_options_it_does_not_have(tmp_path: Path) -> None:
    rule = tmp_path / "explosive.py"
    rule.write_text("def explosive(pre, post, weight, A):\n    return 1e30 * weight + A\n")
    settings = SETTINGS | {"normaliser": "none", "population": 4, "lives": 1, "strategy": "SNES"}
    with pytest.raises(RunError, match="or give SNES smaller steps by --strategy-option") as error:
        metahebb.train(TASK, run=tmp_path / "run", rule=f"{rule}:explosive", workers=1, **settings)
    assert "--sigma" not in str(error.value)
    assert "--lr" not in str(error.value)


def test_a_search_whose_mean_is_lost_is_told_what_its_strategy_has(tmp_path: Path) -> None:
    settings = SETTINGS | {"population": 4, "lives": 1, "generations": 50, "strategy": "SNES"}
    options = {"learning_rate": 1e18, "optimizer": "sgd", "std_init": 1e18}
    with pytest.raises(RunError) as error:
        metahebb.train(TASK, run=tmp_path / "run", workers=1, strategy_options=options, **settings)
    assert "give SNES smaller steps by --strategy-option" in str(error.value)
    assert "--lr" not in str(error.value)


@pytest.mark.parametrize(("hidden", "warned"), [((4, 8), "4→4, 8→2"), ((8,), "8→2"), (None, "")])
def test_sparse_weights_that_are_all_zero_are_warned_of_once(
    hidden: tuple[int, ...] | None, warned: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SETTINGS | {"population": 2, "lives": 1, "generations": 2, "hidden": hidden or (8,)}
    settings["initial_weights"] = "sparse" if hidden else "uniform"
    run = metahebb.train(TASK, run=tmp_path / "run", workers=1, **settings)
    warnings = [record.message for record in caplog.records if "--initial-weights" in record.message]
    assert len(warnings) == (1 if hidden else 0)
    assert all(f"here of {warned}: a rule" in warning for warning in warnings)
    log = (run.folder / "log.txt").read_text()
    assert log.count("WARNING With --initial-weights sparse") == len(warnings)


def test_a_population_strategy_starts_around_the_agent_it_is_given(tmp_path: Path) -> None:
    c, _, network = configure(TASK, hidden=(8,), strategy="SimpleGA", population=16)
    genome = np.linspace(-50, 50, network.parameters, dtype=np.float32)
    settings = SETTINGS | {"generations": 1, "lives": 1, "strategy": "SimpleGA"}
    run = metahebb.train(TASK, run=tmp_path / "run", workers=1, start_from=metahebb.Agent(c, genome), **settings)
    # The mean of its first population: the genome, and 15 with a tenth of the deviation of random ones.
    away = (run.latest.genome - genome)[: network.evolved_parameters]
    assert 0 < np.abs(away).max() < 0.2
    expected = 0.1 * c.start_scale * np.sqrt(15) / 16
    assert 0.8 * expected < away.std() < 1.2 * expected


def test_a_population_around_an_agent_is_not_forgotten_when_a_run_dies_in_its_first_generation(tmp_path: Path) -> None:
    c, _, network = configure(TASK, hidden=(8,), strategy="SimpleGA", population=16)
    agent = metahebb.Agent(c, np.linspace(-50, 50, network.parameters, dtype=np.float32))
    settings = SETTINGS | {"generations": 2, "lives": 1, "strategy": "SimpleGA", "start_from": agent}
    whole = metahebb.train(TASK, run=tmp_path / "whole", workers=1, **settings)

    class Interrupter(Observer):
        def lived(self, outcome: Outcome, lives: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        metahebb.train(TASK, run=tmp_path / "run", workers=1, observer=Interrupter(), **settings)
    metahebb.resume(tmp_path / "run", workers=1)
    assert result(tmp_path / "run") == result(whole.folder)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_resuming_changes_nothing_for_strategies_with_more_state(tmp_path: Path, strategy: str) -> None:
    run = metahebb.train(TASK, run=tmp_path / "run", workers=1, **SETTINGS, **STRATEGIES[strategy])
    undisturbed = result(run.folder)
    forget(run.folder, 1)
    metahebb.resume(run, workers=2)
    assert result(run.folder) == undisturbed


@pytest.mark.parametrize("damage", ["cut off", "a flipped bit", "empty"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    undisturbed: Run, copy: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    newest = copy / "checkpoints" / "000003.safetensors"
    whole = newest.read_bytes()
    middle = len(whole) // 2
    newest.write_bytes(
        {
            "cut off": whole[:middle],
            "a flipped bit": whole[:-1] + bytes([whole[-1] ^ 1]),
            "empty": b"",
        }[damage]
    )
    with caplog.at_level(logging.WARNING, "metahebb"):
        metahebb.resume(copy, workers=1)
    assert "Checkpoint 000003.safetensors is damaged" in caplog.text
    assert result(copy) == result(undisturbed.folder)


def test_what_a_kill_left_half_written_is_swept(undisturbed: Run, copy: Path) -> None:
    forget(copy, 2)
    half = ".metahebb-0123456789abcdef.partial"
    halves = [copy / half, copy / "checkpoints" / half]
    for path in halves:
        path.write_bytes(b"half")
    metahebb.resume(copy, workers=1)
    assert result(copy) == result(undisturbed.folder)
    assert not any(path.exists() for path in halves)


def test_a_run_whose_checkpoints_are_all_damaged_says_so(copy: Path) -> None:
    for path in (copy / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:20])
    before = result(copy)
    with pytest.raises(UsageError, match="has no checkpoint that is whole"):
        metahebb.resume(copy, workers=1)
    assert result(copy) == before


def test_a_line_of_metrics_that_is_cut_off_is_written_again(undisturbed: Run, copy: Path) -> None:
    forget(copy, 2)
    metrics = copy / "metrics.jsonl"
    metrics.write_text(metrics.read_text()[:-30])
    metahebb.resume(copy, workers=1)
    assert result(copy) == result(undisturbed.folder)


def test_a_run_goes_on_to_more_generations_as_if_it_had_been_meant_to(undisturbed: Run, tmp_path: Path) -> None:
    run = metahebb.train(TASK, run=tmp_path / "run", workers=1, **SETTINGS | {"generations": 1})
    metahebb.resume(run, generations=3, workers=1)
    assert result(run.folder)["metrics"] == result(undisturbed.folder)["metrics"]
    assert (run.latest.genome == undisturbed.latest.genome).all()


@pytest.fixture
def deadly() -> dict[str, Any]:
    """A task of which one life of the second generation kills its process, each time."""
    life = life_of(4, 0, 0, Stream.TRAINING, 1, 4)
    return {
        "task": "gymnasium:Deadly-v0",
        "imports": (str(ENVIRONMENTS),),
        "env_args": {"deadly": [life.world]},
    }


def test_lives_that_kill_their_worker_end_the_run(deadly: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^3 workers died over the same lives; the last one ended with code 9\.$"):
        metahebb.train(run=tmp_path / "run", workers=2, **deadly, **SETTINGS)
    run = metahebb.open_run(tmp_path / "run")
    # It was tried three times, no more and no less.
    assert (run.folder / "log.txt").read_text().count("A worker ended with code 9; its lives are lived again.") == 2
    assert [line["generation"] for line in run.metrics()] == [0]
    assert run.latest.record["generation"] == 0
    assert workers_of() == []


def test_lives_without_a_finite_reward_score_the_worst_and_are_counted(tmp_path: Path) -> None:
    run = metahebb.train(
        "gymnasium:Unrewarding-v0",
        run=tmp_path / "run",
        imports=(str(ENVIRONMENTS),),
        workers=1,
        **SETTINGS | {"generations": 1},
    )
    odd = sum(
        life_of(member, number, 0, Stream.TRAINING, 0, member // 2 * 2).world % 2
        for member in range(16)
        for number in range(2)
    )
    (metrics,) = run.metrics()
    assert 0 < metrics["diverged"] == odd < 32
    # Two of the validation's three lives are odd, so it is the score of the third; NaN is no JSON.
    assert [life_of(0, number, 0, Stream.VALIDATION).world % 2 for number in range(3)].count(0) == 1
    json.loads((run.folder / "metrics.jsonl").read_text(), parse_constant=pytest.fail)
    assert run.best.record["validation"] == metrics["validation"] < 0


def test_three_generations_without_a_finite_fitness_end_the_run(tmp_path: Path) -> None:
    rule = tmp_path / "explosive.py"
    rule.write_text("def explosive(pre, post, weight, A):\n    return 1e30 * weight + A\n")
    settings = SETTINGS | {"generations": 9, "normaliser": "none"}
    with pytest.raises(RunError, match="No life of the last 3 generations had a finite fitness"):
        metahebb.train(TASK, run=tmp_path / "run", rule=f"{rule}:explosive", workers=1, **settings)
    run = metahebb.open_run(tmp_path / "run")
    assert [(line["diverged"], line["fitness_mean"]) for line in run.metrics()] == 3 * [(32, None)]
    assert (run.folder / "fitness.png").exists()
    # No update was made: the mean is still the start.
    assert len({line["mean_norm"] for line in run.metrics()}) == 1
    with pytest.raises(RunError, match="No life of the last 3 generations had a finite fitness"):
        metahebb.resume(run)


def outcomes_of(fitness: list[list[float]]) -> list[Outcome]:
    """Of each member its lives' fitness; the members' mean squares are 1, 2, 3, …"""
    return [
        Outcome(member, number, value, steps=10, mean_square=member + 1.0)
        for member, lives in enumerate(fitness)
        for number, value in enumerate(lives)
    ]


def test_fitness_is_the_mean_of_a_members_lives_less_its_penalty() -> None:
    c = Configuration(TASK, population=4, lives=2, penalty=0.5)
    outcomes = outcomes_of([[1, 3], [10, 20], [-5, 5], [0, 1]])
    fitness, metrics = fitness_of(outcomes[::-1], c)
    assert fitness is not None
    assert fitness.tolist() == [1.5, 14.0, -1.5, -1.5]
    # The metrics are of the fitness as it was lived, the penalty apart.
    assert metrics == {
        "fitness_mean": 4.375, "fitness_best": 15.0, "fitness_deviation": pytest.approx(38.171875**0.5),
        "penalty": 1.25, "lives": 8, "steps": 80, "diverged": 0,
    }  # fmt: skip


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_diverged_life_scores_the_worst_of_its_generation(bad: float) -> None:
    c = Configuration(TASK, population=4, lives=2, penalty=0.0)
    fitness, metrics = fitness_of(outcomes_of([[1, 3], [10, bad], [-5, 5], [bad, bad]]), c)
    assert fitness is not None
    assert fitness.tolist() == [2.0, 2.5, 0.0, -5.0]
    assert metrics["diverged"] == 3


def test_a_generation_without_a_finite_life_has_no_fitness() -> None:
    c = Configuration(TASK, population=2)
    fitness, metrics = fitness_of(outcomes_of([[math.nan], [math.inf]]), c)
    assert fitness is None
    assert metrics == {
        "fitness_mean": None, "fitness_best": None, "fitness_deviation": None, "penalty": pytest.approx(0.015),
        "lives": 2, "steps": 20, "diverged": 2,
    }  # fmt: skip


def test_a_member_lives_in_each_body() -> None:
    c = Configuration("quadruped", population=2, lives=2, morphologies=("standard", "front-right-damaged"))
    (pair,) = lives_of(c, 3)
    assert sorted((life.member, life.number, life.body) for life in pair) == [
        (member, number, c.morphologies[number % 2]) for member in (0, 1) for number in range(4)
    ]
    seeds = {(life.member, life.number): (life.world, life.key) for life in pair}
    # The two of a pair share their lives; the lives of one differ.
    assert all(seeds[0, number] == seeds[1, number] for number in range(4))
    assert len(set(seeds.values())) == 4
    (unpaired,) = lives_of(dataclasses.replace(c, paired_lives=False), 3)
    assert len({(life.world, life.key) for life in unpaired}) == 8


def test_pairs_live_in_the_bodies_in_turn() -> None:
    bodies = ("standard", "front-right-damaged", "front-left-damaged")
    c = Configuration("quadruped", population=8, lives=2, morphologies=bodies, bodies_in_turn=True, penalty=0.0)
    for generation in range(4):
        lived = [life for pair in lives_of(c, generation) for life in pair]
        assert sorted((life.member, life.number, life.body) for life in lived) == [
            (member, number, bodies[(member // 2 + generation) % 3]) for member in range(8) for number in range(2)
        ]
    fitness, metrics = fitness_of(outcomes_of([[member, 3 * member] for member in range(8)]), c)
    assert fitness is not None
    assert metrics["lives"] == 16
    assert (np.diff(fitness) == 2).all()


def test_lives_that_take_much_of_the_memory_are_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    c = Configuration("gymnasium:CartPole-v1", population=1000, lives=3, validation_lives=5000)
    assert training.most_waiting(c).what == "5,000 lives of a validation"
    c = dataclasses.replace(c, validation_lives=500)
    need = training.most_waiting(c)
    assert need.what == "3,000 lives of a generation"
    for available, told in ((10 * need.size + 1, False), (10 * need.size, True)):
        monkeypatch.setattr(training, "available_memory", lambda available=available: available)
        with caplog.at_level(logging.WARNING, "metahebb"):
            training._warn_of_many_lives(c)
        assert ("The 3,000 lives of a generation take at least 0.0 GiB of memory" in caplog.text) == told
    assert "lower --lives or --population if that is more than you meant." in caplog.text


def hanging(where: str, folder: Path, seeds: list[int] | None) -> dict[str, Any]:
    """A task that hangs in lives with these seeds until the file "well" is in the folder."""
    arguments = {"where": where, "seeds": seeds, "well": str(folder / "well")}
    return {"task": "gymnasium:Hanging-v0", "imports": (str(ENVIRONMENTS),), "env_args": arguments}


def ended_by_time(settings: dict[str, Any], seconds: float, run: Path, patch: pytest.MonkeyPatch) -> Run:
    """The run, which a time limit has ended soon."""
    patch.setattr(training, "LAST_GENERATION", 1.0)
    began = time.monotonic()
    made = metahebb.train(run=run, workers=2, time_limit=seconds / 60, **settings)
    # The limit, twice what is given to the last validation, and the processes' ends.
    assert time.monotonic() - began < seconds + 2 * training.LAST_VALIDATION + 30
    assert workers_of() == []
    return made


@pytest.mark.parametrize("where", ["reset", "step"])
def test_a_time_limit_ends_a_run_in_the_middle_of_a_generation_that_is_lived_again(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    life = life_of(4, 0, 0, Stream.TRAINING, 1, 4)
    settings = SETTINGS | hanging(where, tmp_path, [life.world]) | {"validate_every": 3}
    with caplog.at_level(logging.WARNING, "metahebb"):
        run = ended_by_time(settings, 20, tmp_path / "run", monkeypatch)
    assert "Generation 2 was not done when the time limit had passed; it is lived again" in caplog.text
    assert "makes no progress" not in caplog.text
    (only,) = run.metrics()
    assert "validation" not in only
    # The newest mean is validated all the same, by workers that do not hang.
    assert run.best.record["generation"] == 0
    assert run.best.genome.tobytes() == run.latest.genome.tobytes()
    (tmp_path / "well").touch()
    metahebb.resume(run, workers=1)
    undisturbed = metahebb.train(run=tmp_path / "undisturbed", workers=1, **settings)
    assert result(run.folder)["metrics"] == result(undisturbed.folder)["metrics"]
    assert run.latest.genome.tobytes() == undisturbed.latest.genome.tobytes()


def test_a_validation_that_a_time_limit_cuts_off_is_lived_again_with_its_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_of(0, 1, 0, Stream.VALIDATION)
    settings = SETTINGS | hanging("step", tmp_path, [life.world]) | {"validate_every": 2}
    monkeypatch.setattr(training, "LAST_VALIDATION", 5.0)
    run = ended_by_time(settings, 20, tmp_path / "run", monkeypatch)
    assert [line["generation"] for line in run.metrics()] == [0]
    assert not (run.folder / "best.safetensors").exists()
    (tmp_path / "well").touch()
    metahebb.resume(run, workers=1)
    undisturbed = metahebb.train(run=tmp_path / "undisturbed", workers=1, **settings)
    assert result(run.folder) == result(undisturbed.folder)


def test_a_time_limit_ends_a_run_whose_workers_never_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SETTINGS | hanging("constructor", tmp_path, None)
    with caplog.at_level(logging.WARNING, "metahebb"):
        run = ended_by_time(settings, 5, tmp_path / "run", monkeypatch)
    assert run.metrics() == []
    # Resumed with the same limit it would come no further.
    assert "as short a limit makes no progress. Give --time-limit more than a generation takes" in caplog.text
    (tmp_path / "well").touch()
    metahebb.resume(run, workers=1)
    undisturbed = metahebb.train(run=tmp_path / "undisturbed", workers=1, **settings)
    assert result(run.folder) == result(undisturbed.folder)
