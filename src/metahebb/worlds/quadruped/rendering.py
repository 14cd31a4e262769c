"""Pictures of the quadruped, drawn by MuJoCo without a screen, whichever simulator moves it."""

from __future__ import annotations

import os
import sys
from typing import Any

import mujoco
import numpy as np

from metahebb.worlds.quadruped.kinematics import leg_lengths
from metahebb.worlds.quadruped.morphology import Morphology
from metahebb.worlds.quadruped.mujoco_model import PICTURE_HEIGHT, PICTURE_WIDTH, mujoco_model
from metahebb.worlds.quadruped.robot import STUB_LENGTH

__all__ = ["Cameras"]

_REMEDY = (
    "Pictures of the quadruped need an OpenGL that draws without a screen, and none opens here: install EGL "
    "(on Debian and Ubuntu: apt-get install libegl1 libgl1), or set MUJOCO_GL to what is there."
)


class Cameras:
    """A camera for each body that is looked at, opened at its first picture."""

    def __init__(self) -> None:
        self._cameras: dict[Morphology, _Camera] = {}

    def picture(self, morphology: Morphology, qpos: np.ndarray) -> np.ndarray:
        """A body in a configuration, uint8 [480, 640, 3], seen by a camera that follows it over the floor.

        ``qpos`` float64 [15]: the torso's place, its quaternion as w, x, y, z, the joints' angles. Without an
        OpenGL that draws off screen, ``RuntimeError`` names the remedy.
        """
        if morphology not in self._cameras:
            self._cameras[morphology] = _Camera(morphology)
        return self._cameras[morphology].picture(qpos)

    def close(self) -> None:
        """Free the drawing surfaces; harmless when called twice."""
        while self._cameras:
            self._cameras.popitem()[1].close()


class _Camera:
    """The drawing surface of one body."""

    def __init__(self, morphology: Morphology) -> None:
        model = mujoco_model(morphology)
        self._gl, self._context = _open(model)
        self._model = model
        self._data = mujoco.MjData(model)
        self._scene = mujoco.MjvScene(model, maxgeom=100)
        self._options = mujoco.MjvOption()
        self._view = mujoco.MjvCamera()
        self._view.azimuth, self._view.elevation = 115.0, -22.0
        longest_leg = STUB_LENGTH + leg_lengths(morphology).sum(axis=1).max()
        self._view.distance = 4.5 * longest_leg

    def picture(self, qpos: np.ndarray) -> np.ndarray:
        self._gl.make_current()
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        # The view does not follow up and down: what the torso does must show against the horizon.
        self._view.lookat[:] = qpos[0], qpos[1], 0.35
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, self._data, self._options, None, self._view, everything, self._scene)
        viewport = mujoco.MjrRect(0, 0, PICTURE_WIDTH, PICTURE_HEIGHT)
        mujoco.mjr_render(viewport, self._scene, self._context)
        picture = np.empty((PICTURE_HEIGHT, PICTURE_WIDTH, 3), np.uint8)
        mujoco.mjr_readPixels(picture, None, viewport, self._context)
        return np.ascontiguousarray(picture[::-1])  # OpenGL's rows run upwards

    def close(self) -> None:
        self._gl.make_current()
        self._context.free()
        self._gl.free()


def _open(model: mujoco.MjModel) -> tuple[Any, mujoco.MjrContext]:
    """OpenGL as MUJOCO_GL has it, or else on Linux as it needs no screen, with what MuJoCo keeps there."""
    try:
        if sys.platform == "linux" and not os.environ.get("MUJOCO_GL"):
            from mujoco.egl import GLContext
        else:
            from mujoco import GLContext
        gl = GLContext(PICTURE_WIDTH, PICTURE_HEIGHT)
        gl.make_current()
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    # What is missing shows as any of these: a library, a symbol in it, a device, a display.
    except (ImportError, OSError, AttributeError, RuntimeError, mujoco.FatalError) as error:
        raise RuntimeError(_REMEDY) from error
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
    return gl, context
