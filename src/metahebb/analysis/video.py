"""Films of lives: the world as it renders itself, and beside it the plastic weights, changing.

A film is 1280×720. What never changes (title, labels, frames, the key of colours) is drawn once; each frame then costs
a resized picture, a table look-up per weight and one line of text.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import imageio_ffmpeg
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from metahebb.agents import Agent
from metahebb.configuration import SEED
from metahebb.errors import RunError, UsageError, quoted
from metahebb.evolution.workers import Workers
from metahebb.files import check_new_file, replacing, user_path
from metahebb.interrupts import undone
from metahebb.lifetimes.lives import Outcome, life_of
from metahebb.networks import Network
from metahebb.perturbations import Perturbation, perturbations_for
from metahebb.seeds import Stream

__all__ = ["Page", "Panel", "film", "lay_out"]

WIDTH, HEIGHT, MARGIN = 1280, 720, 24
WEIGHTS_WIDTH = 648
"""The paper's vision network, 648 inputs wide, fits at a pixel a weight."""
PICTURE_WIDTH = WIDTH - WEIGHTS_WIDTH - 3 * MARGIN
TOP = 104
"""where the picture and the weights begin, below the title"""
COUNTER_HEIGHT = 44
LABEL_HEIGHT = 26
KEY_HEIGHT = 44
LEAST_HEIGHT = 24
"""of a layer of few neurons"""
MOST_COLUMNS = 6

INK, FAINT, LINE, PAPER = (34, 34, 34), (118, 118, 118), (190, 190, 190), (255, 255, 255)
COLOURS = (matplotlib.colormaps["RdBu_r"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
"""uint8 [256, 3]: blue for the most negative weight, white for 0, red for the most positive"""

BOUNDED = ("max-abs", "l2", "clip")
"""the normalisers that keep every weight within ±1"""

FORMATS = {
    ".mp4": "-f mp4 -c:v libx264 -preset veryfast -crf 16 -pix_fmt yuv420p -movflags +faststart",
    # A palette for each frame needs no memory for the whole film.
    ".gif": "-f gif -filter_complex fps=25,scale=800:-1:flags=area,split[a][b];"
    "[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=none",
}
"""ffmpeg's options by the film's suffix"""


def film(
    agent: Agent,
    path: str | Path,
    *,
    seed: int = 0,
    number: int = 0,
    morphology: str | None = None,
    simulator: str | None = None,
    perturb: Sequence[str | Perturbation] = (),
    overwrite: bool = False,
) -> Outcome:
    """Film the life ``number`` of those that an evaluation with ``seed`` lives, into an mp4 or gif file.

    A task with bodies lives in ``morphology``, by default the first that the agent was evolved in; ``simulator``
    chooses another of the task's simulators, and ``perturb`` disturbs the life, as in ``evaluate``. The frames are the
    world after each step and the weights that the step's action came from. The file appears whole, in the place of one
    that exists only with ``overwrite``. Raises UsageError for a path that cannot be written, a world without pictures
    or a perturbation that cannot be, RunError for a failure at work.
    """
    if user_path("The film", path).suffix.lower() not in FORMATS:
        raise UsageError(f"The film {quoted(path)} is of no kind that can be made; accepted are .mp4 and .gif.")
    path = check_new_file("The film", path, overwrite)
    seed, number = SEED.read("seed", seed), SEED.read("number", number)
    agent = agent.living_in(morphology, simulator)
    frames_per_second = agent.task.frames_per_second
    if frames_per_second is None:
        raise UsageError(f"Task {agent.task.name!r} cannot be filmed: its environment makes no pictures (rgb_array).")
    panels_of(agent.network)
    variant = perturbations_for(perturb, agent.task, agent.network)
    life = life_of(0, number, seed, Stream.EVALUATION, body=agent.body)
    genes = agent.genome[: agent.network.synaptic_parameters]
    fitness, steps = 0.0, 0
    pool = Workers(agent.configuration, 1, render=True, variants=[variant])
    with pool as workers, _encoding(path, frames_per_second) as frames:
        page: Page | None = None
        for moment in workers.record(agent.genome, life):
            if moment.step != steps:
                raise RunError("The worker that lived the life died in the middle of it; try again.")
            fitness += moment.reward
            steps += 1
            assert moment.frame is not None
            if page is None:
                page = Page(agent, moment.frame.shape[:2])
            frames.write(page.draw(moment.frame, moment.weights, steps, fitness).data)
    return Outcome(life.member, life.number, fitness, steps, float(np.mean(genes**2)))


@contextlib.contextmanager
def _encoding(path: Path, frames_per_second: float) -> Iterator[IO[bytes]]:
    """A stream for frames, uint8 [HEIGHT, WIDTH, 3] each; the film appears when the block ends without an error."""
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", f"{frames_per_second:.6f}"]
    with replacing("The film", path) as temporary, tempfile.TemporaryFile(dir=path.absolute().parent) as complaints:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *source, "-i", "-"]
        command += [*FORMATS[path.suffix.lower()].split(), f"file:{temporary}"]
        # Ctrl-C is this process's to handle.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=complaints, start_new_session=True)
        assert process.stdin is not None
        try:
            with undone(functools.partial(_kill, process)):
                with contextlib.suppress(BrokenPipeError):
                    yield process.stdin
                    process.stdin.close()
                code = process.wait()
        except BaseException:
            _kill(process)
            raise
        if code != 0:
            complaints.seek(0)
            reason = complaints.read().decode(errors="replace").strip().rpartition("\n")[2].rpartition("] ")[2]
            raise RunError(f"The film {str(path)!r} could not be written: {reason or 'ffmpeg failed'}.")


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    # Another thread may be waiting, too, and never come back from it.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)


@dataclass(frozen=True)
class Panel:
    """Where and how large a layer's weights [inputs, outputs] are drawn."""

    top: int
    turned: bool
    """whether the outputs, not the inputs, run across: the longer side always does"""
    block: int
    """weights on either side of a square of which the largest alone is shown; 1 shows them all"""
    cell: tuple[int, int]
    """pixels (down, across) of what is shown"""
    left: int = 0

    def shown(self, weights: np.ndarray) -> np.ndarray:
        """What is shown of the weights [inputs, outputs]: [down, across], before it is enlarged."""
        down = weights if self.turned else weights.T
        if self.block == 1:
            return down
        rows, columns = (math.ceil(side / self.block) for side in down.shape)
        padded = np.zeros((rows * self.block, columns * self.block), down.dtype)
        padded[: down.shape[0], : down.shape[1]] = down
        blocks = padded.reshape(rows, self.block, columns, self.block)
        # A mean of random weights is nothing to see.
        high, low = blocks.max(axis=(1, 3)), blocks.min(axis=(1, 3))
        return np.where(high >= -low, high, low)

    def size(self, layer: tuple[int, int]) -> tuple[int, int]:
        """(height, width) in pixels of a layer (inputs, outputs)."""
        down, across = layer if self.turned else layer[::-1]
        return math.ceil(down / self.block) * self.cell[0], math.ceil(across / self.block) * self.cell[1]


def lay_out(layers: Sequence[tuple[int, int]], width: int, height: int) -> list[Panel]:
    """A panel for each layer (inputs, outputs), as large as the space allows: one below the other, in as few columns
    as hold them."""
    for columns in range(1, MOST_COLUMNS + 1):
        each = math.ceil(len(layers) / columns)
        room = (width + MARGIN) // columns - MARGIN
        panels = []
        bottom = 0
        for column, first in enumerate(range(0, len(layers), each)):
            laid, end = _column(layers[first : first + each], room, height)
            panels += [dataclasses.replace(panel, left=column * (room + MARGIN)) for panel in laid]
            bottom = max(bottom, end)
        if bottom <= height + MARGIN // 2:
            return panels
    raise UsageError(f"A network of {len(layers)} layers cannot be filmed: no more than some {8 * columns} have room.")


def panels_of(network: Network) -> list[Panel]:
    """Where a network's layers are drawn on a page; raises UsageError where there is no room for all."""
    return lay_out(network.layers, WEIGHTS_WIDTH, HEIGHT - TOP - KEY_HEIGHT - MARGIN)


def _column(layers: Sequence[tuple[int, int]], width: int, height: int) -> tuple[list[Panel], int]:
    """Panels one below the other, and where the next would begin, which is below ``height`` if there are too many."""
    # Pixels a weight: whole numbers, or one for a block of weights.
    scales = [width // max(layer) or -math.ceil(max(layer) / width) for layer in layers]
    while True:
        panels = []
        top = 0
        for layer, scale in zip(layers, scales, strict=True):
            pixels, block = max(scale, 1), max(-scale, 1)
            down = math.ceil(min(layer) / block)
            taller = max(pixels, math.ceil(LEAST_HEIGHT / down))
            panel = Panel(top + LABEL_HEIGHT, layer[0] <= layer[1], block, (taller, pixels))
            panels.append(panel)
            top = panel.top + panel.size(layer)[0] + MARGIN // 2
        heights = [panel.size(layer)[0] for panel, layer in zip(panels, layers, strict=True)]
        tallest = int(np.argmax(heights))
        if top <= height or heights[tallest] <= LEAST_HEIGHT:
            return panels, top
        scales[tallest] = scales[tallest] - 1 if scales[tallest] > 1 else min(scales[tallest], -1) - 1


class Page:
    """What every frame of a film is drawn on."""

    def __init__(self, agent: Agent, picture: tuple[int, int]) -> None:
        """``picture``: (height, width) of what the world renders."""
        network = agent.network
        self._bounded = network.normaliser in BOUNDED and network.rule is not None
        self._layers = network.layers
        self._panels = panels_of(network)
        self._picture = _fitted(picture, HEIGHT - TOP - COUNTER_HEIGHT - MARGIN, PICTURE_WIDTH)
        self._counter_top = TOP + self._picture[0] + MARGIN // 2
        self._font = _font(22)
        sheet = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        draw = ImageDraw.Draw(sheet)
        self._draw_title(draw, agent)
        height, width = self._picture
        left = MARGIN + (PICTURE_WIDTH - width) // 2
        draw.rectangle((left - 1, TOP - 1, left + width, TOP + height), outline=LINE)
        for i, (panel, layer) in enumerate(zip(self._panels, self._layers, strict=True)):
            self._draw_label(draw, i, panel, layer)
        self._draw_key(draw)
        self._sheet = np.array(sheet)

    def draw(self, picture: np.ndarray, weights: Sequence[np.ndarray], step: int, reward: float) -> np.ndarray:
        """A frame, uint8 [HEIGHT, WIDTH, 3]; it is overwritten by the next."""
        height, width = self._picture
        left = MARGIN + (PICTURE_WIDTH - width) // 2
        self._sheet[TOP : TOP + height, left : left + width] = _resized(picture, height, width)
        counter = self._sheet[self._counter_top : self._counter_top + COUNTER_HEIGHT, MARGIN : MARGIN + PICTURE_WIDTH]
        counter[:] = self._counter(step, reward)
        for panel, layer, values in zip(self._panels, self._layers, weights, strict=True):
            height, width = panel.size(layer)
            top, left = TOP + panel.top, WIDTH - MARGIN - WEIGHTS_WIDTH + panel.left
            self._sheet[top : top + height, left : left + width] = self._coloured(panel, values)
        return self._sheet

    def _coloured(self, panel: Panel, weights: np.ndarray) -> np.ndarray:
        shown = panel.shown(weights)
        # One fixed scale for the whole film. Normalised weights are small but for a few, hence the root; weights that
        # nothing holds grow a thousandfold in a life, hence the logarithm.
        size = np.abs(shown)
        scaled = np.sqrt(size) if self._bounded else np.log1p(10 * size) / np.log1p(1e4)
        index = np.nan_to_num(127.5 + 127.5 * np.copysign(np.minimum(scaled, 1), shown), nan=127.5).astype(np.uint8)
        down, across = panel.cell
        return COLOURS[index].repeat(down, axis=0).repeat(across, axis=1)

    def _counter(self, step: int, reward: float) -> np.ndarray:
        strip = Image.new("RGB", (PICTURE_WIDTH, COUNTER_HEIGHT), PAPER)
        draw = ImageDraw.Draw(strip)
        draw.text((0, 4), f"step {step}", INK, self._font)
        draw.text((PICTURE_WIDTH, 4), f"reward {reward:,.1f}".replace("-", "−"), INK, self._font, anchor="ra")
        return np.asarray(strip)

    def _draw_title(self, draw: ImageDraw.ImageDraw, agent: Agent) -> None:
        title, bold = agent.configuration.task.removeprefix("gymnasium:"), _font(26, bold=True)
        draw.text((MARGIN, MARGIN - 4), title, INK, bold)
        draw.text((MARGIN + bold.getlength(title) + 16, MARGIN + 5), agent.body, FAINT, _font(17))
        draw.text((MARGIN, MARGIN + 36), _subtitle(agent.network), FAINT, _font(17))

    def _draw_label(self, draw: ImageDraw.ImageDraw, i: int, panel: Panel, layer: tuple[int, int]) -> None:
        left, top = WIDTH - MARGIN - WEIGHTS_WIDTH + panel.left, TOP + panel.top
        height, width = panel.size(layer)
        draw.rectangle((left - 1, top - 1, left + width, top + height), outline=LINE)
        inputs, outputs = layer
        name = f"layer {i + 1}   {inputs} → {outputs}"
        baseline = top - 8
        draw.text((left, baseline), name, INK, _font(16), anchor="ls")
        used = _font(16).getlength(name) + MARGIN
        across = "outputs" if panel.turned else "inputs"
        largest = f", the largest of each {panel.block}×{panel.block} shown" if panel.block > 1 else ""
        note = f"{across} across{largest}"
        # In narrow columns there is no room for it.
        if used + _font(13).getlength(note) <= width:
            draw.text((left + width, baseline), note, FAINT, _font(13), anchor="rs")

    def _draw_key(self, draw: ImageDraw.ImageDraw) -> None:
        """The bar of colours and what they mean."""
        right, top, width = WIDTH - MARGIN - 16, HEIGHT - MARGIN - 34, 256
        for i, colour in enumerate(COLOURS.tolist()):
            draw.line((right - width + i, top, right - width + i, top + 12), tuple(colour))
        draw.rectangle((right - width - 1, top - 1, right, top + 13), outline=LINE)
        ticks = ("−1", "−¼", "0", "¼", "1") if self._bounded else ("−1000", "−10", "0", "10", "1000")
        for i, text in enumerate(ticks):
            draw.text((right - width + i * width / 4, top + 18), text, FAINT, _font(13), anchor="ma")
        draw.text((right - width - 24, top + 6), "weight", FAINT, _font(13), anchor="rm")


def _subtitle(network: Network) -> str:
    if network.rule is None:
        return "static weights"
    formula = f":  Δw = {network.rule.formula}" if network.rule.formula else ""
    return f"rule {network.rule.name.rpartition(':')[2]}{formula}"


def _fitted(picture: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """The largest (height, width) that fits, in whole multiples of the picture where it is small."""
    scale = min(height / picture[0], width / picture[1])
    if scale >= 2:
        scale = math.floor(scale)
    return round(picture[0] * scale), round(picture[1] * scale)


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    if picture.shape[:2] == (height, width):
        return picture
    enlarged = height % picture.shape[0] == 0 and width % picture.shape[1] == 0
    kind = Image.Resampling.NEAREST if enlarged else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize((width, height), kind))


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings, so that films look the same everywhere."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)
