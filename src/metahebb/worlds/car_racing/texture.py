"""The road as a texture, painted once in a life.

A texel holds how much of it is road, white border and red border; grass and colours come later, in the frame. Road
and borders are painted tile after tile, a later one over an earlier one, as in the original. The finest level has half
a unit a texel; each coarser one halves the one before, for the first second of a life, when the camera comes near.
All functions are of one life.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from metahebb.worlds.car_racing.tiles import NO_TILE
from metahebb.worlds.car_racing.track import BORDER, MAX_TILES, TRACK_WIDTH, Track

__all__ = ["EXTENT", "LEVELS", "LEVEL_START", "NUMBER_SIZE", "SIZE", "TEXEL", "Texture", "paint", "spread"]

EXTENT = 256.0
"""The texture reaches from −EXTENT to EXTENT in x and y; the road reaches 249."""
TEXEL = 0.5
SIZE = int(2 * EXTENT / TEXEL)
LEVELS = 5
LEVEL_START = tuple(sum((SIZE >> lower) ** 2 for lower in range(level)) for level in range(LEVELS))
NUMBER_SIZE = int(2 * EXTENT)

FULL = 31
"""A texel's three fields have five bits each."""
ROAD, WHITE, RED = FULL, FULL << 5, FULL << 10
PEN = 0.5 / 16.2
"""The original's polygons include the pixels on their edges: half a pixel of its canvas on each side, in units."""
OVERLAP = 0.5
"""How far a tile is painted under the next one, so that no grass shows through the seam."""


class Texture(NamedTuple):
    """What a track looks like from above."""

    texels: jax.Array
    """uint16 [Σ (SIZE/2^level)²]: the levels one after the other, each row by row (y), then by x"""
    numbers: jax.Array
    """uint16 [NUMBER_SIZE²]: the tile at each square unit, for its shade; NO_TILE where there is none"""


def spread(texels: jax.Array) -> jax.Array:
    """The fields with room between them, int32: road from bit 0, white from 10, red from 20."""
    wide = texels.astype(jnp.int32)
    return (wide & FULL) | (wide & FULL << 5) << 5 | (wide & FULL << 10) << 10


def paint(track: Track) -> Texture:
    """Paint a track."""
    index = jnp.arange(MAX_TILES)
    ends = jnp.stack([track.x, track.y, jnp.cos(track.beta), jnp.sin(track.beta)], -1)
    starts = ends[jnp.where(index == 0, track.count - 1, index - 1)]

    def paint_tile(tile: jax.Array, canvas: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        texels, numbers = canvas
        start, end = starts[tile], ends[tile]
        road = _Strip(start, end, jnp.array(-TRACK_WIDTH), jnp.array(TRACK_WIDTH))
        texels = _draw(texels, TEXEL, 32, road, lambda old, near: _blend(old, road, near, ROAD))

        side = track.border[tile].astype(jnp.float32)
        inner, outer = side * TRACK_WIDTH, side * (TRACK_WIDTH + BORDER)
        border = _Strip(start, end, jnp.minimum(inner, outer), jnp.maximum(inner, outer))
        colour = jnp.where(tile % 2 == 0, WHITE, RED)

        def draw_border(old: jax.Array, near: jax.Array) -> jax.Array:
            return lax.cond(side != 0, lambda: _blend(old, border, near, colour), lambda: old)

        texels = _draw(texels, TEXEL, 16, border, draw_border)

        def number(old: jax.Array, near: jax.Array) -> jax.Array:
            return jnp.where(road.coverage(near, 1.0) > 0, tile.astype(jnp.uint16), old)

        return texels, _draw(numbers, 1.0, 18, road, number)

    finest = jnp.zeros((SIZE, SIZE), jnp.uint16)
    numbers = jnp.full((NUMBER_SIZE, NUMBER_SIZE), NO_TILE, jnp.uint16)
    finest, numbers = lax.fori_loop(0, track.count, paint_tile, (finest, numbers))
    levels = [finest]
    for _ in range(1, LEVELS):
        levels.append(_halve(levels[-1]))
    return Texture(jnp.concatenate([level.ravel() for level in levels]), numbers.ravel())


class _Strip(NamedTuple):
    """A stretch of road or border between two cross-sections, each (x, y, cos, sin of the way across)."""

    start: jax.Array
    end: jax.Array
    low: jax.Array
    high: jax.Array
    """from where to where across the road"""

    def corners(self) -> jax.Array:
        """[4, 2]"""
        return jnp.stack(
            [end[:2] + at * end[2:] for end in (self.start, self.end) for at in (self.low, self.high)]
        )

    def coverage(self, near: jax.Array, width: float) -> jax.Array:
        """How much of squares of ``width`` centred at ``near`` [2, ...] the strip covers."""

        def inside(point: jax.Array, outward: jax.Array, margin: float) -> jax.Array:
            distance = (near[0] - point[0]) * outward[0] + (near[1] - point[1]) * outward[1]
            return jnp.clip(0.5 - (distance - margin) / width, 0, 1)

        def beside(at: jax.Array, sign: float) -> jax.Array:
            first, last = (end[:2] + at * end[2:] for end in (self.start, self.end))
            along = (last - first) / jnp.maximum(jnp.linalg.norm(last - first), 1e-6)
            return inside(first, sign * jnp.stack([along[1], -along[0]]), PEN)

        behind = inside(self.start, jnp.stack([self.start[3], -self.start[2]]), 0.0)
        ahead = inside(self.end, jnp.stack([-self.end[3], self.end[2]]), OVERLAP)
        return jnp.maximum(beside(self.low, -1.0) + beside(self.high, 1.0) - 1, 0) * behind * ahead


def _draw(
    canvas: jax.Array,
    texel: float,
    window: int,
    strip: _Strip,
    change: Callable[[jax.Array, jax.Array], jax.Array],
) -> jax.Array:
    """Apply ``change(old texels, their centres [2, ...])`` to the square window around a strip."""
    low = strip.corners().min(0) - texel / 2
    corner = jnp.floor((low + EXTENT) / texel).astype(jnp.int32)
    steps = jnp.arange(window) + 0.5
    x = ((corner[0] + steps) * texel - EXTENT)[None, :]
    y = ((corner[1] + steps) * texel - EXTENT)[:, None]
    at = (corner[1], corner[0])
    old = lax.dynamic_slice(canvas, at, (window, window))
    return lax.dynamic_update_slice(canvas, change(old, (x, y)), at)


def _blend(old: jax.Array, strip: _Strip, near: jax.Array, colour: jax.Array) -> jax.Array:
    """Paint a strip over texels."""
    cover = strip.coverage(near, TEXEL)
    wide = old.astype(jnp.int32)
    new = jnp.zeros_like(wide)
    for shift in (0, 5, 10):
        field, target = (wide >> shift) & FULL, (colour >> shift) & FULL
        new |= jnp.round(field + cover * (target - field)).astype(jnp.int32) << shift
    return new.astype(jnp.uint16)


def _halve(level: jax.Array) -> jax.Array:
    """The next coarser level: means of four."""
    wide = spread(level)
    rows = wide[::2] + wide[1::2]
    total = rows[:, ::2] + rows[:, 1::2]
    mean = (total + (2 | 2 << 10 | 2 << 20)) >> 2
    return (mean & FULL | mean >> 5 & FULL << 5 | mean >> 10 & FULL << 10).astype(jnp.uint16)
