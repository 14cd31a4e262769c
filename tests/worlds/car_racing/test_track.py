"""The same random numbers give the same tracks as Gymnasium's."""

from __future__ import annotations

import numpy as np
from gymnasium.utils import seeding
from original import BlindOriginal

from metahebb.worlds.car_racing.track import draw_track


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
