"""The same random numbers give the same tracks as Gymnasium's."""

from __future__ import annotations

import jax
import numpy as np
from gymnasium.utils import seeding
from original import BlindOriginal

from metahebb.worlds.car_racing.texture import FULL
from metahebb.worlds.car_racing.track import draw_track, draw_tracks
from metahebb.worlds.car_racing.world import all_at_once, one_by_one


def test_tracks_are_the_originals_failed_draws_included() -> None:
    env = BlindOriginal()
    redrawn = 0
    for seed in range(100):
        env.reset(seed=seed)
        rng = seeding.np_random(seed)[0]
        track = draw_track(rng)
        path = np.array(env.track)
        count = int(track.length)
        assert count == len(path), seed
        np.testing.assert_allclose(np.stack([track.beta, track.x, track.y])[:, :count], path.T[1:], atol=2e-5)
        # As many numbers were drawn, so as many tracks were thrown away.
        assert rng.bit_generator.state == env.np_random.bit_generator.state
        once = seeding.np_random(seed)[0]
        once.random(24)
        redrawn += once.bit_generator.state != rng.bit_generator.state

        borders = [colour for _, colour in env.road_poly if isinstance(colour, tuple)]
        ours = [(255, 255, 255) if i % 2 == 0 else (255, 0, 0) for i in np.flatnonzero(track.border)]
        assert ours == borders
    assert redrawn > 0, "no failed draw among the seeds"


def test_many_tracks_at_once_are_those_drawn_one_by_one() -> None:
    """As an accelerator makes them, laid and painted, failed draws included."""
    seeds = range(40)
    rngs, others = ([seeding.np_random(seed)[0] for seed in seeds] for _ in range(2))
    tracks, at_once = draw_tracks(rngs, at_once=False), draw_tracks(others, at_once=True)
    for one, other in zip(tracks, at_once, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [rng.bit_generator.state for rng in rngs] == [rng.bit_generator.state for rng in others]
    once = [seeding.np_random(seed)[0] for seed in seeds]
    for rng in once:
        rng.random(24)
    assert any(a.bit_generator.state != b.bit_generator.state for a, b in zip(once, rngs, strict=True))

    few = jax.tree.map(lambda leaf: leaf[:6], tracks)
    (tiles, texture), (other_tiles, other_texture) = jax.jit(one_by_one)(few), jax.jit(all_at_once)(few)
    for one, other in zip(tiles, other_tiles, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(texture.numbers, other_texture.numbers)
    texels, other_texels = (np.asarray(its.texels).astype(int) for its in (texture, other_texture))
    # Other code rounds otherwise, here and there, by a level of 31.
    off = np.max([abs((texels >> shift & FULL) - (other_texels >> shift & FULL)) for shift in (0, 5, 10)], axis=0)
    assert off.max() <= 1
    assert (off > 0).mean() < 1e-5
