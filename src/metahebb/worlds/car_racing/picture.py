"""The original's big view of a life, for people: 600 × 400 pixels, drawn polygon by polygon on the host."""

from __future__ import annotations

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

_origins = jax.jit(jax.vmap(lambda car: car.origin))


def draw_picture(state: State, life: int) -> np.ndarray:
    """One of the lives under way as a picture: uint8 [VIDEO_H, VIDEO_W, 3]."""
    # Not the texture, which is most of a life and is not needed.
    seen = state._replace(texture=None, tiles=None)  # type: ignore[arg-type]
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[life : life + 1], seen)
    canvas = np.zeros((VIDEO_H * FINE, VIDEO_W * FINE, 3), np.uint8)
    zoom = float(zoom_at(one.steps)[0])
    _draw_field(canvas, one, zoom)
    _draw_car(canvas, one, zoom)
    _draw_panel(canvas, one)
    # Slices are added up many times as fast as axes.
    total = sum(canvas[row::FINE, column::FINE].astype(np.float32) for row in range(FINE) for column in range(FINE))
    picture: np.ndarray = np.round(total / FINE**2).astype(np.uint8)
    return picture


def _fill(canvas: np.ndarray, corners: np.ndarray, colour: object) -> None:
    """Fill a convex polygon [n, 2] in the original's 1000 × 800 coordinates, y up."""
    height, width = canvas.shape[:2]
    points = corners * (width / WINDOW_W, -height / WINDOW_H) + (0, height)
    left, top = np.maximum(np.floor(points.min(0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(points.max(0)).astype(int) + 1, (width, height))
    if left >= right or top >= bottom:
        return
    x, y = np.arange(left, right) + 0.5, np.arange(top, bottom)[:, None] + 0.5
    following = np.roll(points, -1, 0)
    winding = np.sign(np.sum(points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]))
    # Rows and columns whose ends are all within a side are within it: no pixel is asked.
    inside: np.ndarray | None = None
    for (x0, y0), (x1, y1) in zip(points, following, strict=True):
        across, down = winding * (y1 - y0) * (x - x0), winding * (x1 - x0) * (y - y0)
        if down.min() >= across.max():
            continue
        side = down >= across
        inside = side if inside is None else inside & side
    if inside is None:
        canvas[top:bottom, left:right] = colour
    else:
        canvas[top:bottom, left:right][inside] = colour


def _draw_field(canvas: np.ndarray, one: State, zoom: float) -> None:
    track, colours = one.course.track, np.asarray(one.course.colours[0])
    origin, angle = np.asarray(_origins(one.car)[0]), float(one.car.angle[0, 0])
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
    wheels = jax.jit(see_wheels)(one.car)

    def show(points: np.ndarray, colour: object) -> None:
        _fill(canvas, points * zoom + (WINDOW_W / 2, WINDOW_H / 4), colour)

    for x, y, cos, sin, low, high in zip(*(np.asarray(leaf[0]) for leaf in wheels), strict=True):
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
    bars = (np.asarray(edge[0]) for edge in jax.jit(measure_bars)(one.car))
    for left, right, top, bottom, colour in zip(*bars, BAR_COLOURS, strict=True):
        if bottom > top:
            show(left, right, top, bottom, colour)

    text = 255 * write(f"{float(shown_number(one)[0]):04.0f}"[:4])
    rows, columns = (np.arange(int(n)) for n in (text.shape[0] * FINE / 2, text.shape[1] * 0.6 * FINE))
    top = int(TOP * VIDEO_H / WINDOW_H) * FINE
    place = canvas[top : top + rows.size, : columns.size]
    place[:] = text[(rows * 2 // FINE)[:, None], (columns / (0.6 * FINE)).astype(int), None]
