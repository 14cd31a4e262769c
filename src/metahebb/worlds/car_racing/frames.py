"""What the driver sees: 96 × 96 pixels, the car near the bottom and heading up, a panel of indicators below.

The original draws 1000 × 800 pixels and shrinks them to a ninety-sixth of that; a pixel here is the mean over the same
area: the road looked up in the life's texture, grass and field computed, the car's few pixels and the panel's bars by
the share that they cover. Lives are the first axis of everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from metahebb.worlds.car_racing import texture
from metahebb.worlds.car_racing.digits import NUMBER_COLUMNS, NUMBER_ROWS, number_shown
from metahebb.worlds.car_racing.physics import FPS, HULL, WHEEL_HALF, WHEEL_R, WHEEL_W, Car, rotate
from metahebb.worlds.car_racing.texture import Texture
from metahebb.worlds.car_racing.track import PLAYFIELD, SCALE

__all__ = ["COLOURS", "Scene", "draw_frames", "zoom_at"]

STATE_W = STATE_H = 96
WINDOW_W, WINDOW_H = 1000, 800
CELL_W, CELL_H = WINDOW_W / STATE_W, WINDOW_H / STATE_H
"""A pixel's size on the original's canvas."""
ZOOM = 2.7
GRASS_DIM = PLAYFIELD / 20.0
ROWS = 84
"""Rows above the panel."""
COLOURS = np.array([(102, 102, 102), (102, 204, 102), (102, 230, 102)], np.float32)
"""Road, field and grass where they are not randomised."""
STRIPE = 0.01 * 255
"""Tile i is lighter by (i mod 3) stripes until it is touched."""
LOSS = 2.0
"""pygame's smoothscale loses two grey levels."""
HULL_RED = 204.0
WHEEL_WHITE = 77.0
FULL = 16.0 * texture.FULL


class Scene(NamedTuple):
    """All that can be seen."""

    car: Car
    steps: jax.Array
    """int32 [lives]: actions so far"""
    number: jax.Array
    """float32 [lives]: shown at the bottom"""
    texture: Texture
    stripes: jax.Array
    """uint8 [lives, MAX_TILES + 1]: how light each tile is, 0 to 2"""
    colours: jax.Array
    """float32 [lives, 3, 3]: road, field and grass, red, green, blue"""


def zoom_at(steps: jax.Array) -> jax.Array:
    """Pixels of the original's canvas per unit: the camera comes near in the first second."""
    time = jnp.minimum((steps + 1) / FPS, 1.0)
    return 0.1 * SCALE * (1 - time) + ZOOM * SCALE * time


def draw_frames(scene: Scene) -> jax.Array:
    """uint8 [lives, 96, 96, 3]"""
    # XLA would fuse these stages into loops that it cannot vectorise; it leaves the branches of a condition alone.
    always = scene.steps[0] >= 0
    pixels = _stage(always, _view, scene)
    pixels = _stage(always, _draw_car, pixels, scene.car, scene.steps)
    panel = _stage(always, _panel, scene.car, scene.number)
    pixels = lax.dynamic_update_slice(pixels, panel, (0, ROWS, 0))
    return _stage(always, _bytes, pixels)


def _stage(always: jax.Array, function: Callable[..., Any], *arguments: Any) -> Any:
    shape = jax.eval_shape(function, *arguments)
    return lax.cond(always, function, lambda *_: jnp.zeros(shape.shape, shape.dtype), *arguments)


def _bytes(pixels: jax.Array) -> jax.Array:
    return jnp.stack([pixels.astype(jnp.uint8), (pixels >> 8).astype(jnp.uint8), (pixels >> 16).astype(jnp.uint8)], -1)


def _pack(red: jax.Array, green: jax.Array, blue: jax.Array) -> jax.Array:
    """One int32 a pixel, from floats that have not lost smoothscale's two levels yet."""

    def level(colour: jax.Array) -> jax.Array:
        return jnp.maximum(colour - (LOSS - 0.5), 0).astype(jnp.int32)

    return level(red) | level(green) << 8 | level(blue) << 16


def _view(scene: Scene) -> jax.Array:
    """Field, grass and road: packed int32 [lives, 96, 96], the panel's rows empty."""
    car, lives = scene.car, scene.steps.shape[0]
    origin = jax.vmap(lambda one: one.origin)(car)

    def each(values: jax.Array) -> jax.Array:
        return values[:, None, None]

    zoom = zoom_at(scene.steps)
    cos, sin = each(jnp.cos(car.angle[:, 0]) / zoom), each(jnp.sin(car.angle[:, 0]) / zoom)
    right = (jnp.arange(STATE_W) + 0.5) * CELL_W - WINDOW_W / 2
    up = (WINDOW_H * 3 / 4 - (jnp.arange(ROWS) + 0.5) * CELL_H)[:, None]
    x = (each(origin[:, 0]) - sin * up) + cos * right
    y = (each(origin[:, 1]) + cos * up) + sin * right
    spread_x = CELL_W * jnp.abs(cos) + CELL_H * jnp.abs(sin)
    spread_y = CELL_H * jnp.abs(cos) + CELL_W * jnp.abs(sin)

    # The road: four texels of the level whose texels are one half to one of a pixel, weighted in sixteenths.
    level = jnp.clip(jnp.floor(jnp.log2(CELL_W / zoom / texture.TEXEL)), 0, texture.LEVELS - 1).astype(jnp.int32)
    size = each(texture.SIZE >> level)
    start = each(jnp.array(texture.LEVEL_START)[level])
    scale = each(16 / (texture.TEXEL * 2.0**level))
    column = ((x + texture.EXTENT) * scale).astype(jnp.int32) - 8
    row = ((y + texture.EXTENT) * scale).astype(jnp.int32) - 8
    column, row = jnp.clip(column, 0, (size - 2) * 16), jnp.clip(row, 0, (size - 2) * 16)
    at = start + (row >> 4) * size + (column >> 4)
    fraction_x, fraction_y = column & 15, row & 15
    both = fraction_x * fraction_y + 8 >> 4

    life = each(jnp.arange(lives))
    def texel(offset: jax.Array | int) -> jax.Array:
        flat = scene.texture.texels
        values = flat.at[life, at + offset].get(mode="promise_in_bounds")
        return texture.spread(values).astype(jnp.int32)

    mix = texel(0) * (16 - fraction_x - fraction_y + both) + texel(1) * (fraction_x - both)
    mix += texel(size) * (fraction_y - both) + texel(size + 1) * both
    road = (mix & 1023) / FULL
    white = (mix >> 10 & 1023) / FULL
    red = (mix >> 20) / FULL

    edge = texture.NUMBER_SIZE - 1
    square_x = jnp.clip((x + texture.EXTENT).astype(jnp.int32), 0, edge)
    square_y = jnp.clip((y + texture.EXTENT).astype(jnp.int32), 0, edge)
    tile = scene.texture.numbers.at[life, square_y * (edge + 1) + square_x].get(mode="promise_in_bounds")
    stripe = STRIPE * scene.stripes.at[life, tile.astype(jnp.int32)].get(mode="promise_in_bounds").astype(jnp.float32)

    def grass(at: jax.Array, width: jax.Array) -> jax.Array:
        period = 2 * GRASS_DIM
        away = jnp.abs(at - GRASS_DIM / 2 - period * jnp.round((at - GRASS_DIM / 2) / period))
        return jnp.clip(0.5 + (GRASS_DIM / 2 - away) / width, 0, 1)

    def field(at: jax.Array, width: jax.Array) -> jax.Array:
        return jnp.clip(0.5 + (PLAYFIELD - jnp.abs(at)) / width, 0, 1)

    patch = grass(x, spread_x) * grass(y, spread_y)
    rest = field(x, spread_x) * field(y, spread_y) * (1 - road - white - red)

    def colour(channel: int, border: jax.Array) -> jax.Array:
        asphalt, ground, lawn = (each(scene.colours[:, kind, channel]) for kind in range(3))
        return road * jnp.floor(asphalt + stripe) + rest * (ground + patch * (lawn - ground)) + 255.0 * border

    pixels = _pack(colour(0, white + red), colour(1, white), colour(2, white))
    return jnp.pad(pixels, ((0, 0), (0, STATE_H - ROWS), (0, 0)))


# The car covers a few pixels around (48, 72), whatever the zoom.
_TOP, _LEFT, _HEIGHT, _WIDTH = 66, 44, 12, 8


def _shares(low: Any, high: Any, start: Any, width: Any) -> Any:
    """How much of [start, start + width] lies in [low, high]."""
    return jnp.clip(jnp.minimum(high, start + width) - jnp.maximum(low, start), 0, width) / width


def _hull_cover() -> np.ndarray:
    """float32 [FPS, _HEIGHT, _WIDTH]: how much of each pixel the hull covers, at each zoom of the first second."""
    cover = np.zeros((FPS, _HEIGHT, _WIDTH), np.float32)
    per_side = 16
    sub = (np.arange(per_side) + 0.5) / per_side
    right = ((_LEFT + np.arange(_WIDTH))[:, None] + sub).ravel() * CELL_W
    up = WINDOW_H - ((_TOP + np.arange(_HEIGHT))[:, None] + sub).ravel() * CELL_H
    for steps in range(FPS):
        zoom = float(zoom_at(jnp.array(steps)))
        inside = np.zeros((up.size, right.size), bool)
        for part in HULL:
            x, y = np.trunc(part[:, 0] * zoom + WINDOW_W / 2), np.trunc(part[:, 1] * zoom + WINDOW_H / 4)
            area = np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
            # The pixels inside, those on the edges included.
            within = np.outer(*((at > side.min()) & (at < side.max() + 1) for at, side in ((up, y), (right, x))))
            for k in range(len(part)):
                dx, dy = np.roll(x, -1)[k] - x[k], np.roll(y, -1)[k] - y[k]
                left = (dx * (up[:, None] - 0.5 - y[k]) - dy * (right[None] - 0.5 - x[k])) * np.sign(area)
                within &= left >= -0.5 * max(abs(dx), abs(dy))
            inside |= within
        cover[steps] = inside.reshape(_HEIGHT, per_side, _WIDTH, per_side).mean((1, 3))
    return cover


_HULL_COVER = _hull_cover()


def _draw_car(pixels: jax.Array, car: Car, steps: jax.Array) -> jax.Array:
    """Draw wheels and hull into the frames."""
    patch = pixels[:, _TOP : _TOP + _HEIGHT, _LEFT : _LEFT + _WIDTH]
    zoom = zoom_at(steps)[:, None, None]
    right = ((_LEFT + jnp.arange(_WIDTH) + 0.5) * CELL_W - WINDOW_W / 2) / zoom
    up = ((WINDOW_H * 3 / 4 - (_TOP + jnp.arange(_HEIGHT) + 0.5) * CELL_H)[:, None]) / zoom
    width, height = CELL_W / zoom, CELL_H / zoom
    pen = 0.5 / zoom
    origin = jax.vmap(lambda one: one.origin)(car)
    clear, white = jnp.ones(()), jnp.zeros(())
    for wheel in range(4):
        offset = jax.vmap(rotate)(-car.angle[:, 0], car.position[:, wheel + 1] - origin)
        turn = (car.angle[:, wheel + 1] - car.angle[:, 0])[:, None, None]
        cos, sin = jnp.cos(turn), jnp.sin(turn)
        x, y = right - offset[:, 0, None, None], up - offset[:, 1, None, None]
        across, along = cos * x + sin * y, cos * y - sin * x
        size_x, size_y = cos * width + jnp.abs(sin) * height, cos * height + jnp.abs(sin) * width

        def covered(low: Any, high: Any, at: Any, size: Any) -> jax.Array:
            return _shares(low - pen, high + pen, at - size / 2, size)

        stripe_low, stripe_high, seen = (value[:, None, None] for value in _stripe(car.phase[:, wheel]))
        sides = covered(-WHEEL_W, WHEEL_W, across, size_x)
        black = sides * covered(-WHEEL_R, WHEEL_R, along, size_y)
        white = white * (1 - black) + seen * sides * covered(stripe_low, stripe_high, along, size_y)
        clear = clear * (1 - black)

    hull = jnp.asarray(_HULL_COVER)[jnp.minimum(steps, FPS - 1)]
    clear, white = clear * (1 - hull), white * (1 - hull) * WHEEL_WHITE

    def channel(shift: int, add: jax.Array) -> jax.Array:
        return ((patch >> shift & 255) + LOSS) * clear + add

    drawn = _pack(channel(0, white + HULL_RED * hull), channel(8, white), channel(16, white))
    return lax.dynamic_update_slice(pixels, drawn, (0, _TOP, _LEFT))


def _stripe(phase: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The white stripe of a rolling wheel: from where to where along it, and whether it is on the upper side."""
    ahead, behind = phase, phase + 1.2
    far = WHEEL_R * jnp.where(jnp.sin(ahead) > 0, jnp.sign(jnp.cos(ahead)), jnp.cos(ahead))
    near = WHEEL_R * jnp.where(jnp.sin(behind) > 0, jnp.sign(jnp.cos(behind)), jnp.cos(behind))
    seen = (jnp.sin(ahead) <= 0) | (jnp.sin(behind) <= 0)
    return jnp.minimum(far, near), jnp.maximum(far, near), seen


# The panel: (first column, last column) on the canvas, unit 25 × 20.
_UNIT_W, _UNIT_H = WINDOW_W / 40, WINDOW_H / 40


def _panel(car: Car, number: jax.Array) -> jax.Array:
    """Speed, the four wheels, steering, turning and the number: packed int32 [lives, 12, 96]."""
    rows = (ROWS + jnp.arange(STATE_H - ROWS))[:, None] * CELL_H
    columns = jnp.arange(STATE_W) * CELL_W

    def bar(value: jax.Array, left: Any, right: Any, top: Any, bottom: Any) -> jax.Array:
        """The share of each pixel that a bar covers; like the original's, with the pixels of its far edges."""

        def pixels(first: Any, second: Any) -> tuple[jax.Array, jax.Array]:
            low, high = jnp.minimum(first, second), jnp.maximum(first, second)
            return jnp.trunc(low), jnp.trunc(high) + 1

        low_x, high_x = pixels(left, right)
        low_y, high_y = pixels(top, bottom)
        seen = jnp.abs(value) > 1e-4
        return seen * _shares(low_y, high_y, rows, CELL_H) * _shares(low_x, high_x, columns, CELL_W)

    def upright(place: int, value: jax.Array, per_unit: float) -> jax.Array:
        value = value[:, None, None]
        top = WINDOW_H - _UNIT_H * (1 + per_unit * value)
        return bar(value, place * _UNIT_W, (place + 1) * _UNIT_W, top, WINDOW_H - _UNIT_H)

    def level(place: int, value: jax.Array, per_unit: float) -> jax.Array:
        value = value[:, None, None]
        end = (place + per_unit * value) * _UNIT_W
        return bar(value, place * _UNIT_W, end, WINDOW_H - 4 * _UNIT_H, WINDOW_H - 2 * _UNIT_H)

    speed = upright(5, jnp.linalg.norm(car.velocity[:, 0], axis=-1), 0.02)
    front = upright(7, car.omega[:, 0], 0.01) + upright(8, car.omega[:, 1], 0.01)
    rear = upright(9, car.omega[:, 2], 0.01) + upright(10, car.omega[:, 3], 0.01)
    steering = level(20, car.angle[:, 1] - car.angle[:, 0], -10.0)
    turning = level(30, car.spin[:, 0], -0.8)
    shown = number_shown(number)
    below = (NUMBER_ROWS.start - ROWS, STATE_H - NUMBER_ROWS.stop)
    beside = (NUMBER_COLUMNS.start, STATE_W - NUMBER_COLUMNS.stop)
    white = 255.0 * (speed + jnp.pad(shown, ((0, 0), below, beside)))
    return _pack(white + 51.0 * rear + 255.0 * turning, white + 255.0 * steering, white + 255.0 * (front + rear))
