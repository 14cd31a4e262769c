"""MuJoCo's model of the quadruped: for its physics, and for the pictures of both simulators."""

from __future__ import annotations

from functools import lru_cache

import mujoco

from metahebb.worlds.quadruped.morphology import Morphology
from metahebb.worlds.quadruped.robot import (
    ANKLE_AXES,
    CAPSULE_RADIUS,
    FLOOR_FRICTION,
    GRAVITY,
    HIP_RANGE,
    ROBOT_FRICTION,
    START_HEIGHT,
    SUB_STEPS,
    TIME_STEP,
    TORQUE,
    TORSO_RADIUS,
    Solid,
    ankle_range,
    leg_parts,
    trunk,
)

__all__ = ["PICTURE_HEIGHT", "PICTURE_WIDTH", "mujoco_model"]

PICTURE_WIDTH = 640
PICTURE_HEIGHT = 480


@lru_cache(maxsize=256)
def mujoco_model(morphology: Morphology) -> mujoco.MjModel:
    """The compiled model of a body, shared by all who ask for the same one: not to be changed."""
    return mujoco.MjModel.from_xml_string(_mjcf(morphology))


def _mjcf(morphology: Morphology) -> str:
    """MuJoCo's description of a body standing on a chequered floor."""
    legs = "".join(_leg(morphology, leg) for leg in range(4))
    joints = "".join(
        f'<motor joint="{joint}_{leg}" gear="{TORQUE}"/>' for leg in range(4) for joint in ("hip", "ankle")
    )
    stubs = "".join(_capsule((0, 0, 0), leg_parts(morphology, leg).stub_end) for leg in range(4))
    # The limits take up at once and without a bounce, since ankles start outside of theirs. Pyramidal cones are a third
    # faster than elliptic ones; one robot is one island of constraints. A diverged state has to show, so MuJoCo must not
    # reset it.
    return f"""
<mujoco model="quadruped">
  <compiler angle="degree"/>
  <option timestep="{TIME_STEP / SUB_STEPS}" gravity="0 0 {-GRAVITY}" cone="pyramidal">
    <flag autoreset="disable" island="disable"/>
  </option>
  <default>
    <joint type="hinge" limited="true" solreflimit="0.01 100"/>
    <geom contype="0" conaffinity="1" friction="{ROBOT_FRICTION * FLOOR_FRICTION}" solref="{2 * TIME_STEP / SUB_STEPS} 1"
      size="{CAPSULE_RADIUS}" material="robot"/>
    <motor ctrllimited="true" ctrlrange="-1 1"/>
  </default>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" rgb1="0.72 0.82 0.92" rgb2="0.95 0.97 1" width="64" height="384"/>
    <texture name="tiles" type="2d" builtin="checker" rgb1="0.62 0.66 0.68" rgb2="0.78 0.81 0.82" width="256"
      height="256"/>
    <material name="floor" texture="tiles" texrepeat="1 1" texuniform="true" reflectance="0.08"/>
    <material name="robot" rgba="0.93 0.55 0.22 1" specular="0.3" shininess="0.4"/>
    <material name="foot" rgba="0.20 0.36 0.55 1" specular="0.3" shininess="0.4"/>
  </asset>
  <visual>
    <global offwidth="{PICTURE_WIDTH}" offheight="{PICTURE_HEIGHT}"/>
    <headlight ambient="0.35 0.35 0.35" diffuse="0.35 0.35 0.35" specular="0 0 0"/>
    <quality shadowsize="2048"/>
    <map zfar="40"/>
  </visual>
  <worldbody>
    <geom type="plane" size="0 0 0.05" contype="1" conaffinity="0" material="floor"/>
    <body name="torso" pos="0 0 {START_HEIGHT}">
      <light mode="trackcom" pos="1 -1.5 4" dir="-0.22 0.33 -0.9" diffuse="0.6 0.6 0.6" directional="true"/>
      <freejoint/>
      {_inertial(trunk(morphology))}
      <geom type="sphere" size="{TORSO_RADIUS}"/>
      {stubs}
      {legs}
    </body>
  </worldbody>
  <actuator>{joints}</actuator>
</mujoco>
"""


def _leg(morphology: Morphology, leg: int) -> str:
    """The moving segments of a leg."""
    parts = leg_parts(morphology, leg)
    return f"""
      <body pos="{_numbers(parts.stub_end)}">
        {_inertial(parts.upper)}
        <joint name="hip_{leg}" axis="0 0 1" range="{_numbers(HIP_RANGE)}"/>
        {_capsule((0, 0, 0), parts.upper_end)}
        <body pos="{_numbers(parts.upper_end)}">
          {_inertial(parts.lower)}
          <joint name="ankle_{leg}" axis="{_numbers(ANKLE_AXES[leg])} 0" range="{_numbers(ankle_range(leg))}"/>
          {_capsule((0, 0, 0), parts.lower_end, ' material="foot"')}
        </body>
      </body>"""


def _inertial(solid: Solid) -> str:
    return (
        f'<inertial pos="{_numbers(solid.centre)}" mass="{solid.mass!r}" diaginertia="{_numbers(solid.inertia)}"/>'
    )


def _capsule(start: tuple[float, ...], end: tuple[float, ...], attributes: str = "") -> str:
    return f'<geom type="capsule" fromto="{_numbers((*start, *end))}"{attributes}/>'


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(map(repr, values))
