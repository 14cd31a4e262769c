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
    one = jax.tree.map(lambda leaf: leaf[life : life + 1], seen)
    canvas = np.zeros((VIDEO_H * FINE, VIDEO_W * FINE, 3), np.float32)
    zoom = float(zoom_at(one.steps)[0])
    _draw_field(canvas, one, zoom)
    _draw_car(canvas, one, zoom)
    _draw_panel(canvas, one)
    fine = canvas.reshape(VIDEO_H, FINE, VIDEO_W, FINE, 3)
    picture: np.ndarray = np.round(fine.mean((1, 3))).astype(np.uint8)
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
    inside = np.ones((bottom - top, right - left), bool)
    for (x0, y0), (x1, y1) in zip(points, following, strict=True):
        inside &= winding * ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) >= 0
    canvas[top:bottom, left:right][inside] = colour


def _draw_field(canvas: np.ndarray, one: State, zoom: float) -> None:
    track, colours = one.course.track, np.asarray(one.course.colours[0])
    origin, angle = np.asarray(_origins(one.car)[0]), float(one.car.angle[0, 0])
    cos, sin = np.cos(angle), np.sin(angle)

    def show(points: np.ndarray, colour: object) -> None:
        away = (points - origin) @ np.array([[cos, -sin], [sin, cos]])
        _fill(canvas, away * zoom + (WINDOW_W / 2, WINDOW_H / 4), colour)

    square = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    show(PLAYFIELD * square, colours[1])
    for column in range(-20, 20, 2):
        for row in range(-20, 20, 2):
            show(GRASS_DIM * (np.array([column, row]) + (square + 1) / 2), colours[2])

    count = int(track.length[0])
    beta, x, y, border = (np.asarray(leaf[0, :count]) for leaf in track[1:])
    middle, across = np.stack([x, y], -1), np.stack([np.cos(beta), np.sin(beta)], -1)
    stripes = np.asarray(one.stripes[0])
    for tile in range(count):

        def strip(low: float, high: float, tile: int = tile) -> np.ndarray:
            ends = [(tile, low), (tile, high), (tile - 1, high), (tile - 1, low)]
            return np.stack([middle[end] + at * across[end] for end, at in ends])

        show(strip(-TRACK_WIDTH, TRACK_WIDTH), np.floor(colours[0] + STRIPE * stripes[tile]))
        if side := float(border[tile]):
            colour = (255, 255, 255) if tile % 2 == 0 else (255, 0, 0)
            show(strip(side * TRACK_WIDTH, side * (TRACK_WIDTH + BORDER)), colour)


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
