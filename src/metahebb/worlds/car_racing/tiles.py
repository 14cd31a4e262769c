"""The tiles of a track as things to touch: which of them the car's wheels and hull are on.

A body touches a tile when its rectangle and the tile's quadrilateral are less than Box2D's two skins apart,
by the separating axis theorem. The tiles worth testing come from a grid over the field.
"""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from metahebb.stages import stage
from metahebb.worlds.car_racing.physics import SIZE, WHEEL_HALF, Car, rotate
from metahebb.worlds.car_racing.track import MAX_TILES, TRACK_WIDTH, Track

__all__ = ["Tiles", "Touch", "lay_tiles", "touch"]

CELL = 8.0
CELLS = 64
LISTED = 24
"""Tiles that a cell's list has room for; 15 were the most in 5,000 tracks."""
REACH = 3.0
"""No part of the car is farther from the hull's origin."""
SKIN = 0.02
"""Box2D's polygons touch when they are closer: each has a skin of 0.01."""
FAR_AWAY = 1e6
NO_TILE = MAX_TILES
"""The row of a tile that nothing touches; fills the rest of a list."""

# Wheels, then the hull's front and rear bars: its other parts lie between them, behind the wheels.
_BARS = SIZE * np.array([(0.0, 120.0), (0.0, -105.0)], np.float32)
_HALF = np.array([WHEEL_HALF] * 4 + [(60 * SIZE, 10 * SIZE), (50 * SIZE, 15 * SIZE)], np.float32)


class Tiles(NamedTuple):
    """The tiles of one track."""

    sides: jax.Array
    """float32 [MAX_TILES + 1, 4, 4]: x and y of a corner, outward normal of the side to the next"""
    grid: jax.Array
    """int16 [CELLS, CELLS, LISTED]: the tiles that a car whose origin is in a cell may touch"""


class Touch(NamedTuple):
    """What the car is on."""

    tiles: jax.Array
    """int32 [LISTED]: the tiles that were tested"""
    by_wheel: jax.Array
    """bool [LISTED]"""
    by_any: jax.Array
    """bool [LISTED]: the hull counts, too"""
    on_road: jax.Array
    """bool [4]: the wheels that touch any tile"""


def lay_tiles(track: Track, longest: jax.Array | None = None) -> Tiles:
    """Make the tiles of a track; ``longest`` int32 is the length of the longest of those made at once, None of one."""
    index = jnp.arange(MAX_TILES)
    back = jnp.where(index == 0, track.length - 1, index - 1)
    across_x, across_y = TRACK_WIDTH * jnp.cos(track.beta), TRACK_WIDTH * jnp.sin(track.beta)
    left_x, left_y = track.x - across_x, track.y - across_y
    right_x, right_y = track.x + across_x, track.y + across_y
    x = jnp.stack([left_x, left_x[back], right_x[back], right_x], -1)
    y = jnp.stack([left_y, left_y[back], right_y[back], right_y], -1)
    side_x, side_y = jnp.roll(x, -1, -1) - x, jnp.roll(y, -1, -1) - y
    length = jnp.maximum(jnp.hypot(side_x, side_y), 1e-6)
    sides = jnp.stack([x, y, side_y / length, -side_x / length], 1)

    exists = (index < track.length)[:, None, None]
    nowhere = jnp.broadcast_to(jnp.array([FAR_AWAY, FAR_AWAY, 0.0, 0.0])[:, None], (1, 4, 4))
    sides = jnp.concatenate([jnp.where(exists, sides, nowhere), nowhere])
    return Tiles(sides, _list_tiles(sides[:, :2], track.length, track.length if longest is None else longest))


def _list_tiles(corners: jax.Array, count: jax.Array, longest: jax.Array) -> jax.Array:
    """For every cell of the grid, the tiles in reach."""
    window = 4  # A tile with the car's reach around it spans 21 units at most.
    low = (corners.min(-1) - REACH) / CELL + CELLS / 2
    high = (corners.max(-1) + REACH) / CELL + CELLS / 2
    first = jnp.clip(jnp.floor(low), 0, CELLS - window).astype(jnp.int32)
    offsets = jnp.arange(window)

    def enter(tile: jax.Array, grid_and_filled: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        grid, filled = grid_and_filled
        start = first[tile]
        inside = start[:, None] + offsets < high[tile][:, None]
        reached = inside[0][:, None] & inside[1] & (tile < count)
        slot = lax.dynamic_slice(filled, start, (window, window))
        cells = lax.dynamic_slice(grid, (*start, 0), (window, window, LISTED))
        here = reached[..., None] & (jnp.arange(LISTED) == slot[..., None])
        cells = jnp.where(here, tile.astype(jnp.int16), cells)
        grid = lax.dynamic_update_slice(grid, cells, (*start, 0))
        return grid, lax.dynamic_update_slice(filled, slot + reached, start)

    grid = jnp.full((CELLS, CELLS, LISTED), NO_TILE, jnp.int16)
    filled = jnp.zeros((CELLS, CELLS), jnp.int32)
    listed: jax.Array = lax.fori_loop(0, longest, enter, (grid, filled))[0]
    return listed


def touch(tiles: Tiles, car: Car) -> Touch:
    """The tiles that the cars are on; lives are the first axis."""
    listed, near = stage(jax.vmap(_near), tiles, car)
    rectangles = stage(jax.vmap(_rectangles), car)
    gap = stage(_gap, near, rectangles)
    touches = gap < SKIN
    wheels = touches[:, :4]
    return Touch(listed, wheels.any(1), touches.any(1), wheels.any(2))


def _near(tiles: Tiles, car: Car) -> tuple[jax.Array, jax.Array]:
    """The tiles listed where the car is, int32 [LISTED], and their sides [4, 4, LISTED]."""
    cell = jnp.clip(jnp.floor(car.origin / CELL) + CELLS // 2, 0, CELLS - 1).astype(jnp.int32)
    listed = tiles.grid[cell[0], cell[1]].astype(jnp.int32)
    return listed, jnp.moveaxis(tiles.sides[listed], 0, -1)


def _rectangles(car: Car) -> jax.Array:
    """The wheels' and the hull's rectangles: x, y, cos and sin of the angle: float32 [4, 6]."""
    bars = car.origin + rotate(car.angle[0], _BARS)
    x, y = jnp.concatenate([car.position[1:], bars]).T
    angle = jnp.concatenate([car.angle[1:], jnp.broadcast_to(car.angle[0], (2,))])
    return jnp.stack([x, y, jnp.cos(angle), jnp.sin(angle)])


def _gap(near: jax.Array, rectangles: jax.Array) -> jax.Array:
    """How far each rectangle is from each tile, negative if they overlap: float32 [lives, 6, LISTED]."""
    x, y, cos, sin = (rectangles[:, k, :, None] for k in range(4))
    half_width, half_length = _HALF[:, 0, None], _HALF[:, 1, None]
    corners = [(near[:, 0, k, None] - x, near[:, 1, k, None] - y) for k in range(4)]

    # Along the rectangle's axes: how far the tile's nearest corner is out of it.
    across = [cos * dx + sin * dy for dx, dy in corners]
    along = [cos * dy - sin * dx for dx, dy in corners]

    def beyond(places: list[jax.Array], half: np.ndarray) -> jax.Array:
        low, high = reduce(jnp.minimum, places), reduce(jnp.maximum, places)
        return jnp.maximum(low, -high) - half

    gap = jnp.maximum(beyond(across, half_width), beyond(along, half_length))

    # Along the normals of the tile's sides: how far the rectangle's nearest corner is outside.
    for k, (dx, dy) in enumerate(corners):
        normal_x, normal_y = near[:, 2, k, None], near[:, 3, k, None]
        extent = half_width * jnp.abs(cos * normal_x + sin * normal_y)
        extent += half_length * jnp.abs(cos * normal_y - sin * normal_x)
        gap = jnp.maximum(gap, -(normal_x * dx + normal_y * dy) - extent)
    return gap
