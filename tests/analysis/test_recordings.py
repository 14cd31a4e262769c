"""Recordings beside the same lives, lived alone and moment by moment."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from metahebb.agents import Agent
from metahebb.analysis.recordings import open_recording, record
from metahebb.assembly import configure
from metahebb.errors import RunError, UsageError
from metahebb.lifetimes import make_slots
from metahebb.lifetimes.lives import life_of
from metahebb.lifetimes.traced import _stretches_within
from metahebb.perturbations import perturbations_for
from metahebb.seeds import Stream
from support import ENVIRONMENTS, Answer, tree

TASKS: dict[str, dict[str, Any]] = {
    "host": {"task": "gymnasium:CartPole-v1", "hidden": (16,)},
    "traced": {"task": "car-racing", "hidden": (16,)},
}


def random_agent(task: str, **options: Any) -> Agent:
    configuration, _, network = configure(task, **options)
    return Agent(configuration, np.random.default_rng(1).standard_normal(network.parameters).astype(np.float32))


# After what strikes lives are undisturbed, compiled as such. 27 steps are a stretch of 14 and one of 13.
@pytest.mark.parametrize(("kind", "every", "disturbed"), [("host", 2, False), ("host", 2, True), ("traced", 27, True)])
def test_what_is_recorded_is_the_life(kind: str, every: int, disturbed: bool, tmp_path: Path) -> None:
    agent = random_agent(**TASKS[kind])
    lives, strike = agent.task.slots + 2, every
    perturb = (f"zero-weights@{strike}", f"noise-sensors:0.5@{strike + 2}-{strike + 5}") if disturbed else ()

    recording = record(agent, tmp_path / "life.zarr", lives, every=every, seed=5, perturb=perturb, workers=1)

    # More lives than slots, so that some begin beside others that are old.
    task, network = agent.task, agent.network
    variant = perturbations_for(perturb, task, network)
    slots = make_slots(network, task, task.make_world(task.slots, False), [variant])
    group = recording.group
    for number in (0, lives - 1):
        moments = list(slots.record(agent.genome, life_of(0, number, 5, Stream.EVALUATION)))
        steps = len(moments)
        assert recording.length[number] == steps
        assert recording.fitness[number] == pytest.approx(sum(moment.reward for moment in moments), rel=1e-12)
        expected = {
            "observations": [moment.observation for moment in moments],
            "actions": [moment.action for moment in moments],
            "rewards": [np.float32(moment.reward) for moment in moments],
        }
        expected |= {f"activities_{i}": [moment.activities[i] for moment in moments] for i in range(3)}
        expected |= {f"weights_{i}": [moment.weights[i] for moment in moments[::every]] for i in range(2)}
        for name, values in expected.items():
            recorded = np.asarray(group[name][number])
            assert recorded[: len(values)].tobytes() == np.stack(values).tobytes(), name
            beyond = recorded[len(values) :]
            assert (np.isnan(beyond) if beyond.dtype.kind == "f" else beyond == 0).all(), name
    assert recording.perturbations == perturb
    assert (group["weights_0"][0, 1] == 0).all() == disturbed
    assert [path.name for path in tmp_path.iterdir()] == ["life.zarr"]


def test_the_command_records_what_others_can_open(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    random_agent("gymnasium:CartPole-v1", hidden=(4,)).save(tmp_path / "agent.safetensors")
    out = tmp_path / "life.zarr"
    command = ["record", tmp_path / "agent.safetensors", "--out", out, "--lives", "3", "--every", "5", "--workers", "1"]

    answer = metahebb(*command, "--float16", "--random-rules", "--perturb", "scale-weights:0.5@3")

    assert answer.code == 0, answer.err
    group = zarr.open_group(str(out), mode="r")
    recording = open_recording(out)
    longest = recording.length.max()
    assert group["weights_1"].shape == (3, -(-longest // 5), 4, 2)
    assert group["weights_1"].dtype == group["activities_1"].dtype == np.float16
    assert group["rewards"].dtype == np.float32
    assert recording.perturbations == ("scale-weights:0.5@3",)
    assert recording.name == "random rules"
    assert group["weights_1"].metadata.dimension_names == ("life", "weights_step", "neuron_1", "neuron_2")
    before = tree(out)
    again = metahebb(*command)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "exists" in again.err
    assert tree(out) == before


def test_what_the_disk_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(UsageError, match=r"may take .* GiB, and the disk has 0\.0"):
        record(random_agent("gymnasium:CartPole-v1", hidden=(4,)), tmp_path / "life.zarr", 100, workers=1)
    assert not list(tmp_path.iterdir())


def test_of_lives_that_fail_nothing_is_left(tmp_path: Path) -> None:
    seeds = [life_of(0, number, 0, Stream.EVALUATION).world for number in range(3)]
    options = {"imports": (str(ENVIRONMENTS),), "hidden": (4,), "env_args": {"deadly": seeds}}
    agent = random_agent("gymnasium:Deadly-v0", **options)
    with pytest.raises(RunError, match="died over the same lives"):
        record(agent, tmp_path / "life.zarr", 3, workers=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [None, "nothing", "another group"])
def test_what_is_no_recording_is_refused(content: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "life.zarr"
    if content is not None:
        folder.mkdir()
    if content == "another group":
        zarr.create_group(str(folder))
    with pytest.raises(UsageError, match="is not there" if content is None else "is none"):
        open_recording(folder)


@pytest.mark.parametrize("every", [1, 2, 10, 25, 26, 29, 58, 101, 1009])
def test_any_number_of_steps_is_made_of_long_stretches(every: int) -> None:
    lengths = _stretches_within(every)
    assert sum(lengths) == every
    assert len({*lengths}) <= 2, "each is compiled"
    assert min(every, 13) <= min(lengths) <= max(lengths) <= 25
