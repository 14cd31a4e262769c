"""The road as a texture, painted once in a life.

A texel holds how much of it is road, white border and red border; grass and colours come later, in the frame.
Road and borders are painted tile after tile, a later one over an earlier one, as in the original. The finest
level has half a unit a texel; each coarser one halves the one before, for the first second of a life, when
the camera comes near. All functions are of one life.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from metahebb.stages import nearest, stage
from metahebb.worlds.car_racing.tiles import NO_TILE
from metahebb.worlds.car_racing.track import BORDER, MAX_TILES, TRACK_WIDTH, Track

__all__ = ["EXTENT", "LEVELS", "LEVEL_START", "NUMBER_SIZE", "SIZE", "TEXEL", "Texture", "paint", "spread"]

EXTENT = 256.0
"""The texture reaches from −EXTENT to EXTENT in x and y; the road reaches 249."""
TEXEL = 0.5
SIZE = int(2 * EXTENT / TEXEL)
LEVELS = 4
LEVEL_START = tuple(sum((SIZE >> lower) ** 2 for lower in range(level)) for level in range(LEVELS))
NUMBER_SIZE = int(2 * EXTENT)

FULL = 31
"""A texel's three fields have five bits each."""
ROAD, WHITE, RED = FULL, FULL << 5, FULL << 10
PEN = 0.5 / 16.2
"""Units: the original's polygons include the pixels on their edges, half a pixel on each side."""
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


def paint(track: Track, longest: jax.Array | None = None) -> Texture:
    """Paint a track; ``longest`` int32 is the length of the longest of those that are painted at once, None of one."""
    index = jnp.arange(MAX_TILES)
    ends = jnp.stack([track.x, track.y, jnp.cos(track.beta), jnp.sin(track.beta)])
    starts = ends[:, jnp.where(index == 0, track.length - 1, index - 1)]
    width = jnp.full(MAX_TILES, TRACK_WIDTH)
    side = track.border.astype(jnp.float32)
    inner, outer = side * TRACK_WIDTH, side * (TRACK_WIDTH + BORDER)
    road = _measure(starts, ends, -width, width, TEXEL)
    border = _measure(starts, ends, jnp.minimum(inner, outer), jnp.maximum(inner, outer), TEXEL)
    square = _measure(starts, ends, -width, width, 1.0)

    def paint_tile(tile: jax.Array, canvas: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        texels, numbers = canvas
        exists = None if longest is None else tile < track.length
        colour = jnp.where(tile % 2 == 0, WHITE, RED)

        def draw_road(old: jax.Array, cover: jax.Array) -> jax.Array:
            return _blend(old, cover, ROAD)

        def draw_border(old: jax.Array, cover: jax.Array) -> jax.Array:
            new: jax.Array = lax.cond(track.border[tile] != 0, lambda: _blend(old, cover, colour), lambda: old)
            return new

        def draw_number(old: jax.Array, cover: jax.Array) -> jax.Array:
            return jnp.where(cover > 0, tile.astype(jnp.uint16), old)

        texels = _draw(texels, 32, road, tile, draw_road, exists)
        texels = _draw(texels, 16, border, tile, draw_border, exists)
        return texels, _draw(numbers, 18, square, tile, draw_number, exists)

    finest = jnp.zeros((SIZE, SIZE), jnp.uint16)
    numbers = jnp.full((NUMBER_SIZE, NUMBER_SIZE), NO_TILE, jnp.uint16)
    finest, numbers = lax.fori_loop(0, track.length if longest is None else longest, paint_tile, (finest, numbers))
    levels = [finest]
    for _ in range(1, LEVELS):
        levels.append(stage(_halve, levels[-1]))
    return Texture(jnp.concatenate([level.ravel() for level in levels]), numbers.ravel())


class _Strips(NamedTuple):
    """Stretches of road or border between two cross-sections, on a canvas."""

    corner: jax.Array
    """int32 [strips, 2]: row and column of the window that holds a strip"""
    sides: jax.Array
    """float32 [strips, 4, 3]: low, high, start, end: (row, column, 1)·side is the share of a texel inside"""


def _measure(starts: jax.Array, ends: jax.Array, low: jax.Array, high: jax.Array, texel: float) -> _Strips:
    """Strips from ``low`` to ``high`` between cross-sections [4, strips]: x, y, cos, sin across the road."""

    def point(end: jax.Array, at: jax.Array) -> jax.Array:
        return end[:2] + at * end[2:]

    def side(first: jax.Array, last: jax.Array, margin: float) -> jax.Array:
        """What lies left of the way from one point to another, and ``margin`` to its right."""
        x, y = (last - first) / jnp.maximum(jnp.linalg.norm(last - first, axis=0), 1e-6)
        return jnp.stack([x, -y, y * first[0] - x * first[1] + margin]) / texel

    corners = jnp.stack([point(end, at) for end in (starts, ends) for at in (low, high)])
    corner = jnp.floor((corners.min(0) - texel / 2 + EXTENT) / texel)
    rows, columns, constants = jnp.stack(
        [
            side(corners[2], corners[0], PEN),
            side(corners[1], corners[3], PEN),
            side(corners[0], corners[0] + starts[2:], 0.0),
            side(corners[3], corners[3] - ends[2:], OVERLAP),
        ],
        1,
    )
    # From units in the field to texels in the window.
    column, row = (corner + 0.5) * texel - EXTENT
    constants += rows * row + columns * column + 0.5
    sides = jnp.stack([rows * texel, columns * texel, constants], -1)
    return _Strips(corner[::-1].T.astype(jnp.int32), jnp.moveaxis(sides, 0, 1))


def _draw(
    canvas: jax.Array,
    window: int,
    strips: _Strips,
    strip: jax.Array,
    change: Callable[[jax.Array, jax.Array], jax.Array],
    exists: jax.Array | None,
) -> jax.Array:
    """Apply ``change(old texels, share of them that the strip covers)`` to the window around a strip, if it exists."""
    corner, sides = strips.corner[strip], strips.sides[strip]
    row, column = jnp.arange(window, dtype=jnp.float32)[:, None], jnp.arange(window, dtype=jnp.float32)
    low, high, start, end = (jnp.clip(sides[k, 0] * row + (sides[k, 1] * column + sides[k, 2]), 0, 1) for k in range(4))
    cover = jnp.maximum(low + high - 1, 0) * start * end
    old = lax.dynamic_slice(canvas, corner, (window, window))
    new = change(old, cover)
    return lax.dynamic_update_slice(canvas, new if exists is None else jnp.where(exists, new, old), corner)


def _blend(old: jax.Array, cover: jax.Array, colour: jax.Array | int) -> jax.Array:
    """Paint over texels."""
    wide = old.astype(jnp.int32)
    new = jnp.zeros_like(wide)
    for shift in (0, 5, 10):
        field, target = (wide >> shift) & FULL, (colour >> shift) & FULL
        new |= nearest(field + cover * (target - field)) << shift
    return new.astype(jnp.uint16)


def _halve(level: jax.Array) -> jax.Array:
    """The next coarser level: means of four."""
    # Two neighbours of a row as one word, because a stride of two along the rows is not vectorised.
    pairs = lax.bitcast_convert_type(level.reshape(level.shape[0], -1, 2), jnp.uint32)
    both = spread(pairs & 0xFFFF) + spread(pairs >> 16)
    mean = both[::2] + both[1::2] + (2 | 2 << 10 | 2 << 20) >> 2
    return (mean & FULL | mean >> 5 & FULL << 5 | mean >> 10 & FULL << 10).astype(jnp.uint16)
