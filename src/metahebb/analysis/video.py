"""Films of lives: the world as it renders itself, beside it the plastic weights, changing, with the activities on their
sides, and the reward. Several lives stand side by side.

A film is 1280×720. What never changes (title, labels, frames, the keys of colours) is drawn once; each frame then costs
a resized picture, a table look-up per weight, a line of text and a line of the reward.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
from metahebb.lifetimes.slots import Moment
from metahebb.networks import Network
from metahebb.perturbations import Perturbation, Perturbations, perturbations_for
from metahebb.perturbations.perturbation import FOREVER
from metahebb.seeds import Stream

__all__ = ["Page", "Panel", "film", "film_beside", "lay_out"]

WIDTH, HEIGHT, MARGIN = 1280, 720, 24
WEIGHTS_WIDTH = 648
"""The paper's vision network, 648 inputs wide, fits at a pixel a weight."""
PICTURE_WIDTH = WIDTH - WEIGHTS_WIDTH - 3 * MARGIN
TOP = 104
"""where the picture and the weights begin, below the title"""
COUNTER_HEIGHT = 44
TRACE_HEIGHT = 84
LABEL_HEIGHT = 32
STRIP = 6
"""of the activities along the sides of a layer's weights"""
KEY_HEIGHT = 44
LEAST_HEIGHT = 24
"""of a layer of few neurons"""
MOST_COLUMNS = 6

MOST_LIVES = 4
"""side by side"""
WINDOW = 25
"""steps of the moving reward"""
SMOOTH = 2
"""how much larger its line is drawn"""
SHOWN_STEPS = 1000
"""of it, where nobody knows how long a life lasts"""
ENDED = "ended"
"""what a film says of a life that is over, in place of what strikes it"""
AFTERGLOW = 40
"""steps for which the film tells of what struck in one"""

INK, FAINT, LINE, PAPER = (34, 34, 34), (118, 118, 118), (190, 190, 190), (255, 255, 255)
STRUCK, BLUE, SHADE = (213, 94, 0), (0, 114, 178), (251, 232, 214)
COLOURS = (matplotlib.colormaps["RdBu_r"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
"""uint8 [256, 3]: blue for the most negative weight, white for 0, red for the most positive"""
ACTIVE = (matplotlib.colormaps["PuOr_r"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
"""uint8 [256, 3]: of activities from −1 to 1"""

BOUNDED = ("max-abs", "l2", "clip")
"""the normalisers that keep every weight within ±1"""

FORMATS = {
    ".mp4": "-f mp4 -c:v libx264 -preset veryfast -crf 16 -pix_fmt yuv420p -movflags +faststart",
    # A palette for each frame needs no memory for the whole film.
    ".gif": "-f gif -filter_complex fps=25,scale=800:-1:flags=area,split[a][b];"
    "[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=none",
    # For pages: a tenth of a GIF's size.
    ".webp": "-f webp -c:v libwebp_anim -vf fps=10,scale=720:-1:flags=area -quality 35 -compression_level 4 -loop 0",
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
    """Film the life ``number`` of those that an evaluation with ``seed`` lives, into an mp4, gif or webp file.

    A task with bodies lives in ``morphology``, by default the first that the agent was evolved in; ``simulator``
    chooses another of the task's simulators; ``perturb`` disturbs the life. The frames are the world after each step,
    and the weights and activities that the step's action came from. The file appears whole, in the place of one that
    exists only with ``overwrite``. Raises UsageError for a path that cannot be written or a world without pictures,
    RunError for a failure at work.
    """
    there = agent.living_in(morphology, simulator)
    return film_beside([there], path, seed=seed, number=number, perturb=perturb, overwrite=overwrite)[0]


def film_beside(
    agents: Sequence[Agent],
    path: str | Path,
    *,
    seed: int = 0,
    number: int = 0,
    perturb: Sequence[str | Perturbation] = (),
    overwrite: bool = False,
) -> list[Outcome]:
    """Film a life of each agent side by side, all of the same seed; as ``film`` does, each in its own body.

    The film goes on until the last life ends; one that has ended stands still.
    """
    if user_path("The film", path).suffix.lower() not in FORMATS:
        raise UsageError(f"The film {quoted(path)} is of no kind that can be made; accepted are .mp4, .gif and .webp.")
    path = check_new_file("The film", path, overwrite)
    seed, number = SEED.read("seed", seed), SEED.read("number", number)
    if not 0 < len(agents) <= MOST_LIVES:
        raise UsageError(f"{len(agents)} lives are to be filmed side by side; there is room for 1 to {MOST_LIVES}.")
    lanes = [_Lane(agent, number, seed, perturb, len(agents)) for agent in agents]
    rates = {agent.task.frames_per_second for agent in agents}
    if len(rates) > 1:
        raise UsageError("The agents' worlds do not go at one speed, so their lives cannot be filmed side by side.")
    frames_per_second = rates.pop()
    assert frames_per_second is not None
    sheet = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    width = WIDTH // len(lanes)
    with contextlib.ExitStack() as pools:
        # Before the file is begun, so that a failure to start leaves nothing.
        living = [lane.moments(pools.enter_context(lane.workers())) for lane in lanes]
        frames = pools.enter_context(_encoding(path, frames_per_second))
        while True:
            drawn = [lane.draw(next(moments, None)) for lane, moments in zip(lanes, living, strict=True)]
            if not any(goes_on for _, goes_on in drawn):
                break
            for i, (picture, _) in enumerate(drawn):
                if picture is not None:
                    sheet[:, i * width : i * width + width] = picture
            frames.write(sheet.data)
    return [lane.outcome for lane in lanes]


class _Lane:
    """One of the lives that are filmed: what it came to so far, and its page."""

    def __init__(
        self, agent: Agent, number: int, seed: int, perturb: Sequence[str | Perturbation], beside: int
    ) -> None:
        if agent.task.frames_per_second is None:
            raise UsageError(
                f"Task {agent.task.name!r} cannot be filmed: its environment makes no pictures (rgb_array)."
            )
        self._agent, self._beside = agent, beside
        self._box = Box(WIDTH // beside, beside == 1)
        panels_of(agent.network, self._box)
        self._variant = perturbations_for(perturb, agent.task, agent.network)
        self._life = life_of(0, number, seed, Stream.EVALUATION, body=agent.body)
        self._page: Page | None = None
        self._fitness, self._steps = 0.0, 0

    def workers(self) -> Workers:
        return Workers(self._agent.configuration, 1, render=True, variants=[self._variant])

    def moments(self, workers: Workers) -> Iterator[Moment]:
        return workers.record(self._agent.genome, self._life)

    def draw(self, moment: Moment | None) -> tuple[np.ndarray | None, bool]:
        """The lane after a moment, None where nothing of it changes any more; and whether the life goes on."""
        if moment is None:
            ended = None if self._page is None else self._page.end()
            return ended, False
        if moment.step != self._steps:
            raise RunError("The worker that lived the life died in the middle of it; try again.")
        self._fitness += moment.reward
        self._steps += 1
        assert moment.frame is not None
        if self._page is None:
            self._page = Page(self._agent, moment.frame.shape[:2], self._box, self._variant)
        return self._page.draw(moment, self._fitness), True

    @property
    def outcome(self) -> Outcome:
        genes = self._agent.genome[: self._agent.network.synaptic_parameters]
        return Outcome(self._life.member, self._life.number, self._fitness, self._steps, float(np.mean(genes**2)))


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

    def line(self, activities: np.ndarray) -> np.ndarray:
        """What is shown of the activities on one side of the weights."""
        if self.block == 1:
            return activities
        padded = np.zeros(math.ceil(len(activities) / self.block) * self.block, activities.dtype)
        padded[: len(activities)] = activities
        blocks = padded.reshape(-1, self.block)
        high, low = blocks.max(axis=1), blocks.min(axis=1)
        return np.where(high >= -low, high, low)

    def size(self, layer: tuple[int, int]) -> tuple[int, int]:
        """(height, width) in pixels of a layer (inputs, outputs)."""
        down, across = layer if self.turned else layer[::-1]
        return math.ceil(down / self.block) * self.cell[0], math.ceil(across / self.block) * self.cell[1]


def lay_out(layers: Sequence[tuple[int, int]], width: int, height: int) -> list[Panel]:
    """A panel for each layer (inputs, outputs), as large as the space allows, one below the other.

    In so many columns that as few weights as can be are behind each that is shown, and of these in the fewest.
    """
    found: list[Panel] = []
    for columns in range(1, MOST_COLUMNS + 1):
        each = math.ceil(len(layers) / columns)
        room = (width + MARGIN) // columns - MARGIN
        panels = []
        bottom = 0
        for column, first in enumerate(range(0, len(layers), each)):
            laid, end = _column(layers[first : first + each], room, height)
            panels += [dataclasses.replace(panel, left=column * (room + MARGIN)) for panel in laid]
            bottom = max(bottom, end)
        fits = bottom <= height + MARGIN // 2
        if fits and (not found or max(its.block for its in panels) < max(its.block for its in found)):
            found = panels
    if not found:
        most = 8 * MOST_COLUMNS
        raise UsageError(f"A network of {len(layers)} layers cannot be filmed: no more than some {most} have room.")
    return found


@dataclass(frozen=True)
class Box:
    """Where the parts of a page lie: beside each other where a life has the film for itself, else one below the other.

    All in pixels; tops are from the page's own.
    """

    width: int
    alone: bool

    @property
    def picture(self) -> tuple[int, int]:
        """The (height, width) at most of the world's picture, which begins at (TOP, MARGIN)."""
        if self.alone:
            return HEIGHT - TOP - COUNTER_HEIGHT - TRACE_HEIGHT - MARGIN, PICTURE_WIDTH
        return 240, self.width - 2 * MARGIN

    @property
    def text_width(self) -> int:
        """Of the counter and the reward's trace, below the picture."""
        return self.picture[1]

    def weights(self, picture: int) -> tuple[int, int]:
        """(top, left) of the weights, below a picture so high where lives are side by side."""
        if self.alone:
            return TOP, WIDTH - MARGIN - WEIGHTS_WIDTH
        return TOP + 240 + MARGIN // 2 + COUNTER_HEIGHT + TRACE_HEIGHT, MARGIN

    @property
    def weights_size(self) -> tuple[int, int]:
        """(height, width) that the weights have."""
        top, _ = self.weights(0)
        width = WEIGHTS_WIDTH if self.alone else self.width - 2 * MARGIN
        return HEIGHT - top - KEY_HEIGHT - MARGIN, width


def panels_of(network: Network, box: Box) -> list[Panel]:
    """Where a network's layers are drawn on a page; raises UsageError where there is no room for all."""
    height, width = box.weights_size
    return lay_out(network.layers, width, height)


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
    """What every frame of a life is drawn on."""

    def __init__(
        self, agent: Agent, picture: tuple[int, int], box: Box | None = None, perturbations: Perturbations = ()
    ) -> None:
        """``picture``: (height, width) of what the world renders."""
        network = agent.network
        self._box = box = box or Box(WIDTH, True)
        self._layers = network.layers
        self._panels = panels_of(network, box)
        self._picture = _fitted(picture, *box.picture)
        self._picture_left = MARGIN + (box.picture[1] - self._picture[1]) // 2
        self._counter_top = TOP + (self._picture[0] if box.alone else box.picture[0]) + MARGIN // 2
        self._weights_top, self._weights_left = box.weights(self._picture[0])
        self._perturbations = perturbations
        self._trace = _Trace(box.text_width, agent.task.longest, perturbations)
        self._bounded = network.normaliser in BOUNDED and network.rule is not None
        self._weight_colours, self._activity_colours = _table(COLOURS, self._scaled), _table(ACTIVE, lambda x: x)
        self._font = _font(22 if box.alone else 17)
        self._said = (0, 0.0)
        sheet = Image.new("RGB", (box.width, HEIGHT), PAPER)
        draw = ImageDraw.Draw(sheet)
        self._draw_title(draw, agent)
        self._outline(draw, TOP, self._picture_left, self._picture)
        for i, (panel, layer) in enumerate(zip(self._panels, self._layers, strict=True)):
            self._draw_label(draw, i, panel, layer)
        self._draw_key(draw)
        self._sheet = np.array(sheet)

    def draw(self, moment: Moment, reward: float) -> np.ndarray:
        """The page, uint8 [HEIGHT, width, 3], with the ``reward`` so far; it is overwritten by the next."""
        assert moment.frame is not None
        height, width = self._picture
        self._put(TOP, self._picture_left, _resized(moment.frame, height, width))
        self._said = moment.step + 1, reward
        self._trace.add(moment.reward)
        self._tell(self._struck(moment.step))
        top, left = self._weights_top, self._weights_left
        ends = pairwise(moment.activities)
        for panel, weights, (pre, post) in zip(self._panels, moment.weights, ends, strict=True):
            shown = self._weight_colours.take(_bits(panel.shown(weights)), axis=0)
            down, across = panel.cell
            self._put(top + panel.top, left + panel.left, shown.repeat(down, axis=0).repeat(across, axis=1))
            over, beside = (post, pre) if panel.turned else (pre, post)
            row = self._activity_colours[_bits(panel.line(over))].repeat(across, axis=0)
            column = self._activity_colours[_bits(panel.line(beside))].repeat(down, axis=0)
            self._put(top + panel.top - STRIP - 2, left + panel.left, np.broadcast_to(row, (STRIP, *row.shape)))
            self._put(
                top + panel.top,
                left + panel.left - STRIP - 2,
                np.broadcast_to(column[:, None], (len(column), STRIP, 3)),
            )
        return self._sheet

    def end(self) -> np.ndarray:
        """The page of a life that has ended while others go on."""
        self._tell(ENDED)
        return self._sheet

    def _put(self, top: int, left: int, pixels: np.ndarray) -> None:
        self._sheet[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels

    def _tell(self, struck: str) -> None:
        """The counter and the reward's trace; what has struck the life, in a frame around its picture."""
        width = self._box.text_width
        strip = Image.new("RGB", (width, COUNTER_HEIGHT), PAPER)
        draw = ImageDraw.Draw(strip)
        step, reward = self._said
        draw.text((0, 4), f"step {step}", INK, self._font)
        draw.text((width // 2, 4), struck, FAINT if struck == ENDED else STRUCK, self._font, anchor="ma")
        draw.text((width, 4), f"reward {reward:,.1f}".replace("-", "−"), INK, self._font, anchor="ra")
        self._put(self._counter_top, MARGIN, np.asarray(strip))
        self._put(self._counter_top + COUNTER_HEIGHT, MARGIN, self._trace.draw())
        colour = STRUCK if struck and struck != ENDED else PAPER
        height, wide = self._picture
        # Between the outline and what is around it.
        for top, left, down, across in (
            (TOP - 4, self._picture_left - 4, 3, wide + 8),
            (TOP + height + 1, self._picture_left - 4, 3, wide + 8),
            (TOP - 4, self._picture_left - 4, height + 8, 3),
            (TOP - 4, self._picture_left + wide + 1, height + 8, 3),
        ):
            self._sheet[top : top + down, left : left + across] = colour

    def _struck(self, step: int) -> str:
        """The perturbations that act at a step, or did so just now."""
        now = [its for its in self._perturbations if its.begin <= step < max(its.end, its.begin + AFTERGLOW)]
        # What lasts for ever is news for a while only.
        return ", ".join(its.kind.name.rpartition("/")[2] for its in now if its.end < FOREVER or step < its.begin + 200)

    def _scaled(self, size: np.ndarray) -> np.ndarray:
        # One fixed scale for the whole film. Normalised weights are small but for a few, hence the root; weights that
        # nothing holds grow a thousandfold in a life, hence the logarithm.
        return np.sqrt(size) if self._bounded else np.log1p(10 * size) / np.log1p(1e4)

    def _outline(self, draw: ImageDraw.ImageDraw, top: int, left: int, size: tuple[int, int]) -> None:
        draw.rectangle((left - 1, top - 1, left + size[1], top + size[0]), outline=LINE)

    def _draw_title(self, draw: ImageDraw.ImageDraw, agent: Agent) -> None:
        title, bold = agent.configuration.task.removeprefix("gymnasium:"), _font(26, bold=True)
        draw.text((MARGIN, MARGIN - 4), title, INK, bold)
        draw.text((MARGIN + bold.getlength(title) + 16, MARGIN + 5), agent.body, FAINT, _font(17))
        draw.text((MARGIN, MARGIN + 36), _subtitle(agent.network), FAINT, _font(17 if self._box.alone else 13))

    def _draw_label(self, draw: ImageDraw.ImageDraw, i: int, panel: Panel, layer: tuple[int, int]) -> None:
        left, top = self._weights_left + panel.left, self._weights_top + panel.top
        height, width = panel.size(layer)
        self._outline(draw, top, left, (height, width))
        inputs, outputs = layer
        name = f"layer {i + 1}   {inputs} → {outputs}"
        baseline = top - STRIP - 8
        draw.text((left, baseline), name, INK, _font(16), anchor="ls")
        used = _font(16).getlength(name) + MARGIN
        across = "outputs" if panel.turned else "inputs"
        largest = f", the largest of each {panel.block}×{panel.block} shown" if panel.block > 1 else ""
        note = f"{across} across{largest}"
        # In narrow columns there is no room for it.
        if used + _font(13).getlength(note) <= width:
            draw.text((left + width, baseline), note, FAINT, _font(13), anchor="rs")

    def _draw_key(self, draw: ImageDraw.ImageDraw) -> None:
        """The bars of colours and what they mean."""
        top, width = HEIGHT - MARGIN - 34, 200 if self._box.width > 500 else 110
        ticks = ("−1", "−¼", "0", "¼", "1") if self._bounded else ("−1000", "−10", "0", "10", "1000")
        right = self._box.width - MARGIN - 16
        self._draw_bar(draw, top, right, width, COLOURS, ticks, "weight")
        if self._box.width > 400:
            self._draw_bar(draw, top, right - width - 100, width // 2, ACTIVE, ("−1", "0", "1"), "activity")

    def _draw_bar(
        self,
        draw: ImageDraw.ImageDraw,
        top: int,
        right: int,
        width: int,
        colours: np.ndarray,
        ticks: Sequence[str],
        name: str,
    ) -> None:
        for i in range(width):
            colour = tuple(colours[i * 256 // width].tolist())
            draw.line((right - width + i, top, right - width + i, top + 12), colour)
        draw.rectangle((right - width - 1, top - 1, right, top + 13), outline=LINE)
        for i, text in enumerate(ticks):
            draw.text((right - width + i * width / (len(ticks) - 1), top + 18), text, FAINT, _font(13), anchor="ma")
        draw.text((right - width - 12, top + 6), name, FAINT, _font(13), anchor="rm")


class _Trace:
    """The moving reward of a life as a line, from left to right; marks where perturbations begin."""

    def __init__(self, width: int, longest: int | None, perturbations: Perturbations) -> None:
        self._width, self._perturbations = width, perturbations
        self._steps = min(longest or SHOWN_STEPS, 2 * SHOWN_STEPS)
        """that are shown at once: the newest, where the life has more"""
        self._rewards: list[float] = []
        self._total = 0.0
        self._means: list[float] = []

    def add(self, reward: float) -> None:
        self._rewards.append(reward if math.isfinite(reward) else 0.0)
        self._total += self._rewards[-1]
        if len(self._rewards) > WINDOW:
            self._total -= self._rewards[-WINDOW - 1]
        self._means.append(self._total / min(len(self._rewards), WINDOW))

    def draw(self) -> np.ndarray:
        """uint8 [TRACE_HEIGHT, width, 3]."""
        first = max(0, len(self._means) - self._steps)
        # A mean of few steps is none: the first would set the scale.
        shown = np.array(self._means[max(first, WINDOW - 1) :])
        low, high = (min(0.0, float(shown.min())), max(0.0, float(shown.max()))) if len(shown) else (0.0, 0.0)
        high = max(high, low + 1e-6)
        # Drawn larger, so that lines are smooth.
        strip = Image.new("RGB", (SMOOTH * self._width, SMOOTH * TRACE_HEIGHT), PAPER)
        draw = ImageDraw.Draw(strip)
        width, top, bottom = SMOOTH * self._width, SMOOTH * 20, SMOOTH * (TRACE_HEIGHT - 8)

        def across(step: float) -> float:
            return (step - first) * (width - 1) / max(self._steps - 1, 1)

        for its in self._perturbations:
            if first <= its.begin < first + self._steps:
                x = across(its.begin)
                if its.begin + 1 < its.end < FOREVER:
                    draw.rectangle((x, top, across(its.end), bottom), fill=SHADE)
                draw.line((x, top - SMOOTH * 4, x, bottom), STRUCK, SMOOTH * 2)
        zero = bottom - (0 - low) / (high - low) * (bottom - top)
        draw.line((0, zero, width, zero), LINE, SMOOTH)
        if len(shown) > 1:
            x = across(np.arange(len(self._means) - len(shown), len(self._means)))  # type: ignore[arg-type]
            y = bottom - (shown - low) / (high - low) * (bottom - top)
            draw.line([*np.stack([x, y], 1).ravel().tolist()], BLUE, SMOOTH * 2)
        strip = strip.reduce(SMOOTH)
        draw = ImageDraw.Draw(strip)
        draw.text((0, 0), f"reward a step, mean of {WINDOW}", FAINT, _font(13))
        if len(shown) > 1:
            draw.text((self._width, 0), f"{low:.3g} … {high:.3g}".replace("-", "−"), FAINT, _font(13), anchor="ra")
        return np.asarray(strip)


def _bits(values: np.ndarray) -> np.ndarray:
    """The bits of numbers rounded to float16, by which tables are read."""
    with np.errstate(over="ignore"):
        return values.astype(np.float16).view(np.uint16)


def _table(colours: np.ndarray, scaled: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The colour of every float16, by its bits: uint8 [65536, 3]; ``scaled`` gives sizes from 0 to 1."""
    values = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float64)
    with np.errstate(invalid="ignore"):
        scale = np.minimum(scaled(np.abs(values)), 1)
        index = np.nan_to_num(127.5 + 127.5 * np.copysign(scale, values), nan=127.5)
    return colours[index.astype(np.uint8)]


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


@functools.cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings, so that films look the same everywhere."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)
