"""What holds for every world of the quadruped."""

import functools
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from metahebb.worlds.quadruped import BulletQuadruped, Leg, Morphology, MujocoQuadruped, parse_morphology
from metahebb.worlds.quadruped.morphology import FACTOR_RANGE

SHORT, LONG = FACTOR_RANGE
OWN = parse_morphology("front-left=1.0,0.5 back-right=0.8,1.0")
EXTREMES = [
    Morphology(*[Leg(SHORT, SHORT)] * 4),
    Morphology(*[Leg(LONG, LONG)] * 4),
    Morphology(Leg(SHORT, LONG), Leg(LONG, SHORT), Leg(SHORT, SHORT), Leg(LONG, LONG)),
]


WORLDS = {
    "mujoco": MujocoQuadruped,
    "bullet": BulletQuadruped,
    "merged": functools.partial(BulletQuadruped, merged=True),
}


@pytest.fixture(params=WORLDS)
def name(request):
    """The name of a world that can be made here."""
    if request.param != "mujoco":
        pytest.importorskip("pybullet", reason="PyBullet has no wheels for this platform")
    return request.param


@pytest.fixture
def make(name):
    """A function from a number of slots to a world."""
    return WORLDS[name]


def test_the_strangest_bodies_have_a_physics(make):
    world = make(3)
    for slot, morphology in enumerate(EXTREMES):
        assert np.isfinite(world.reset(slot, seed=slot, morphology=morphology)).all()
    random = np.random.default_rng(0)
    for _ in range(150):
        observations, progress, _ = world.step(np.arange(3), random.choice([-1.0, 1.0], (3, 8)))
        assert np.isfinite(observations).all()
        assert np.isfinite(progress).all()
        assert np.abs(progress).max() < 10  # 10 m a second
    world.close()


def trace(world):
    """A digest of all that a life shows."""
    digest = hashlib.sha256(world.reset(0, seed=5, morphology=OWN))
    world.settle(0)
    random = np.random.default_rng(1)
    for _ in range(200):
        for result in world.step(np.array([0]), random.uniform(-1, 1, (1, 8))):
            digest.update(result)
    return digest.hexdigest()


def test_a_life_is_the_same_in_another_process(name, make):
    world = make(1)
    for seed, morphology in enumerate([EXTREMES[2], OWN]):  # what the world did before leaves no trace
        world.reset(0, seed, morphology)
        world.step(np.array([0]), np.ones((1, 8)))
    here = trace(world)
    world.close()
    # This file is a program that prints the trace of a world in a process of its own.
    afresh = subprocess.run([sys.executable, __file__, name], check=True, capture_output=True, text=True, timeout=300)
    assert afresh.stdout.split()[-1] == here


if __name__ == "__main__":
    print(trace(WORLDS[sys.argv[1]](1)))
