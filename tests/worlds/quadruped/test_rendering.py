"""Pictures, where the machine can draw without a screen."""

import os
import subprocess
import sys

import numpy as np
import pytest

from metahebb.worlds.quadruped import FRONT_RIGHT_DAMAGED, BulletQuadruped, MujocoQuadruped


@pytest.fixture
def world(drawing):
    world = MujocoQuadruped(2)
    world.reset(0, seed=0)
    yield world
    world.close()


def robot(picture):
    """Where the robot's orange and blue is, as a mask [480, 640]."""
    red, _, blue = picture.astype(int).transpose(2, 0, 1)
    return abs(red - blue) > 45


def test_the_robot_stands_in_the_middle_of_the_picture(world):
    picture = world.render(0)
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8
    rows, columns = np.nonzero(robot(picture))
    assert 0.02 < len(rows) / picture[..., 0].size < 0.3
    assert 220 < columns.mean() < 420
    assert 100 < rows.mean() < 380
    assert picture[:20].mean() > picture[-20:].mean()  # the sky is up


def test_the_camera_follows_and_the_floor_passes_by(world):
    before = world.render(0)
    world._states[0, 1] += 10.5  # an odd number of tiles
    after = world.render(0)
    assert (robot(before) != robot(after)).mean() < 0.01
    floor = ~robot(before) & ~robot(after)
    floor[:240] = False
    assert (np.abs(before.astype(int) - after).max(axis=2) > 15)[floor].mean() > 0.3


def test_a_damaged_leg_shows(world):
    world.reset(1, seed=0, morphology=FRONT_RIGHT_DAMAGED)
    whole, damaged = robot(world.render(0)), robot(world.render(1))
    assert damaged.sum() < 0.93 * whole.sum()
    assert (damaged & ~whole).mean() < 0.002  # nothing else moved


def test_bullets_life_is_drawn_alike(world):
    pytest.importorskip("pybullet", reason="PyBullet has no wheels for this platform")
    bullet = BulletQuadruped(1)
    bullet.reset(0, seed=0)
    difference = np.abs(bullet.render(0).astype(int) - world.render(0))
    assert difference.mean() < 0.01
    bullet.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a window system is always there")
def test_without_a_display_the_remedy_is_named():
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    code = (
        "from metahebb.worlds.quadruped import MujocoQuadruped\n"
        "world = MujocoQuadruped(1); world.reset(0, seed=0); world.render(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "MUJOCO_GL": "glfw"},
        capture_output=True,
        text=True,
    )
    assert "RuntimeError: Pictures of the quadruped need an OpenGL" in done.stderr
    assert "apt-get install libegl1 libgl1" in done.stderr
