"""Figures of small recordings, agents and runs: what is drawn is what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metahebb.agents import Agent
from metahebb.analysis import figures
from metahebb.analysis.figures.attractor import principal_components
from metahebb.analysis.figures.recovery import _moving
from metahebb.analysis.recordings import Recording, open_recording, record
from metahebb.assembly import configure
from metahebb.errors import UsageError
from metahebb.evolution.runs import Run
from support import Answer

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An agent, and recordings of its lives and of random ones, disturbed at their fifth step."""
    folder = tmp_path_factory.mktemp("figures")
    configuration, _, network = configure("gymnasium:CartPole-v1", hidden=(6,))
    genome = np.random.default_rng(1).standard_normal(network.parameters).astype(np.float32)
    agent = Agent(configuration, genome)
    agent.save(folder / "agent.safetensors")
    record(agent, folder / "evolved.zarr", 3, every=2, perturb=["zero-weights@5"], workers=1)
    record(agent, folder / "random.zarr", 2, every=2, random_rules=True, workers=1)
    return folder


@pytest.fixture
def recordings(made: Path) -> list[Recording]:
    return [open_recording(made / "evolved.zarr"), open_recording(made / "random.zarr")]


def test_weights_are_those_of_the_steps(recordings: list[Recording]) -> None:
    axes = figures.draw_weights(recordings[0], [0, 6, 7], life=1)
    assert axes.shape == (2, 2), "of steps 6 and 7 the weights of step 6"
    for i in range(2):
        for j, moment in enumerate((0, 3)):
            drawn = axes[i, j].images[0].get_array()
            np.testing.assert_array_equal(drawn, recordings[0].weights(i, 1, moment))
    assert [its.get_title() for its in axes[0]] == ["step 0", "step 6"]
    with pytest.raises(UsageError, match="beyond the life's"):
        figures.draw_weights(recordings[0], [10_000])
    with pytest.raises(UsageError, match="no life 3"):
        figures.draw_weights(recordings[0], life=3)


def test_principal_components_are_those_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((40, 6)) @ np.diag([5, 3, 1, 0.5, 0.2, 0.1])
    found, share = principal_components([[points[:15, :4], points[15:, :4]], [points[:15, 4:], points[15:, 4:]]], 2)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    expected = (points - points.mean(axis=0)) @ vectors[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(share, values[::-1][:2] / values.sum(), rtol=1e-4)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_attractor_has_a_line_for_each_life(dimensions: int, recordings: list[Recording]) -> None:
    axes = figures.draw_attractor(recordings, dimensions)
    paths = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert len(paths) == 5
    assert sum(line.get_marker() == "X" for line in axes.lines) == sum(recordings[0].length > 6)


def test_recovery_is_the_moving_mean_over_lives(recordings: list[Recording]) -> None:
    values = np.array([[1.0, 2, 3, 4], [3, 4, np.nan, np.nan]])
    np.testing.assert_allclose(_moving(values, 2), [[np.nan, 1.5, 2.5, 3.5], [np.nan, 3.5, np.nan, np.nan]])
    axes = figures.draw_recovery(recordings, window=3)
    assert len(axes) == 3
    assert len(axes[0].lines) == 3, "two recordings and the perturbation"


def test_what_there_is_no_figure_of_is_refused(made: Path, metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    out = tmp_path / "figure.png"
    bad: list[tuple[list[Any], str]] = [
        (["wieghts", made / "evolved.zarr"], "Did you mean 'weights'"),
        (["weights", made / "nothing.zarr"], "is not there"),
        (["weights", made / "evolved.zarr", made / "random.zarr"], "of one recording"),
        (["weights", made / "evolved.zarr", "--steps", "a"], "--steps is 'a'"),
        (["attractor", made / "evolved.zarr", "--dimensions", "4"], "must be 2 or 3"),
        (["changes", made / "agent.safetensors", "--life", "1"], "--life is for weights"),
        (["bars", made / "agent.safetensors"], "no result of"),
    ]
    for arguments, sentence in bad:
        answer = metahebb("plot", *arguments, "--out", out)
        assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
        assert sentence in answer.err
    assert metahebb("plot", "weights", made / "evolved.zarr", "--out", tmp_path / "a.jpg").code == 2
    assert not list(tmp_path.iterdir())


def test_every_kind_becomes_a_file(made: Path, metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    both = [made / "evolved.zarr", made / "random.zarr"]
    kinds: dict[str, list[Any]] = {
        "weights": both[:1],
        "attractor": both,
        "recovery": both,
        "coefficients": [made / "agent.safetensors"],
        "changes": [made / "agent.safetensors"],
        "curves": [RESULTS / f"car-racing-seed-{seed}" for seed in (1, 2, 3)],
        "bars": [RESULTS / "car-racing-seed-2" / "evaluation.json", *both],
    }
    beginnings = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    for (kind, paths), suffix in zip(kinds.items(), 3 * [*beginnings], strict=False):
        out = tmp_path / f"{kind}{suffix}"
        answer = metahebb("plot", kind, *paths, "--out", out)
        assert answer.code == 0, answer.err
        assert out.read_bytes().startswith(beginnings[suffix])


def test_lines_are_named_by_what_sets_their_runs_apart(tmp_path: Path) -> None:
    runs = []
    for name, how in {"a": {}, "b": {"rule": "ABCD"}, "c": {"static": True}, "d": {"static": True, "seed": 1}}.items():
        configuration, _, _ = configure("gymnasium:CartPole-v1", **how)
        run = Run(tmp_path / name, configuration)
        run.folder.mkdir()
        run.add_metrics({"generation": 0, "fitness_mean": 1.0, "fitness_best": 1.0, "fitness_deviation": 0.0})
        runs.append(run)

    def names(*drawn: Run) -> list[str]:
        return [str(line.get_label()) for line in figures.draw_curves(drawn).lines[:-1] if line.get_label()[0] != "_"]

    assert names(*runs) == ["rule ABCD_lr", "rule ABCD", "static weights (2 seeds), mean ± deviation"]
    assert names(runs[0], runs[2]) == ["plastic weights", "static weights"]
    assert names(runs[2], runs[3]) == ["population's mean (2 seeds), mean ± deviation"]
