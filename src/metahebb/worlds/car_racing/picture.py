"""The original's big view of a life, for people: 600 × 400 pixels, drawn polygon by polygon on the host."""

from __future__ import annotations

import math

import jax
import numpy as np

from metahebb.worlds.car_racing.digits import TOP, write
from metahebb.worlds.car_racing.frames import (
    BAR_COLOURS,
    GRASS_DIM,
    STRIPE,
    WHEEL_WHITE,
    WINDOW_H,
    WINDOW_W,
    measure_bars,
    see_wheels,
    zoom_at,
)
from metahebb.worlds.car_racing.physics import HULL, WHEEL_R, WHEEL_W
from metahebb.worlds.car_racing.track import BORDER, PLAYFIELD, TRACK_WIDTH
from metahebb.worlds.car_racing.world import State, shown_number

__all__ = ["VIDEO_H", "VIDEO_W", "draw_picture"]

VIDEO_W, VIDEO_H = 600, 400
FINE = 2
"""Points drawn for each side of a pixel, then averaged."""
HULL_COLOUR = (204, 0, 0)
BITS = 10
"""of a colour in a canvas's number, red lowest: what FINE² points add up to has room"""
MEANS = np.round(np.arange(255 * FINE**2 + 1) / FINE**2).astype(np.uint8)
"""the mean of FINE² points by their sum"""

_origins = jax.jit(jax.vmap(lambda car: car.origin))
_wheels, _bars = jax.jit(see_wheels), jax.jit(measure_bars)


def draw_picture(state: State, life: int) -> np.ndarray:
    """One of the lives under way as a picture: uint8 [VIDEO_H, VIDEO_W, 3]."""
    # Not the texture, which is most of a life and is not needed.
    seen = state._replace(texture=None, tiles=None)  # type: ignore[arg-type]
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[life : life + 1], seen)
    canvas = np.zeros((VIDEO_H * FINE, VIDEO_W * FINE), np.uint32)
    zoom = float(zoom_at(one.steps)[0])
    _draw_field(canvas, one, zoom)
    _draw_car(canvas, one, zoom)
    _draw_panel(canvas, one)
    # Slices are added up many times as fast as axes, and three colours at once.
    total = sum(canvas[row::FINE, column::FINE] for row in range(FINE) for column in range(FINE))
    colours = [MEANS[(total >> at * BITS) & (2**BITS - 1)] for at in range(3)]
    return np.stack(colours, -1)


def _packed(colour: object) -> np.uint32:
    """A colour, one number or three, as a canvas has it."""
    red, green, blue = np.broadcast_to(np.asarray(colour, np.uint8), 3).tolist()
    return np.uint32(red | green << BITS | blue << 2 * BITS)


def _fill(canvas: np.ndarray, corners: np.ndarray, colour: object) -> None:
    """Fill a convex polygon [n, 2] in the original's 1000 × 800 coordinates, y up."""
    height, width = canvas.shape
    points = corners * (width / WINDOW_W, -height / WINDOW_H) + (0, height)
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    left, top = max(math.floor(left), 0), max(math.floor(top), 0)
    right, bottom = min(math.ceil(right) + 1, width), min(math.ceil(bottom) + 1, height)
    if left >= right or top >= bottom:
        return
    # Of each row what lies between its sides, which the height of the row tells.
    x, y = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
    first, last = np.full(len(y), -np.inf), np.full(len(y), np.inf)
    ends = [*zip(points.tolist(), np.roll(points, -1, 0).tolist(), strict=True)]
    winding = math.copysign(1.0, sum(x0 * y1 - y0 * x1 for (x0, y0), (x1, y1) in ends))
    for (x0, y0), (x1, y1) in ends:
        if y0 == y1:
            last[winding * (x1 - x0) * (y - y0) < 0] = -np.inf
            continue
        side = x0 + (x1 - x0) / (y1 - y0) * (y - y0)
        if winding * (y1 - y0) > 0:
            np.minimum(last, side, out=last)
        else:
            np.maximum(first, side, out=first)
    inside = (x >= first[:, None]) & (x <= last[:, None])
    np.copyto(canvas[top:bottom, left:right], _packed(colour), where=inside)


def _draw_field(canvas: np.ndarray, one: State, zoom: float) -> None:
    track, colours = one.course.track, np.asarray(one.course.colours[0])
    origin, angle = np.asarray(_origins(one.car))[0], float(one.car.angle[0, 0])
    cos, sin = np.cos(angle), np.sin(angle)

    square = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    rows = np.arange(-20, 20, 2)
    grass = GRASS_DIM * (np.stack(np.meshgrid(rows, rows, indexing="ij"), -1).reshape(-1, 1, 2) + (square + 1) / 2)

    count = int(track.length[0])
    beta, x, y, border = (np.asarray(leaf[0, :count]) for leaf in track[1:])
    middle, across = np.stack([x, y], -1), np.stack([np.cos(beta), np.sin(beta)], -1)

    def strips(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Of each tile the corners of what lies between two distances from its middle, [tiles, 4, 2]."""
        ends = [(0, low), (0, high), (1, high), (1, low)]
        corners = [np.roll(middle, at, 0) + far[:, None] * np.roll(across, at, 0) for at, far in ends]
        return np.stack(corners, 1)

    wide = np.full(count, TRACK_WIDTH, np.float32)
    road = strips(-wide, wide)
    kerb = strips(border * wide, border * np.float32(TRACK_WIDTH + BORDER))
    polygons = np.concatenate([PLAYFIELD * square[None], grass, np.stack([road, kerb], 1).reshape(-1, 4, 2)])
    kerbs = np.where(np.arange(count)[:, None] % 2 == 0, (255, 255, 255), (255, 0, 0))
    tiles = np.stack([np.floor(colours[0] + STRIPE * np.asarray(one.stripes[0])[:count, None]), kerbs], 1)
    fills = np.concatenate([colours[1:2], np.repeat(colours[2:3], len(grass), 0), tiles.reshape(-1, 3)])
    there = np.concatenate([np.ones(1 + len(grass), bool), np.stack([wide > 0, border != 0], 1).ravel()])

    away = (polygons - origin) @ np.array([[cos, -sin], [sin, cos]]) * zoom + (WINDOW_W / 2, WINDOW_H / 4)
    # Most of the field is out of sight.
    seen = there & (away.max(1) >= 0).all(1) & (away.min(1) <= (WINDOW_W, WINDOW_H)).all(1)
    for corners, colour in zip(away[seen], fills[seen], strict=True):
        _fill(canvas, corners, colour)


def _draw_car(canvas: np.ndarray, one: State, zoom: float) -> None:
    wheels = _wheels(one.car)

    def show(points: np.ndarray, colour: object) -> None:
        _fill(canvas, points * zoom + (WINDOW_W / 2, WINDOW_H / 4), colour)

    for x, y, cos, sin, low, high in zip(*(np.asarray(leaf)[0] for leaf in wheels), strict=True):
        turn = np.array([[cos, sin], [-sin, cos]])
        for start, end, colour in ((-WHEEL_R, WHEEL_R, 0), (low, high, WHEEL_WHITE)):
            if end > start:
                corners = np.array([(-WHEEL_W, end), (WHEEL_W, end), (WHEEL_W, start), (-WHEEL_W, start)])
                show(corners @ turn + (x, y), colour)
    for part in HULL:
        show(part, HULL_COLOUR)


def _draw_panel(canvas: np.ndarray, one: State) -> None:
    def show(left: float, right: float, top: float, bottom: float, colour: object) -> None:
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        _fill(canvas, corners * (1, -1) + (0, WINDOW_H), colour)

    show(0, WINDOW_W, WINDOW_H * 35 / 40, WINDOW_H, 0)
    bars = (np.asarray(edge)[0] for edge in _bars(one.car))
    for left, right, top, bottom, colour in zip(*bars, BAR_COLOURS, strict=True):
        if bottom > top:
            show(left, right, top, bottom, colour)

    text = 255 * write(f"{float(shown_number(one)[0]):04.0f}"[:4])
    rows, columns = (np.arange(int(n)) for n in (text.shape[0] * FINE / 2, text.shape[1] * 0.6 * FINE))
    top = int(TOP * VIDEO_H / WINDOW_H) * FINE
    place = canvas[top : top + rows.size, : columns.size]
    grey = text[(rows * 2 // FINE)[:, None], (columns / (0.6 * FINE)).astype(int)].astype(np.uint32)
    place[:] = grey * _packed(1)
