"""The tiles of a track as things to touch: which of them the car's wheels and hull are on.

A body touches a tile when its rectangle and the tile's quadrilateral are less than Box2D's two skins apart, by the
separating axis theorem. The tiles worth testing come from a grid over the field. All functions are of one life.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from metahebb.worlds.car_racing.physics import SIZE, WHEEL_HALF, Car, rotate
from metahebb.worlds.car_racing.track import MAX_TILES, TRACK_WIDTH, Track

__all__ = ["Tiles", "Touch", "lay_tiles", "touch"]

CELL = 8.0
CELLS = 64
SLOTS = 24
"""Tiles listed in a cell; 15 were the most in 5,000 tracks."""
REACH = 3.0
"""No part of the car is farther from the hull's origin."""
SKIN = 0.02
"""Box2D's polygons touch when they are closer: each has a skin of 0.01."""
NO_TILE = MAX_TILES
"""The row of a tile that nothing touches; fills empty slots."""

# Wheels, then the hull's front and rear bars: its other parts lie between them, behind the wheels.
_BARS = SIZE * np.array([(0.0, 120.0), (0.0, -105.0)], np.float32)
_HALF = np.array([WHEEL_HALF] * 4 + [(60 * SIZE, 10 * SIZE), (50 * SIZE, 15 * SIZE)], np.float32)


class Tiles(NamedTuple):
    """The tiles of one track."""

    corners: jax.Array
    """float32 [MAX_TILES + 1, 2, 4]: x and y, counterclockwise: from the left of a tile's far end"""
    edges: jax.Array
    """float32 [MAX_TILES + 1, 3, 4]: outward normal and offset: a point is outside where n·p > offset"""
    grid: jax.Array
    """int16 [CELLS, CELLS, SLOTS]: the tiles that a car whose origin is in a cell may touch"""


class Touch(NamedTuple):
    """What the car is on."""

    tiles: jax.Array
    """int32 [SLOTS]: the tiles that were tested"""
    by_wheel: jax.Array
    """bool [SLOTS]"""
    by_any: jax.Array
    """bool [SLOTS]: the hull counts, too"""
    on_road: jax.Array
    """bool [4]: the wheels that touch any tile"""


def lay_tiles(track: Track) -> Tiles:
    """Make the tiles of a track."""
    index = jnp.arange(MAX_TILES)
    back = jnp.where(index == 0, track.count - 1, index - 1)
    across_x, across_y = TRACK_WIDTH * jnp.cos(track.beta), TRACK_WIDTH * jnp.sin(track.beta)
    left_x, left_y = track.x - across_x, track.y - across_y
    right_x, right_y = track.x + across_x, track.y + across_y
    x = jnp.stack([left_x, left_x[back], right_x[back], right_x], -1)
    y = jnp.stack([left_y, left_y[back], right_y[back], right_y], -1)
    side_x, side_y = jnp.roll(x, -1, -1) - x, jnp.roll(y, -1, -1) - y
    length = jnp.maximum(jnp.hypot(side_x, side_y), 1e-6)
    normal_x, normal_y = side_y / length, -side_x / length
    offset = normal_x * x + normal_y * y

    exists = (index < track.count)[:, None, None]
    far_away = jnp.full((1, 2, 4), 1e6)
    corners = jnp.where(exists, jnp.stack([x, y], 1), far_away)
    edges = jnp.where(exists, jnp.stack([normal_x, normal_y, offset], 1), 0.0)
    corners = jnp.concatenate([corners, far_away])
    edges = jnp.concatenate([edges, jnp.zeros((1, 3, 4))])
    return Tiles(corners, edges, _list_tiles(corners, track.count))


def _list_tiles(corners: jax.Array, count: jax.Array) -> jax.Array:
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
        reached = inside[0][:, None] & inside[1]
        slot = lax.dynamic_slice(filled, start, (window, window))
        cells = lax.dynamic_slice(grid, (*start, 0), (window, window, SLOTS))
        here = reached[..., None] & (jnp.arange(SLOTS) == slot[..., None])
        cells = jnp.where(here, tile.astype(jnp.int16), cells)
        grid = lax.dynamic_update_slice(grid, cells, (*start, 0))
        return grid, lax.dynamic_update_slice(filled, slot + reached, start)

    grid = jnp.full((CELLS, CELLS, SLOTS), NO_TILE, jnp.int16)
    filled = jnp.zeros((CELLS, CELLS), jnp.int32)
    return lax.fori_loop(0, count, enter, (grid, filled))[0]


def touch(tiles: Tiles, car: Car) -> Touch:
    """The tiles that the car is on."""
    cell = jnp.clip(jnp.floor(car.origin / CELL) + CELLS // 2, 0, CELLS - 1).astype(jnp.int32)
    listed = tiles.grid[cell[0], cell[1]].astype(jnp.int32)
    corners, edges = tiles.corners[listed], tiles.edges[listed]

    bars = car.origin + rotate(car.angle[0], _BARS)
    centre = jnp.concatenate([car.position[1:], bars])
    angle = jnp.concatenate([car.angle[1:], jnp.broadcast_to(car.angle[0], (2,))])
    cos, sin = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]
    half = jnp.asarray(_HALF)

    # Along the rectangle's two axes: how far the tile's nearest corner is from the rectangle. [6, SLOTS]
    def beyond(axis_x: jax.Array, axis_y: jax.Array, reach: jax.Array) -> jax.Array:
        middle = (axis_x[:, 0] * centre[:, 0] + axis_y[:, 0] * centre[:, 1])[:, None, None]
        along = axis_x[..., None] * corners[:, 0] + axis_y[..., None] * corners[:, 1] - middle
        return jnp.maximum(along.min(-1), -along.max(-1)) - reach[:, None]

    gap = jnp.maximum(beyond(cos, sin, half[:, 0]), beyond(-sin, cos, half[:, 1]))

    # Along the normals of the tile's edges: how far the rectangle's nearest corner is outside.
    normal_x, normal_y, offset = edges[:, 0], edges[:, 1], edges[:, 2]
    middle = centre[:, 0, None, None] * normal_x + centre[:, 1, None, None] * normal_y - offset
    extent = half[:, 0, None, None] * jnp.abs(cos[..., None] * normal_x + sin[..., None] * normal_y)
    extent += half[:, 1, None, None] * jnp.abs(cos[..., None] * normal_y - sin[..., None] * normal_x)
    gap = jnp.maximum(gap, (middle - extent).max(-1))

    touches = gap < SKIN
    wheels = touches[:4]
    return Touch(listed, wheels.any(0), touches.any(0), wheels.any(1))
