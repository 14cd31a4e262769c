"""What is refused because the machine could not hold it, and that estimates are no more than what is really taken."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from metahebb import UsageError, resources
from metahebb.assembly import configure
from metahebb.configuration import Configuration
from metahebb.evolution.populations import MirroredPopulation
from metahebb.evolution.training import lives_of
from metahebb.evolution.workers import Workers
from metahebb.lifetimes import make_slots
from metahebb.resources import WORKER, Need, check_memory, needs_of_lives, needs_of_search, needs_of_workers
from support import ENVIRONMENTS, Answer, tree

TASK = "gymnasium:CartPole-v1"
GIB = 2**30

BEYOND: dict[str, tuple[int, list[str], list[str]]] = {
    # what is too much: (bytes that there are, arguments of `train`, what the sentence says)
    "synapses": (
        64 * GIB,
        [TASK, "--hidden", "30000,30000"],
        ["900,180,000 synapses", "64.0 GiB are available", "--hidden"],
    ),
    "lives": (64 * GIB, [TASK, "--lives", "1000000000"], ["64,000,000,000 lives of a generation", "lower --lives"]),
    "members": (4 * GIB, [TASK, "--population", "10000000"], ["10,000,000 lives of a generation", "--population"]),
    "members with genomes": (
        8 * GIB,
        [TASK, "--population", "10000000", "--strategy", "SNES"],
        ["10,000,000 members of 44,160 parameters each", "lower --population"],
    ),
    "validations": (
        GIB // 2,
        [TASK, "--validation-lives", "1000000", "--workers", "1"],
        ["1,000,000 lives of a validation", "lower --validation-lives"],
    ),
    "frames": (16 * GIB, [TASK, "--frame-stack", "1000000000"], ["1,000,000,000 frames", "lower --frame-stack"]),
    "numbers seen": (
        64 * GIB,
        ["gymnasium:Wide-v0", "--import", str(ENVIRONMENTS)],
        ["12,800,008,384 synapses", "--hidden"],
    ),
    "numbers of an action": (
        64 * GIB,
        ["gymnasium:Wide-v0", "--import", str(ENVIRONMENTS), "--env-arg", "sees=1", "--env-arg", "acts=100000000"],
        ["6,400,008,320 synapses", "--hidden"],
    ),
    "workers": (16 * GIB, [TASK, "--workers", "300"], ["300 worker processes", "lower --workers"]),
    "attention": (16 * GIB, [TASK, "--strategy", "EvoTF_ES"], ["EvoTF_ES over 44,160 parameters", "max_context_len"]),
    "a covariance": (8 * GIB, [TASK, "--strategy", "CMA_ES"], ["state of CMA_ES", "SNES"]),
}


@pytest.mark.parametrize("case", BEYOND)
def test_what_the_machine_cannot_hold_is_refused_before_anything_is_written(
    case: str,
    metahebb: Callable[..., Answer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    available, arguments, says = BEYOND[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resources, "available_memory", lambda: available)
    code, out, err = metahebb("train", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    for part in [*says, "would take at least"]:
        assert part in err
    assert tree(tmp_path) == {}


def test_evaluations_and_resumed_runs_are_held_to_memory_too(
    metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ["--hidden", "4", "--population", "2", "--generations", "1", "--validation-lives", "1", "--workers", "1"]
    assert metahebb("train", TASK, "--run", tmp_path / "run", *small).code == 0
    before = tree(tmp_path)
    monkeypatch.setattr(resources, "available_memory", lambda: 16 * GIB)
    for arguments in (
        ["evaluate", tmp_path / "run", "--lives", "1000000000"],
        ["evaluate", tmp_path / "run", "--workers", "300"],
        ["train", "--resume", tmp_path / "run", "--generations", "2", "--workers", "300"],
    ):
        code, out, err = metahebb(*arguments)
        assert (code, out) == (2, "")
        assert "would take at least" in err
    assert tree(tmp_path) == before


def test_the_sentence_names_the_largest_and_what_there_is() -> None:
    needs = [Need("three worker processes", 3 * GIB, "lower --workers"), Need("a genome", GIB, "shrink it")]
    check_memory(needs, 4 * GIB)
    with pytest.raises(UsageError) as error:
        check_memory(needs, 4 * GIB - 1)
    assert str(error.value) == (
        "This would take at least 4.0 GiB of memory, 3.0 GiB of it for three worker processes; 4.0 GiB are available: "
        "lower --workers."
    )
    with pytest.raises(UsageError, match=r"^A genome would take at least 1\.0 GiB of memory; 0\.5 GiB are available"):
        check_memory(needs[1:], GIB // 2)


@pytest.mark.parametrize(
    "settings",
    [
        {"rule": "A"},
        {"rule": "ABCD_lr"},
        {"rule": "ABCD_lr_D_in_and_out", "coefficients": "float16"},
        {"rule": "oja", "initial_weights": "co-evolved", "normaliser": "l2"},
        {"static": True},
    ],
    ids=str,
)
def test_slots_take_what_is_estimated_and_no_less(settings: dict[str, Any]) -> None:
    _, task, network = configure(TASK, **settings)
    slots = make_slots(network, task, task.make_world(task.slots, False))
    taken = sum(leaf.nbytes for leaf in jax.tree.leaves((slots._plasticity, slots._state.layers)))
    estimated = needs_of_workers(network, 1, task.slots)[1].size
    assert 0.95 * taken < estimated <= taken


def test_lives_that_wait_take_what_is_estimated_and_no_less() -> None:
    settings = {"hidden": (4,), "population": 2000, "normalise_observations": False}
    c, _, _ = configure("gymnasium:Target-v0", imports=(str(ENVIRONMENTS),), **settings)
    with Workers(c, 1) as pool:
        pool.wait()
        pool.set_population(MirroredPopulation(np.zeros(120, np.float32), 0.1, 0, 0))
        tracemalloc.start()
        try:
            living = pool.live(lives_of(c, 0))
            next(living)
            taken = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert taken >= needs_of_lives("lives", 2000, 1000, "")[0].size


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the system does not say")
def test_a_worker_takes_what_is_estimated_and_no_less() -> None:
    c, _, _ = configure(TASK, hidden=(4,), population=2)
    with Workers(c, 1) as pool:
        pool.wait()
        (process,) = pool.processes
        lines = [line.split() for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()]
    private = sum(int(words[1]) * 1024 for words in lines if words[0].startswith("Private_"))
    assert private >= WORKER


def test_a_population_that_is_never_held_is_not_counted() -> None:
    c, _, network = configure(TASK, population=1_000_000)
    assert sum(need.size for need in needs_of_search(c, network)) < 4 * 10 * network.parameters
    with_genomes = Configuration(TASK, population=1_000_000, strategy="SNES")
    genomes = 4 * 1_000_000 * network.evolved_parameters
    assert sum(need.size for need in needs_of_search(with_genomes, network)) > genomes


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not say")
def test_what_is_available_is_within_what_there_is() -> None:
    total = int(next(x for x in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in x).split()[1]) * 1024
    swap = int(next(x for x in Path("/proc/meminfo").read_text().splitlines() if "SwapTotal" in x).split()[1]) * 1024
    assert 2**20 < resources.available_memory() <= total + swap


def group(folder: Path, names: tuple[str, str], limit: object, used: int, files: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 7\nactive_file {files}\ninactive_file 1\n")


def test_control_groups_of_both_versions_and_their_parents_count(tmp_path: Path) -> None:
    """What a group's files keep in memory is not in the way; a group without a limit says nothing."""
    own = tmp_path / "own"
    own.write_text("0::/a/b\n")
    v2 = ("memory.max", "memory.current")
    group(tmp_path / "v2" / "a" / "b", v2, "max", 5000, 10)
    group(tmp_path / "v2" / "a", v2, 9000, 5000, 99)
    assert list(resources._rooms_of_groups(tmp_path / "v2", own)) == [4100]
    own.write_text("5:cpu:/x\n4:cpuset,memory:/x/y\n0::/\n")
    v1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    group(tmp_path / "v1" / "memory" / "x" / "y", v1, 8000, 5000, 0)
    group(tmp_path / "v1" / "memory" / "x", v1, 7000, 5000, 0)
    assert list(resources._rooms_of_groups(tmp_path / "v1", own)) == [3001, 2001]
    # In a container the path is the host's, and the mounted root is the group.
    own.write_text("4:memory:/docker/123\n")
    group(tmp_path / "c" / "memory", v1, 3000, 1000, 0)
    assert list(resources._rooms_of_groups(tmp_path / "c", own)) == [2001]
    assert list(resources._rooms_of_groups(tmp_path / "c", tmp_path / "nowhere")) == []
