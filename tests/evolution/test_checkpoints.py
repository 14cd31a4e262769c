"""Checkpoints that are whole, damaged, or one too many."""

from __future__ import annotations

import logging
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy

from metahebb.configuration import Configuration
from metahebb.errors import RunError, UsageError
from metahebb.evolution.checkpoints import KEPT, Checkpoint, load_newest, save
from metahebb.evolution.openai_es import OpenAIES, State

SETTINGS = Configuration("gymnasium:CartPole-v1", optimizer="adam")
ADAM = OpenAIES(SETTINGS, parameters=5, synaptic=3)


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


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"The checkpoint .*000001.safetensors' could not be written: make '.*nowhere' first"
    ):
        save(tmp_path / "nowhere", checkpoint(1), SETTINGS)
