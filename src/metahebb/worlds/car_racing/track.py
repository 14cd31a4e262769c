"""The track: a smooth random loop of tiles, the same one as Gymnasium's for the same random numbers.

Twelve checkpoints at random radii are joined by a path that turns towards the next one; the last full lap of
that path, cut at the start line, is the track. A lap whose ends do not meet is thrown away and drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["MAX_TILES", "PLAYFIELD", "Track", "draw_track", "draw_tracks"]

SCALE = 6.0
TRACK_RAD = 900 / SCALE
PLAYFIELD = 2000 / SCALE
"""Half of the field's side: a car beyond it has left the game."""
TRACK_DETAIL_STEP = 21 / SCALE
TRACK_TURN_RATE = 0.31
TRACK_WIDTH = 40 / SCALE
"""From the middle of the road to its edge."""
BORDER = 8 / SCALE
BORDER_MIN_COUNT = 4
CHECKPOINTS = 12
MAX_STEPS = 2500
BLOCK = 50
"""Steps of a path that are taken at once"""
START_ALPHA = 2 * math.pi * -0.5 / CHECKPOINTS

MAX_TILES = 511
"""Room for a track's tiles."""


class Track(NamedTuple):
    """One lap, in the order of the tiles; tile i lies between points i and i − 1 (cyclic).

    NumPy's arrays as they are drawn, JAX's with the lives as first axis once they are lived.
    """

    length: jax.Array
    """int32: number of tiles"""
    beta: jax.Array
    """float32 [MAX_TILES]: direction across the road, radians"""
    x: jax.Array
    """float32 [MAX_TILES]: middle of the road"""
    y: jax.Array
    """float32 [MAX_TILES]"""
    border: jax.Array
    """int8 [MAX_TILES]: side of the border, −1 or +1 along the direction across; 0 without one"""


def draw_track(rng: np.random.Generator) -> Track:
    """Draw checkpoints until they give a closed lap; takes the same numbers from ``rng`` as the original."""
    # In double precision on the host's CPU, because a lap's tiles are counted by comparisons of angles.
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        while True:
            track, closed = _lap(rng.random((CHECKPOINTS, 2)))
            if closed:
                return jax.tree.map(np.asarray, track)


def draw_tracks(rngs: Sequence[np.random.Generator], at_once: bool | None = None) -> Track:
    """The ``draw_track`` of each, all at once or one by one; by default what is faster where JAX computes."""
    if not (jax.default_backend() != "cpu" if at_once is None else at_once):
        return jax.tree.map(lambda *leaves: np.stack(leaves), *map(draw_track, rngs))
    with jax.enable_x64(True):
        tracks, closed = jax.tree.map(np.array, _laps(np.stack([rng.random((CHECKPOINTS, 2)) for rng in rngs])))
    # One in sixty does not close.
    for life in np.flatnonzero(~closed):
        for leaf, again in zip(tracks, draw_track(rngs[int(life)]), strict=True):
            leaf[life] = again
    return Track(*tracks)


class _Walk(NamedTuple):
    """The path so far, of five laps at most."""

    step: jax.Array
    """points so far"""
    x: jax.Array
    y: jax.Array
    beta: jax.Array
    goal: jax.Array
    """index of the checkpoint ahead, counting on over laps"""
    laps: jax.Array
    other_side: jax.Array
    """the path has been below the start line since the last lap began"""


_Step: TypeAlias = tuple[_Walk, jax.Array]
"""where the path is then, and the point that it makes: alpha, beta, x, y"""


def lap(uniforms: jax.Array) -> tuple[Track, jax.Array]:
    """The track of ``uniforms`` (float64 [CHECKPOINTS, 2] in [0, 1)) and whether its ends meet; traced."""
    sector = 2 * math.pi / CHECKPOINTS * jnp.arange(CHECKPOINTS)
    alpha = sector + 2 * math.pi / CHECKPOINTS * uniforms[:, 0]
    radius = TRACK_RAD / 3 + (TRACK_RAD - TRACK_RAD / 3) * uniforms[:, 1]
    ends = jnp.array([0, CHECKPOINTS - 1])
    alpha = alpha.at[ends].set(sector[ends])
    radius = radius.at[ends].set(1.5 * TRACK_RAD)
    steps, path = _walk(alpha, radius * jnp.cos(alpha), radius * jnp.sin(alpha))

    # The last lap: between the last two points that pass the start line.
    angle = path[:, 0]
    index = jnp.arange(len(path))
    passes = (angle > START_ALPHA) & (jnp.roll(angle, 1) <= START_ALPHA) & (index > 0) & (index < steps)
    last = jnp.max(jnp.where(passes, index, 0))
    first = jnp.max(jnp.where(passes & (index < last), index, 0))
    count = last - 1 - first
    _, beta, x, y = lax.dynamic_slice(path, (first, 0), (MAX_TILES, 4)).T

    gap = jnp.hypot(jnp.cos(beta[0]) * (x[0] - x[count - 1]), jnp.sin(beta[0]) * (y[0] - y[count - 1]))
    closed = (first > 0) & (count <= MAX_TILES) & (gap <= TRACK_DETAIL_STEP)
    track = Track(
        count.astype(jnp.int32),
        beta.astype(jnp.float32),
        x.astype(jnp.float32),
        y.astype(jnp.float32),
        _borders(beta, count),
    )
    return track, closed


_lap, _laps = jax.jit(lap), jax.jit(jax.vmap(lap))


def _walk(alpha: jax.Array, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Follow the checkpoints for five laps: the number of points, and the points [MAX_STEPS + MAX_TILES, 4].

    Zeros follow the last. No step has a loop in it, and the end is looked for once in ``BLOCK`` steps: an accelerator
    would wait for the host each time.
    """

    def unfinished(walk: _Walk) -> jax.Array:
        return (walk.laps <= 4) & (walk.step < MAX_STEPS)

    def go_on(walk: _Walk, _: None) -> tuple[_Walk, jax.Array]:
        going = unfinished(walk)
        after, point = _go_on(walk, alpha, x, y)
        kept = _Walk(*(jnp.where(going, new, old) for new, old in zip(after, walk, strict=True)))
        return kept, jnp.where(going, point, 0.0)

    def block(walk_and_path: tuple[_Walk, jax.Array]) -> tuple[_Walk, jax.Array]:
        walk, path = walk_and_path
        after, points = lax.scan(go_on, walk, length=BLOCK)
        return after, lax.dynamic_update_slice(path, points, (walk.step, 0))

    zero = jnp.zeros(())
    start = _Walk(
        step=jnp.array(0),
        x=zero + 1.5 * TRACK_RAD,
        y=zero,
        beta=zero,
        goal=jnp.array(0),
        laps=jnp.array(0),
        other_side=jnp.array(False),
    )
    path = jnp.zeros((MAX_STEPS + MAX_TILES, 4))
    walk, path = lax.while_loop(lambda state: unfinished(state[0]), block, (start, path))
    return walk.step, path


def _go_on(walk: _Walk, checkpoint_alpha: jax.Array, checkpoint_x: jax.Array, checkpoint_y: jax.Array) -> _Step:
    """The next step of a path."""
    alpha = jnp.arctan2(walk.y, walk.x)
    new_lap = walk.other_side & (alpha > 0)
    other_side = (walk.other_side & ~new_lap) | (alpha < 0)
    alpha = jnp.where(alpha < 0, alpha + 2 * math.pi, alpha)

    # Each sector has a checkpoint, so those that are behind are as many as sectors, but for the one that it is in.
    sector = jnp.minimum(jnp.floor(alpha / (2 * math.pi / CHECKPOINTS)).astype(int), CHECKPOINTS - 1)
    behind = sector + (alpha > checkpoint_alpha[sector])
    passed = jnp.maximum(behind - walk.goal % CHECKPOINTS, 0)
    goal = walk.goal + passed
    alpha = jnp.where((goal % CHECKPOINTS == 0) & (passed > 0), alpha - 2 * math.pi, alpha)
    goal_x, goal_y = checkpoint_x[goal % CHECKPOINTS], checkpoint_y[goal % CHECKPOINTS]
    across_x, across_y = jnp.cos(walk.beta), jnp.sin(walk.beta)
    projection = SCALE * (across_x * (goal_x - walk.x) + across_y * (goal_y - walk.y))
    beta = walk.beta
    # Once round at most: alpha and beta change by less than that from step to step.
    beta = jnp.where(beta - alpha > 1.5 * math.pi, beta - 2 * math.pi, beta)
    beta = jnp.where(beta - alpha < -1.5 * math.pi, beta + 2 * math.pi, beta)
    turn = jnp.minimum(TRACK_TURN_RATE, jnp.abs(0.001 * projection))
    turned = beta - jnp.where(jnp.abs(projection) > 0.3, jnp.sign(projection) * turn, 0.0)
    x = walk.x - across_y * TRACK_DETAIL_STEP
    y = walk.y + across_x * TRACK_DETAIL_STEP
    point = jnp.stack([alpha, beta * 0.5 + turned * 0.5, x, y])
    return _Walk(walk.step + 1, x, y, turned, goal, walk.laps + new_lap, other_side), point


def _borders(beta: jax.Array, count: jax.Array) -> jax.Array:
    """Where the turns are hard, and on which side."""
    index = jnp.arange(MAX_TILES)

    def before(values: jax.Array, tiles: int) -> jax.Array:
        return values[(index - tiles) % count]

    turn = beta - before(beta, 1)
    hard = jnp.abs(turn) > TRACK_TURN_RATE * 0.2
    recent = [(before(hard, back), before(jnp.sign(turn), back)) for back in range(BORDER_MIN_COUNT)]
    border = jnp.abs(sum(sign for _, sign in recent)) == BORDER_MIN_COUNT
    for is_hard, _ in recent:
        border &= is_hard

    # A border reaches three tiles back. The original marks in place from tile 0 on, so what reaches back over
    # the start line is met a second time and reaches back further.
    over_the_line = jnp.zeros_like(border)
    for back in range(1, BORDER_MIN_COUNT):
        over_the_line |= before(border, -back) & (index + back >= count)
    border |= over_the_line
    reached = border
    for back in range(1, BORDER_MIN_COUNT):
        reached |= before(border, -back)
    return jnp.where(reached & (index < count), -jnp.sign(turn), 0).astype(jnp.int8)
