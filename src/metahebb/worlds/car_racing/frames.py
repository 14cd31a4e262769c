"""What the driver sees: 96 × 96 pixels, the car near the bottom and heading up, a panel of indicators below.

The original draws 1000 × 800 pixels and shrinks them; a pixel here is the mean over the same area: the road
looked up in the life's texture, grass and field computed, the car and the panel's bars by the share of a
pixel that they cover. Lives are the first axis of everything.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from metahebb.stages import nearest, stage
from metahebb.worlds.car_racing import texture
from metahebb.worlds.car_racing.digits import NUMBER_COLUMNS, NUMBER_ROWS, number_shown
from metahebb.worlds.car_racing.physics import FPS, HULL, WHEEL_R, WHEEL_W, Car, rotate
from metahebb.worlds.car_racing.texture import Texture
from metahebb.worlds.car_racing.track import PLAYFIELD, SCALE

__all__ = [
    "BAR_COLOURS",
    "COLOURS",
    "Bars",
    "Scene",
    "Wheels",
    "draw_frames",
    "measure_bars",
    "see_wheels",
    "zoom_at",
]

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
    return _zoom(jnp.minimum((steps + 1) / FPS, 1.0))


def _zoom(time: Any) -> Any:
    """The zoom at a time in the first second, of any array's kind."""
    return 0.1 * SCALE * (1 - time) + ZOOM * SCALE * time


def draw_frames(scene: Scene) -> jax.Array:
    """uint8 [lives, 96, 96, 3]"""
    view = stage(_look, scene)
    road = stage(_road, view, scene.texture.texels)
    shades = stage(_double, stage(_shades, view, scene.texture.numbers, scene.stripes))
    pixels = stage(_colour, view, road, shades, scene.colours)
    wheels = stage(see_wheels, scene.car)
    patch = stage(_draw_car, pixels, wheels, view.zoom, scene.steps)
    pixels = lax.dynamic_update_slice(pixels, patch, (0, _TOP, _LEFT))
    panel = stage(_draw_bars, stage(_share_bars, scene.car))
    panel = lax.dynamic_update_slice(panel, stage(_draw_number, scene.number), _NUMBER_PLACE)
    return stage(_bytes, pixels, panel)


def _bytes(pixels: jax.Array, panel: jax.Array) -> jax.Array:
    return lax.bitcast_convert_type(jnp.concatenate([pixels, panel], 1), jnp.uint8)[..., :3]


def _pack(red: jax.Array, green: jax.Array, blue: jax.Array) -> jax.Array:
    """One int32 a pixel, from floats that have not lost smoothscale's two levels yet."""
    red, green, blue = (nearest(jnp.maximum(colour - LOSS, 0)) for colour in (red, green, blue))
    return red | green << 8 | blue << 16


class _View(NamedTuple):
    """Where a frame looks and how closely; [lives, 1, 1] each."""

    x: jax.Array
    y: jax.Array
    """the car's origin"""
    cos: jax.Array
    sin: jax.Array
    """of the hull's angle, over the zoom"""
    zoom: jax.Array
    sharp_x: jax.Array
    sharp_y: jax.Array
    """one over a pixel's extent in the field"""
    level: jax.Array
    """int32: the texture's level whose texels are 0.4 to 0.8 of a pixel"""

    def at(self, right: np.ndarray, up: np.ndarray) -> tuple[jax.Array, jax.Array]:
        """The places of pixels whose centres are ``right`` of the car and ``up`` from it on the canvas."""
        x = (self.x - self.sin * up) + self.cos * right
        y = (self.y + self.cos * up) + self.sin * right
        return x, y


def _look(scene: Scene) -> _View:
    def one(car: Car, steps: jax.Array) -> _View:
        zoom = zoom_at(steps)
        cos, sin = jnp.cos(car.angle[0]) / zoom, jnp.sin(car.angle[0]) / zoom
        # An edge that crosses pixels aslant fades over less than they extend: the share is not linear.
        extent_x = jnp.hypot(CELL_W * cos, CELL_H * sin)
        extent_y = jnp.hypot(CELL_H * cos, CELL_W * sin)
        # The four texels that are mixed then cover about a pixel; with texels of its size, borders blur.
        finer = jnp.floor(jnp.log2(0.8 * CELL_W / texture.TEXEL / zoom)).astype(jnp.int32)
        level = jnp.minimum(finer, texture.LEVELS - 1)
        x, y = car.origin
        return _View(x, y, cos, sin, zoom, 1 / extent_x, 1 / extent_y, level)

    return _View(*(leaf[:, None, None] for leaf in jax.vmap(one)(scene.car, scene.steps)))


def _right_of_car(columns: np.ndarray) -> np.ndarray:
    return (columns * CELL_W - WINDOW_W / 2).astype(np.float32)


def _up_from_car(rows: np.ndarray) -> np.ndarray:
    return (WINDOW_H * 3 / 4 - rows[:, None] * CELL_H).astype(np.float32)


_RIGHT, _UP = _right_of_car(np.arange(STATE_W) + 0.5), _up_from_car(np.arange(ROWS) + 0.5)


def _take(table: jax.Array, at: jax.Array) -> jax.Array:
    """table [lives, n] at indices [lives, rows, columns]."""
    return table.at[jnp.arange(at.shape[0])[:, None, None], at].get(mode="promise_in_bounds")


def _road(view: _View, texels: jax.Array) -> jax.Array:
    """Road, white and red as ``texture.spread`` has them, in parts of 16 · FULL: int32 [lives, ROWS, 96].

    Four texels are weighted in sixteenths.
    """
    x, y = view.at(_RIGHT, _UP)
    size = texture.SIZE >> view.level
    start = jnp.array(texture.LEVEL_START)[view.level]
    sixteenths = 16 / texture.TEXEL / 2.0 ** np.arange(texture.LEVELS)
    scale = jnp.asarray(sixteenths, jnp.float32)[view.level]
    # Half a texel, because texels are looked up from their centres.
    column, row = (nearest(jnp.clip((at + texture.EXTENT) * scale - 8, 0, (size - 2) * 16)) for at in (x, y))
    at = start + (row >> 4) * size + (column >> 4)
    right, up = column & 15, row & 15
    both = right * up + 8 >> 4

    def texel(offset: jax.Array | int) -> jax.Array:
        return texture.spread(_take(texels, at + offset))

    mix = texel(0) * (16 - right - up + both) + texel(1) * (right - both)
    return mix + texel(size) * (up - both) + texel(size + 1) * both


def _shades(view: _View, numbers: jax.Array, stripes: jax.Array) -> jax.Array:
    """How many stripes lighter the road is, for each two by two pixels: uint8 [lives, ROWS / 2, 48]."""
    x, y = view.at(_right_of_car(np.arange(1, STATE_W, 2)), _up_from_car(np.arange(1, ROWS, 2)))
    edge = texture.NUMBER_SIZE - 1
    column, row = (nearest(jnp.clip(at + (texture.EXTENT - 0.5), 0, edge)) for at in (x, y))
    tile = _take(numbers, row * (edge + 1) + column)
    return _take(stripes, tile.astype(jnp.int32))


def _double(shades: jax.Array) -> jax.Array:
    return shades.repeat(2, 1).repeat(2, 2)


def _colour(view: _View, road: jax.Array, stripes: jax.Array, colours: jax.Array) -> jax.Array:
    """Field, grass and road: packed int32 [lives, 96, 96], the panel's rows empty."""
    x, y = view.at(_RIGHT, _UP)
    asphalt, white, red = ((road >> shift & 1023) * (1 / FULL) for shift in (0, 10, 20))
    shade = STRIPE * stripes.astype(jnp.float32)

    # The original's polygons include the pixels on their edges, half a pixel of its canvas on each side.
    pen = 0.5 / view.zoom

    def grass(at: jax.Array, sharp: jax.Array) -> jax.Array:
        turns = at * (0.5 / GRASS_DIM) - 0.25
        away = jnp.abs(turns - jnp.round(turns))
        return jnp.clip(0.5 + (GRASS_DIM / 2 + pen) * sharp - away * (2 * GRASS_DIM * sharp), 0, 1)

    def field(at: jax.Array, sharp: jax.Array) -> jax.Array:
        return jnp.clip(0.5 + (PLAYFIELD + pen - jnp.abs(at)) * sharp, 0, 1)

    patch = grass(x, view.sharp_x) * grass(y, view.sharp_y)
    rest = field(x, view.sharp_x) * field(y, view.sharp_y) * (1 - asphalt - white - red)

    def colour(channel: int, border: jax.Array) -> jax.Array:
        tile, ground, lawn = (colours[:, kind, channel, None, None] for kind in range(3))
        return asphalt * jnp.floor(tile + shade) + rest * (ground + patch * (lawn - ground)) + 255.0 * border

    return _pack(colour(0, white + red), colour(1, white), colour(2, white))


# The car covers a few pixels around (48, 72), whatever the zoom.
_TOP, _LEFT, _HEIGHT, _WIDTH = 66, 44, 12, 8


def _share(low: Any, high: Any, start: Any, width: Any) -> Any:
    """How much of [start, start + width] lies in [low, high]."""
    return jnp.clip(jnp.minimum(high, start + width) - jnp.maximum(low, start), 0, width) / width


def _hull_cover() -> np.ndarray:
    """How much of each pixel the hull covers, at each zoom: float32 [FPS, _HEIGHT, _WIDTH]."""
    cover = np.zeros((FPS, _HEIGHT, _WIDTH), np.float32)
    per_side = 16
    sub = (np.arange(per_side) + 0.5) / per_side
    right = ((_LEFT + np.arange(_WIDTH))[:, None] + sub).ravel() * CELL_W
    up = WINDOW_H - ((_TOP + np.arange(_HEIGHT))[:, None] + sub).ravel() * CELL_H
    for steps in range(FPS):
        # In NumPy: to import this module starts no backend of JAX.
        zoom = float(_zoom(np.float32(steps + 1) / np.float32(FPS)))
        inside = np.zeros((up.size, right.size), bool)
        for part in HULL:
            x, y = np.trunc(part[:, 0] * zoom + WINDOW_W / 2), np.trunc(part[:, 1] * zoom + WINDOW_H / 4)
            area = np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
            # The pixels inside, those on the edges included.
            in_rows = (up > y.min()) & (up < y.max() + 1)
            within = in_rows[:, None] & (right > x.min()) & (right < x.max() + 1)
            for k in range(len(part)):
                dx, dy = np.roll(x, -1)[k] - x[k], np.roll(y, -1)[k] - y[k]
                left = (dx * (up[:, None] - 0.5 - y[k]) - dy * (right[None] - 0.5 - x[k])) * np.sign(area)
                within &= left >= -0.5 * max(abs(dx), abs(dy))
            inside |= within
        cover[steps] = inside.reshape(_HEIGHT, per_side, _WIDTH, per_side).mean((1, 3))
    return cover


_HULL_COVER = _hull_cover()


class Wheels(NamedTuple):
    """The wheels in the car's frame; float32 [lives, 4] each."""

    x: jax.Array
    y: jax.Array
    cos: jax.Array
    sin: jax.Array
    """of the angle to the hull"""
    stripe_low: jax.Array
    stripe_high: jax.Array
    """from where to where along the wheel its white stripe is seen; nowhere if equal"""


def see_wheels(car: Car) -> Wheels:
    """Look at the wheels from above."""

    def one(car: Car) -> Wheels:
        place = rotate(-car.angle[0], car.position[1:] - car.origin)
        turn = car.angle[1:] - car.angle[0]
        # The original draws the wheel as a drum whose stripe spans 1.2 radians, seen from above.
        first, second = car.phase, car.phase + 1.2
        ends = [WHEEL_R * jnp.where(jnp.sin(at) > 0, jnp.sign(jnp.cos(at)), jnp.cos(at)) for at in (first, second)]
        below = (jnp.sin(first) > 0) & (jnp.sin(second) > 0)
        low, high = jnp.minimum(*ends), jnp.maximum(*ends)
        return Wheels(place[:, 0], place[:, 1], jnp.cos(turn), jnp.sin(turn), low, jnp.where(below, low, high))

    return jax.vmap(one)(car)


def _draw_car(pixels: jax.Array, wheels: Wheels, zoom: jax.Array, steps: jax.Array) -> jax.Array:
    """Draw the wheels, then the hull over them."""
    right = _right_of_car(_LEFT + np.arange(_WIDTH) + 0.5) / zoom
    up = _up_from_car(_TOP + np.arange(_HEIGHT) + 0.5) / zoom
    width, height = CELL_W / zoom, CELL_H / zoom
    pen = 0.5 / zoom
    clear, white = jnp.ones(()), jnp.zeros(())
    for wheel in range(4):
        one = Wheels(*(values[:, wheel, None, None] for values in wheels))
        x, y = right - one.x, up - one.y
        across, along = one.cos * x + one.sin * y, one.cos * y - one.sin * x
        size_x = one.cos * width + jnp.abs(one.sin) * height
        size_y = one.cos * height + jnp.abs(one.sin) * width
        sides = _share(-WHEEL_W - pen, WHEEL_W + pen, across - size_x / 2, size_x)
        black = sides * _share(-WHEEL_R - pen, WHEEL_R + pen, along - size_y / 2, size_y)
        edge = jnp.where(one.stripe_high > one.stripe_low, pen, 0.0)
        stripe = sides * _share(one.stripe_low - edge, one.stripe_high + edge, along - size_y / 2, size_y)
        white = white * (1 - black) + stripe
        clear = clear * (1 - black)
    hull = jnp.asarray(_HULL_COVER)[jnp.minimum(steps, FPS - 1)]
    clear, white = clear * (1 - hull), white * (1 - hull) * WHEEL_WHITE

    patch = pixels[:, _TOP : _TOP + _HEIGHT, _LEFT : _LEFT + _WIDTH]
    red = ((patch & 255) + LOSS) * clear + white + HULL_RED * hull
    green = ((patch >> 8 & 255) + LOSS) * clear + white
    blue = ((patch >> 16) + LOSS) * clear + white
    return _pack(red, green, blue)


BAR_COLOURS = (
    (255, 255, 255),
    (0, 0, 255),
    (0, 0, 255),
    (51, 0, 255),
    (51, 0, 255),
    (0, 255, 0),
    (255, 0, 0),
)
"""The panel's seven bars: speed, four wheels, steering, turning."""


class Bars(NamedTuple):
    """Where the bars are on the original's canvas, y down; float32 [lives, 7] each."""

    left: jax.Array
    right: jax.Array
    top: jax.Array
    bottom: jax.Array


def measure_bars(car: Car) -> Bars:
    """Like the original's polygons, bars end with the pixels on their edges, unless the next begins there."""
    unit_w, unit_h = WINDOW_W / 40, WINDOW_H / 40
    speed = jnp.linalg.norm(car.velocity[:, 0], axis=-1)
    steering, turning = car.angle[:, 1] - car.angle[:, 0], car.spin[:, 0]
    values = jnp.concatenate([speed[:, None], car.omega, steering[:, None], turning[:, None]], -1)
    lengths = values * np.array([0.02, 0.01, 0.01, 0.01, 0.01, -10.0, -0.8], np.float32)
    upright = np.arange(7) < 5
    start = unit_w * np.array([5, 7, 8, 9, 10, 20, 30], np.float32)
    end = start + unit_w * jnp.where(upright, 1, lengths)
    top = WINDOW_H - unit_h * jnp.where(upright, 1 + lengths, 4)
    bottom = WINDOW_H - unit_h * np.where(upright, 1, 2)
    shown = jnp.abs(values) > 1e-4
    return Bars(
        jnp.trunc(jnp.minimum(start, end)),
        jnp.trunc(jnp.maximum(start, end)) + np.array([1, 0, 0, 0, 1, 1, 1], np.float32),
        jnp.trunc(jnp.minimum(top, bottom)),
        jnp.where(shown, jnp.trunc(jnp.maximum(top, bottom)) + 1, -1.0),
    )


class _BarShares(NamedTuple):
    rows: jax.Array
    """float32 [lives, 7, STATE_H − ROWS]: the share of each row that a bar covers"""
    columns: jax.Array
    """float32 [lives, 7, STATE_W]"""


def _share_bars(car: Car) -> _BarShares:
    left, right, top, bottom = (edge[..., None] for edge in measure_bars(car))
    rows = _share(top, bottom, np.arange(ROWS, STATE_H) * CELL_H, CELL_H)
    return _BarShares(rows, _share(left, right, np.arange(STATE_W) * CELL_W, CELL_W))


def _draw_bars(bars: _BarShares) -> jax.Array:
    """Packed int32 [lives, STATE_H − ROWS, STATE_W]"""
    cover = [bars.rows[:, bar, :, None] * bars.columns[:, bar, None, :] for bar in range(7)]

    def channel(index: int) -> jax.Array:
        lit = [(colour[index], share) for colour, share in zip(BAR_COLOURS, cover, strict=True)]
        return sum((level * share for level, share in lit if level), jnp.zeros(()))

    return _pack(channel(0), channel(1), channel(2))


_NUMBER_PLACE = (0, NUMBER_ROWS.start - ROWS, NUMBER_COLUMNS.start)


def _draw_number(number: jax.Array) -> jax.Array:
    white = 255.0 * number_shown(number)
    return _pack(white, white, white)
