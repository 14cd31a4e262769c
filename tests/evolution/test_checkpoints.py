"""Checkpoints that are whole, damaged, or one too many."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
import safetensors.numpy

from metahebb.configuration import Configuration
from metahebb.errors import RunError, UsageError
from metahebb.evolution.checkpoints import KEPT, Checkpoint, load_newest, save
from metahebb.evolution.openai_es import Decay, OpenAIES, State
from metahebb.evolution.populations import StartingPopulation

SETTINGS = Configuration("gymnasium:CartPole-v1", optimizer="adam")
ADAM = OpenAIES(5, 3, 4, 0, optax.scale_by_adam(), Decay(0.05), Decay(0.1), StartingPopulation(5, 0).genome)


def checkpoint(generation: int) -> Checkpoint:
    """One whose numbers are all its own."""
    memory = ADAM.init().optimizer
    filled = jax.tree.map(lambda leaf: np.full(leaf.shape, generation + 7, leaf.dtype), memory)
    mean = np.linspace(generation, generation + 1, 5, dtype=np.float32)
    return Checkpoint(generation, State(mean, 0.1 / 3, 0.01 / generation, filled), best=generation / 7, barren=1)


def load(folder: Path) -> Checkpoint:
    loaded = load_newest(folder, ADAM, SETTINGS)
    assert loaded is not None
    return loaded


def same(one: Checkpoint, other: Checkpoint) -> bool:
    leaves, others = (jax.tree.leaves(tuple(c)) for c in (one, other))
    return jax.tree.structure(tuple(one)) == jax.tree.structure(tuple(other)) and all(
        np.asarray(a).dtype == np.asarray(b).dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for a, b in zip(leaves, others, strict=True)
    )


def test_a_checkpoint_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    save(tmp_path, checkpoint(3), SETTINGS)
    loaded = load(tmp_path)
    assert same(loaded, checkpoint(3))
    assert not same(loaded, checkpoint(4))
    assert isinstance(loaded.state.lr, float)
    # The optimizer's memory is a tree of optax's own types.
    assert jax.tree.structure(loaded.state) == jax.tree.structure(ADAM.init())


def test_a_run_that_has_not_begun_has_no_state(tmp_path: Path) -> None:
    save(tmp_path, Checkpoint(0, None), SETTINGS)
    assert load(tmp_path) == Checkpoint(0, None, None, 0)


def test_the_newest_are_kept(tmp_path: Path) -> None:
    for generation in range(8, 13):
        save(tmp_path, checkpoint(generation), SETTINGS)
    assert KEPT == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{g:06d}.safetensors" for g in (10, 11, 12)]
    assert load(tmp_path).generation == 12


def test_wherever_a_bit_flips_the_one_before_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the header, the facts or the numbers: nothing of a damaged checkpoint is believed."""
    save(tmp_path, checkpoint(1), SETTINGS)
    save(tmp_path, checkpoint(2), SETTINGS)
    newest = tmp_path / "000002.safetensors"
    whole = newest.read_bytes()
    rng = np.random.default_rng(0)
    with caplog.at_level(logging.CRITICAL, "metahebb"):
        for position in range(len(whole)):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << int(rng.integers(8))
            newest.write_bytes(damaged)
            loaded = load(tmp_path)
            assert loaded.generation == 1, f"byte {position}: {whole[position - 9 : position + 9]!r}"
    newest.write_bytes(whole)
    assert load(tmp_path).generation == 2


def test_numbers_of_another_type_are_not_believed(tmp_path: Path) -> None:
    """The same bytes, as whole numbers."""
    save(tmp_path, checkpoint(1), SETTINGS)
    save(tmp_path, checkpoint(2), SETTINGS)
    newest = tmp_path / "000002.safetensors"
    newest.write_bytes(newest.read_bytes().replace(b'"F32"', b'"I32"', 1))
    assert safetensors.numpy.load_file(newest)
    assert load(tmp_path).generation == 1


def test_wherever_it_is_cut_off_the_one_before_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, checkpoint(1), SETTINGS)
    save(tmp_path, checkpoint(2), SETTINGS)
    newest = tmp_path / "000002.safetensors"
    whole = newest.read_bytes()
    for size in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        newest.write_bytes(whole[:size])
        caplog.clear()
        assert same(load(tmp_path), checkpoint(1))
        (record,) = caplog.records
        assert "000002.safetensors is damaged" in record.message


def test_a_run_without_one_that_is_whole_says_so(tmp_path: Path) -> None:
    (tmp_path / "000004.safetensors").write_bytes(b"lost")
    with pytest.raises(UsageError, match="has no checkpoint that is whole"):
        load(tmp_path)


@pytest.mark.parametrize("first", [999_997, 9_999_998])
def test_names_are_in_the_order_of_their_numbers(first: int, tmp_path: Path) -> None:
    """Also where they have a digit more than those before."""
    for generation in range(first, first + 5):
        save(tmp_path, checkpoint(generation), SETTINGS)
        assert load(tmp_path).generation == generation
    assert {int(path.stem) for path in tmp_path.iterdir()} == set(range(first + 2, first + 5))


def test_damaged_ones_of_later_generations_do_not_push_out_what_is_made(tmp_path: Path) -> None:
    for generation in (7, 8, 9):
        (tmp_path / f"{generation:06d}.safetensors").write_bytes(b"lost")
    for generation in range(1, 6):
        save(tmp_path, checkpoint(generation), SETTINGS)
        assert load(tmp_path).generation == generation
    assert {int(path.stem) for path in tmp_path.iterdir()} == {3, 4, 5, 7, 8, 9}


def test_a_folder_without_any_has_none(tmp_path: Path) -> None:
    (tmp_path / ".tmpX7aQ2k").write_bytes(b"half")
    (tmp_path / "notes.safetensors").write_bytes(b"a user's")
    assert load_newest(tmp_path, ADAM, SETTINGS) is None
    save(tmp_path, checkpoint(1), SETTINGS)
    assert len(list(tmp_path.iterdir())) == 3


def write(folder: Path, leaves: dict[str, np.ndarray], about: dict[str, Any], number: int = 4) -> Path:
    """A checkpoint as the first versions wrote it, with a checksum that is right: without the settings."""
    types = [(leaves[str(i)].dtype.str, leaves[str(i)].shape) for i in range(len(leaves))]
    checksum = zlib.crc32(json.dumps([about, types]).encode())
    for i in range(len(leaves)):
        checksum = zlib.crc32(leaves[str(i)].tobytes(), checksum)
    path = folder / f"{number:06d}.safetensors"
    safetensors.numpy.save_file(leaves, path, {"metahebb": json.dumps(about | {"checksum": checksum})})
    return path


def parts(generation: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    its = checkpoint(generation)
    facts = {"generation": its.generation, "best": its.best, "barren": its.barren}
    leaves = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(its.state))}
    return leaves, {"facts": facts, "begun": True}


def test_one_of_the_first_versions_is_read(tmp_path: Path) -> None:
    write(tmp_path, *parts(4))
    assert same(load(tmp_path), checkpoint(4))


WITHOUT_SETTINGS = {
    "another optimizer": lambda leaves: {name: leaves[name] for name in ("0", "1", "2")},
    "another genome": lambda leaves: leaves | {"0": np.zeros(6, np.float32)},
    "other numbers": lambda leaves: leaves | {"0": leaves["0"].astype(np.float64)},
    "text for a number": lambda leaves: leaves | {"1": np.zeros((), np.uint8)},
    "an array for a number": lambda leaves: leaves | {"1": np.zeros(2)},
    "one leaf more": lambda leaves: leaves | {str(len(leaves)): np.zeros(2)},
}


@pytest.mark.parametrize("what", WITHOUT_SETTINGS)
def test_what_is_whole_but_no_state_of_this_search_is_not_damaged(what: str, tmp_path: Path) -> None:
    save(tmp_path, checkpoint(1), SETTINGS)
    leaves, about = parts(4)
    write(tmp_path, WITHOUT_SETTINGS[what](leaves), about)
    with pytest.raises(UsageError, match=r"000004\.safetensors' is whole, but not of the search that config\.json"):
        load(tmp_path)


def test_of_other_settings_it_says_which(tmp_path: Path) -> None:
    save(tmp_path, checkpoint(1), dataclasses.replace(SETTINGS, seed=3, sigma=0.2))
    with pytest.raises(UsageError, match=r"made with other settings .*: sigma 0\.2 \(now 0\.1\), seed 3 \(now 0\)\."):
        load(tmp_path)


def test_when_a_run_ends_and_where_its_files_lie_are_no_such_settings(tmp_path: Path) -> None:
    its = dataclasses.replace(SETTINGS, rule="/old/mine.py:grow", rule_digest="4711", imports=("/old/env.py", "gym_x"))
    save(tmp_path, checkpoint(1), its)
    moved = {"rule": "/new/mine.py:grow", "imports": ("/new/env.py", "gym_x"), "generations": 9, "target": 8.0}
    now = dataclasses.replace(its, **moved)
    assert load_newest(tmp_path, ADAM, now) is not None
    with pytest.raises(UsageError, match="rule_digest"):
        load_newest(tmp_path, ADAM, dataclasses.replace(now, rule_digest="4712"))


def test_a_setting_that_older_versions_did_not_have_was_the_default(tmp_path: Path) -> None:
    save(tmp_path, checkpoint(1), SETTINGS)
    path = tmp_path / "000001.safetensors"
    with safetensors.safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["metahebb"])
    del about["settings"]["penalty"], about["checksum"]
    write(tmp_path, safetensors.numpy.load_file(path), about, 1)
    assert load(tmp_path).generation == 1
    with pytest.raises(UsageError, match=r"penalty 0\.01 \(now 0\.5\)"):
        load_newest(tmp_path, ADAM, dataclasses.replace(SETTINGS, penalty=0.5))


def test_a_learning_rate_may_be_a_whole_number(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, lr=1)
    strategy = dataclasses.replace(ADAM, lr=Decay(1))
    for generation, lr in ((1, 1), (2, 0.995)):
        save(tmp_path, Checkpoint(generation, strategy.init()._replace(lr=lr)), settings)
        loaded = load_newest(tmp_path, strategy, settings)
        assert loaded is not None
        assert (loaded.generation, loaded.state.lr) == (generation, lr)


def nested(about: dict[str, Any]) -> str:
    return json.dumps(about)[:-1] + ', "x": ' + 100_000 * "[" + 100_000 * "]" + "}"


METADATA = {
    "deeply nested": nested,
    "a huge number": lambda about: json.dumps(about)[:-1] + ', "x": ' + 5000 * "1" + "}",
    "a list": lambda about: "[1, 2]",
    "a text": lambda about: '"metahebb"',
    "no checksum": lambda about: json.dumps({name: about[name] for name in about if name != "checksum"}),
}


@pytest.mark.parametrize("what", METADATA)
def test_what_is_said_about_one_may_be_anything(what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, checkpoint(1), SETTINGS)
    path = write(tmp_path, *parts(4))
    with safetensors.safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["metahebb"])
    safetensors.numpy.save_file(parts(4)[0], path, {"metahebb": METADATA[what](about)})
    assert same(load(tmp_path), checkpoint(1))
    assert "000004.safetensors is damaged" in caplog.text


@pytest.mark.parametrize(
    "facts",
    [{"generation": "4"}, {"generation": -1}, {"generation": 10**30}, {"barren": None}, {"best": "high"}],
    ids=str,
)
def test_facts_that_are_none_are_not_believed(facts: dict[str, Any], tmp_path: Path) -> None:
    save(tmp_path, checkpoint(1), SETTINGS)
    leaves, about = parts(4)
    write(tmp_path, leaves, about | {"facts": about["facts"] | facts})
    assert same(load(tmp_path), checkpoint(1))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_or_a_folder_with_the_name_of_one_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for generation in range(1, 5):
        save(tmp_path, checkpoint(generation), SETTINGS)
    os.mkfifo(tmp_path / "000005.safetensors")
    (tmp_path / "000006.safetensors").mkdir()
    assert same(load(tmp_path), checkpoint(4))
    assert caplog.text.count("(it is not a file)") == 2
    # Neither is deleted when it is its turn.
    for generation in range(7, 12):
        save(tmp_path, checkpoint(generation), SETTINGS)
    assert {int(path.stem) for path in tmp_path.iterdir()} == {5, 6, 9, 10, 11}


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"The checkpoint .*000001.safetensors' could not be written: make '.*nowhere' first"
    ):
        save(tmp_path / "nowhere", checkpoint(1), SETTINGS)
