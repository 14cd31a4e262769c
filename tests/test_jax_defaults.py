"""What a user's environment makes of JAX does not change a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import metahebb
from metahebb.jax_defaults import jax_defaults, without_jax_settings
from support import result

pytestmark = pytest.mark.xdist_group("jax defaults")

TASK = "gymnasium:CartPole-v1"
SETTINGS: dict[str, Any] = {
    "population": 8,
    "generations": 2,
    "validate_every": 1,
    "validation_lives": 2,
    "initial_weights": "normal",
}
STRATEGIES: dict[str, dict[str, Any]] = {"adam": {"optimizer": "adam"}, "CMA_ES": {"strategy": "CMA_ES"}}
VARIABLES = {
    "JAX_ENABLE_X64": "1",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_DEBUG_NANS": "1",
}
SCRIPT = """
import json, sys, metahebb
metahebb.train(run="run", workers=1, **json.loads(sys.argv[1]))
metahebb.resume("begun", generations=2, workers=1)
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs in an environment without any of these."""
    folder = tmp_path_factory.mktemp("plain")
    return {
        name: metahebb.train(TASK, run=folder / name, workers=1, hidden=(4,), **SETTINGS, **more).folder
        for name, more in STRATEGIES.items()
    }


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_run_is_the_same_under_any_of_jaxs_variables(variable: str, plain: dict[str, Path], tmp_path: Path) -> None:
    """From its start, and from a checkpoint that was made without the variable."""
    shutil.copytree(plain["adam"], tmp_path / "begun")
    (tmp_path / "begun" / "checkpoints" / "000002.safetensors").unlink()
    settings = {"task": TASK, "hidden": [4], **SETTINGS, **STRATEGIES["CMA_ES"]}
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(settings)],
        cwd=tmp_path, env=os.environ | {variable: VARIABLES[variable]}, capture_output=True, text=True,
    )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, "")
    assert result(tmp_path / "run") == result(plain["CMA_ES"])
    assert result(tmp_path / "begun") == result(plain["adam"])


def test_a_script_that_has_changed_jaxs_settings_gets_the_same_run(plain: dict[str, Path], tmp_path: Path) -> None:
    """And keeps its settings."""
    with jax.enable_x64(True), jax.default_prng_impl("rbg"), jax.numpy_rank_promotion("raise"):
        run = metahebb.train(TASK, run=tmp_path / "run", workers=1, hidden=(4,), **SETTINGS, **STRATEGIES["CMA_ES"])
        assert jnp.ones(1).dtype == "float64"
    assert result(run.folder) == result(plain["CMA_ES"])


def test_what_jax_draws_within_does_not_depend_on_its_settings() -> None:
    def drawn() -> list[float]:
        with jax_defaults():
            return jax.random.normal(jax.random.key(3), (4,)).tolist()

    before = drawn()
    with jax.enable_x64(True), jax.threefry_partitionable(False), jax.default_prng_impl("unsafe_rbg"):
        assert jax.random.normal(jax.random.key(3), (4,)).tolist() != before
        assert drawn() == before


def test_workers_get_where_jax_computes_and_not_what() -> None:
    given = {"JAX_ENABLE_X64": "1", "JAX_COMPILATION_CACHE_DIR": "/cache", "JAX_RANDOM_SEED_OFFSET": "3", "HOME": "/me"}
    assert without_jax_settings(given) == {"JAX_COMPILATION_CACHE_DIR": "/cache", "HOME": "/me"}
