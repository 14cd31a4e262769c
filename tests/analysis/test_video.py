"""Films of real lives, read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import imageio_ffmpeg
import numpy as np
import pytest

from metahebb.agents import Agent
from metahebb.analysis.video import (
    ACTIVE,
    COLOURS,
    HEIGHT,
    STRUCK,
    WEIGHTS_WIDTH,
    WIDTH,
    Page,
    Panel,
    film,
    film_beside,
    lay_out,
)
from metahebb.api import evaluate
from metahebb.assembly import configure
from metahebb.errors import UsageError
from metahebb.lifetimes.slots import Moment
from metahebb.worlds.quadruped import life
from support import Answer


def random_agent(task: str, **options: Any) -> Agent:
    configuration, _, network = configure(task, **options)
    return Agent(configuration, np.random.default_rng(1).standard_normal(network.parameters).astype(np.float32))


def frames_of(path: Path) -> tuple[np.ndarray, float]:
    """uint8 [frames, height, width, 3] of a film, and its frames per second."""
    reader = imageio_ffmpeg.read_frames(path)
    meta = next(reader)
    width, height = meta["size"]
    return np.stack([np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader]), meta["fps"]


def areas(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts of frames that show the world, and the weights."""
    left = WIDTH - WEIGHTS_WIDTH - 48
    return frames[:, 104:640, :left].astype(int), frames[:, 104:640, left + 24 :].astype(int)


def changes(area: np.ndarray) -> np.ndarray:
    """How much each frame differs from the one before: mean grey levels, [frames − 1]."""
    return np.abs(np.diff(area, axis=0)).mean(axis=(1, 2, 3))


def test_film_of_cartpole_is_the_life_that_an_evaluation_lives(tmp_path: Path) -> None:
    agent = random_agent("gymnasium:CartPole-v1")
    path = tmp_path / "life.mp4"

    outcome = film(agent, path, seed=3)

    frames, rate = frames_of(path)
    assert frames.shape == (outcome.steps, HEIGHT, WIDTH, 3)
    assert rate == gymnasium.make("CartPole-v1").metadata["render_fps"]
    assert outcome.fitness == outcome.steps
    assert outcome.fitness == evaluate(agent, 1, seed=3, workers=1).mean
    assert [file.name for file in tmp_path.iterdir()] == ["life.mp4"]
    world, weights = areas(frames)
    assert (np.abs(np.diff(world, axis=0)).max(axis=(1, 2, 3)) > 40).all(), "the pole moves in every frame"
    assert (changes(weights) > 0.5).all()


def test_film_of_a_car_in_the_traced_world(tmp_path: Path) -> None:
    path = tmp_path / "life.mp4"

    outcome = film(random_agent("car-racing"), path)

    frames, rate = frames_of(path)
    world, weights = areas(frames)
    assert frames.shape == (outcome.steps, HEIGHT, WIDTH, 3)
    assert rate == 50
    green = (world[..., 1] > world[..., 0] + 60) & (world[..., 1] > world[..., 2] + 60)
    assert green.mean() > 0.2, "grass"
    assert (changes(weights) > 0.5).all()


@pytest.mark.parametrize("simulator", [None, "exact", "merged"])
def test_film_of_a_quadruped(
    simulator: str | None, drawing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if simulator is not None:
        pytest.importorskip("pybullet", reason="PyBullet has no wheels for this platform")
    # Its worker imports this module too. A frame takes long without a graphics card, and lives last 202 steps at least.
    (tmp_path / "short_lives.py").write_text("from metahebb.worlds.quadruped import life\nlife.LIFE_ACTIONS = 12\n")
    monkeypatch.setattr(life, "LIFE_ACTIONS", 12)
    task, imports = ("quadruped" if simulator is None else "quadruped-bullet"), (str(tmp_path / "short_lives.py"),)
    agent = random_agent(task, simulator=simulator, hidden=(8,), imports=imports)
    path = tmp_path / "life.mp4"

    outcome = film(agent, path, morphology="front-left-damaged")

    frames, rate = frames_of(path)
    assert frames.shape == (12, HEIGHT, WIDTH, 3)
    assert outcome.steps == 12
    assert rate == pytest.approx(1 / 0.0165, rel=0.01)
    world, weights = areas(frames)
    assert changes(world[:, :400]).mean() > 0.4, "above the counter, the robot moves"
    assert (changes(weights) > 0.5).all()


def test_static_weights_do_not_change(tmp_path: Path) -> None:
    agent = random_agent("gymnasium:CartPole-v1", static=True)
    film(agent, tmp_path / "life.mp4")
    frames, _ = frames_of(tmp_path / "life.mp4")
    world, _ = areas(frames)
    assert np.abs(np.diff(world, axis=0)).max() > 40
    panel = lay_out(agent.network.layers, WEIGHTS_WIDTH, HEIGHT - 172)[1]
    height, width = panel.size((128, 64))
    # Within its outline: the activities around it change.
    top, left = 104 + panel.top + 8, WIDTH - 24 - WEIGHTS_WIDTH + 8
    weights = frames[:, top : top + height - 16, left : left + width - 16].astype(int)
    assert (changes(weights) < 0.05).all(), "but for the noise of compression"


def test_gif(tmp_path: Path) -> None:
    outcome = film(random_agent("gymnasium:CartPole-v1"), tmp_path / "life.gif")
    frames, rate = frames_of(tmp_path / "life.gif")
    assert (tmp_path / "life.gif").read_bytes()[:6] == b"GIF89a"
    assert rate == pytest.approx(25, rel=0.01)
    assert frames.shape[1:] == (450, 800, 3)
    assert abs(len(frames) - outcome.steps / 2) <= 1


def test_colours_are_those_of_the_weights() -> None:
    agent = random_agent("gymnasium:CartPole-v1")
    page = Page(agent, (400, 600))
    weights = [np.zeros(layer, np.float32) for layer in agent.network.layers]
    weights[1][127, 63], weights[1][0, 0] = 1, -0.25

    picture = np.zeros((400, 600, 3), np.uint8)
    activities = tuple(np.zeros(size, np.float32) for size in (4, 128, 64, 2))
    activities[1][127], activities[2][0] = 1, -1

    frame = page.draw(Moment(0, 1.0, np.zeros(4), np.int64(0), activities, tuple(weights), picture), 1.0)

    panel = lay_out(agent.network.layers, WEIGHTS_WIDTH, HEIGHT - 172)[1]
    height, width = panel.size((128, 64))
    shown = frame[104 + panel.top : 104 + panel.top + height, -24 - WEIGHTS_WIDTH :][:, :width]
    down, across = panel.cell
    assert (shown[-down:, -across:] == COLOURS[255]).all()
    assert (shown[:down, :across] == COLOURS[63]).all()
    assert (shown[:down, across:] == COLOURS[127]).all()
    above = frame[104 + panel.top - 8 : 104 + panel.top - 2, -24 - WEIGHTS_WIDTH :][:, :width]
    assert (above[:, -across:] == ACTIVE[255]).all(), "inputs run across"
    assert (above[:, :-across] == ACTIVE[127]).all()
    beside = frame[104 + panel.top : 104 + panel.top + height, -24 - WEIGHTS_WIDTH - 8 : -24 - WEIGHTS_WIDTH - 2]
    assert (beside[:down] == ACTIVE[0]).all(), "and outputs down"
    assert (beside[down:] == ACTIVE[127]).all()


def test_lives_side_by_side_and_what_strikes_them(tmp_path: Path) -> None:
    agent = random_agent("gymnasium:CartPole-v1")
    other = random_agent("gymnasium:CartPole-v1", hidden=(8,))

    outcomes = film_beside([agent, other], tmp_path / "both.mp4", seed=3, perturb=["zero-weights@5"])

    frames, _ = frames_of(tmp_path / "both.mp4")
    assert len(frames) == max(outcome.steps for outcome in outcomes)
    for its, outcome in zip((agent, other), outcomes, strict=True):
        assert outcome.fitness == evaluate(its, 1, seed=3, perturb=["zero-weights@5"], workers=1).mean
    orange = (np.abs(frames.astype(int) - STRUCK) < 40).all(axis=3)
    halves = orange[:, :, : WIDTH // 2], orange[:, :, WIDTH // 2 :]
    for half, outcome in zip(halves, outcomes, strict=True):
        framed = half[:, 60:340].sum(axis=(1, 2))
        assert (framed[:5] < 50).all()
        assert (framed[5 : min(outcome.steps, 40)] > 1000).all(), "the picture is framed from the step that is struck"
    with pytest.raises(UsageError, match="room for 1 to 4"):
        film_beside([agent] * 5, tmp_path / "more.mp4")
    with pytest.raises(UsageError, match="Unknown perturbation"):
        film_beside([agent], tmp_path / "more.mp4", perturb=["zero-wieghts@5"])
    assert [file.name for file in tmp_path.iterdir()] == ["both.mp4"]


def test_of_a_block_the_largest_weight_is_shown() -> None:
    weights = np.zeros((5, 4), np.float32)
    weights[1, 1], weights[0, 0], weights[4, 3] = -3, 2, 1
    panel = Panel(0, False, 2, (1, 1))
    np.testing.assert_array_equal(panel.shown(weights), [[-3, 0, 0], [0, 0, 1]])
    assert panel.size((5, 4)) == (2, 3)


@pytest.mark.parametrize(
    "layers",
    [
        [(648, 128), (128, 64), (64, 3)],
        [(28, 128), (128, 64), (64, 8)],
        [(4, 2)],
        [(348, 128), (128, 64), (64, 17)],
        [(5000, 512), (512, 512), (512, 6)],
        [(64, 64)] * 6,
    ],
    ids=str,
)
def test_panels_fit_and_do_not_overlap(layers: list[tuple[int, int]]) -> None:
    for _, _, right, bottom in no_overlap(layers):
        assert right <= 648
        assert bottom <= 550


def no_overlap(layers: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """(left, top, right, bottom) of the panels, with their labels, of which none overlaps another."""
    places = [
        (panel.left, panel.top - 26, panel.left + panel.size(layer)[1], panel.top + panel.size(layer)[0])
        for panel, layer in zip(lay_out(layers, 648, 550), layers, strict=True)
    ]
    for i, (left, top, right, bottom) in enumerate(places):
        assert 0 <= left < right
        assert 0 <= top <= bottom - 26 - 24
        for left_, top_, right_, bottom_ in places[:i]:
            assert right_ < left or bottom_ < top or right < left_ or bottom < top_
    return places


def test_layers_for_which_there_is_no_room_below_each_other_are_drawn_in_columns() -> None:
    places = no_overlap([(4, 8), *[(8, 8)] * 11, (8, 2)])
    assert len({left for left, *_ in places}) == 2
    many = no_overlap([(64, 64)] * 6)
    assert all(right - left >= 64 for left, _, right, _ in many), "rather than several weights behind a pixel"
    with pytest.raises(UsageError, match="90 layers cannot be filmed"):
        lay_out([(8, 8)] * 90, 648, 550)


def test_a_life_of_a_deep_network_is_filmed(tmp_path: Path) -> None:
    agent = random_agent("gymnasium:CartPole-v1", hidden=(8,) * 12)
    outcome = film(agent, tmp_path / "life.mp4", seed=np.int64(1), number=np.int64(2))  # type: ignore[arg-type]
    assert len(frames_of(tmp_path / "life.mp4")[0]) == outcome.steps


class Blind(gymnasium.Env[np.ndarray, int]):
    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)


def test_what_cannot_be_filmed_is_said_before_work_starts(tmp_path: Path) -> None:
    agent = random_agent("gymnasium:CartPole-v1")
    (tmp_path / "folder.mp4").mkdir()
    for path, sentence in {
        tmp_path / "life.avi": "accepted are .mp4, .gif and .webp",
        tmp_path / "nowhere" / "life.mp4": "no folder to lie in",
        tmp_path / "folder.mp4": "the place of a folder",
    }.items():
        with pytest.raises(UsageError, match=sentence):
            film(agent, path)
    gymnasium.register("Blind-v0", Blind)
    try:
        with pytest.raises(UsageError, match="makes no pictures"):
            film(random_agent("gymnasium:Blind-v0"), tmp_path / "life.mp4")
    finally:
        gymnasium.registry.pop("Blind-v0")
    assert [file.name for file in tmp_path.iterdir()] == ["folder.mp4"]


def test_a_film_takes_the_place_of_another_only_when_told_to(
    metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random_agent("gymnasium:CartPole-v1").save("agent.safetensors")
    Path("life.gif").write_text("mine")
    Path("life.gif").chmod(0o444)
    code, out, err = metahebb("watch", "agent.safetensors", "--video", "life.gif")
    assert (code, out) == (2, "")
    assert err == (
        "Error: The film 'life.gif' exists; choose another name, or --overwrite (from Python overwrite=True).\n"
    )
    assert Path("life.gif").read_text() == "mine"
    # A link that leads nowhere is something, too.
    Path("link.gif").symlink_to("nowhere.gif")
    assert metahebb("watch", "agent.safetensors", "--video", "link.gif").code == 2
    assert metahebb("watch", "agent.safetensors", "--video", "life.gif", "--overwrite").code == 0
    assert Path("life.gif").read_bytes()[:6] == b"GIF89a"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["agent.safetensors", "life.gif", "link.gif"]
