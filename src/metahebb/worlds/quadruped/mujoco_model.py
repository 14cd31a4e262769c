"""MuJoCo's model of the quadruped: for its physics, and for the pictures of both simulators."""

from __future__ import annotations

from functools import lru_cache

import mujoco

from metahebb.worlds.quadruped.morphology import Morphology
from metahebb.worlds.quadruped.robot import (
    ANKLE_AXES,
    CAPSULE_RADIUS,
    DIRECTIONS,
    FLOOR_FRICTION,
    GRAVITY,
    HIP_RANGE,
    ROBOT_FRICTION,
    START_HEIGHT,
    SUB_STEPS,
    TIME_STEP,
    TORQUE,
    TORSO_RADIUS,
    Point,
    Solid,
    ankle_range,
    leg_parts,
    numbers,
    trunk,
)

__all__ = ["PICTURE_HEIGHT", "PICTURE_WIDTH", "mujoco_model"]

PICTURE_WIDTH = 640
PICTURE_HEIGHT = 480


@lru_cache(maxsize=256)
def mujoco_model(morphology: Morphology, friction: float = 1.0, strength: float = 1.0) -> mujoco.MjModel:
    """The compiled model of a body, one for all who ask for it: not to be changed.

    ``friction`` and ``strength`` are factors of the floor's friction and of the motors' torque.
    """
    return mujoco.MjModel.from_xml_string(_mjcf(morphology, friction, strength))


def _mjcf(morphology: Morphology, friction: float, strength: float) -> str:
    sub_step = TIME_STEP / SUB_STEPS
    stubs = "".join(_capsule(leg_parts(morphology, leg).stub_end, leg) for leg in range(4))
    legs = "".join(_leg(morphology, leg) for leg in range(4))
    motors = "".join(f'<motor joint="{joint}_{leg}"/>' for leg in range(4) for joint in ("hip", "ankle"))
    # Limits that take hold at once and do not bounce, since ankles start outside of theirs. Pyramidal cones
    # are a third faster than elliptic ones, and one robot needs no search for islands. Diverged numbers must
    # show: no automatic reset. Several samples of each pixel would take as long as all else of a film, without a GPU.
    return f"""
<mujoco model="quadruped">
  <compiler angle="degree"/>
  <option timestep="{sub_step}" gravity="0 0 {-GRAVITY}" cone="pyramidal">
    <flag autoreset="disable" island="disable"/>
  </option>
  <default>
    <joint type="hinge" limited="true" solreflimit="0.01 100"/>
    <geom contype="0" conaffinity="1" solref="{2 * sub_step} 1" friction="{ROBOT_FRICTION * FLOOR_FRICTION * friction}"
      size="{CAPSULE_RADIUS}"/>
    <motor ctrllimited="true" ctrlrange="-1 1" gear="{TORQUE * strength}"/>
  </default>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" width="64" height="384"
      rgb1="0.72 0.82 0.92" rgb2="0.95 0.97 1"/>
    <texture name="tiles" type="2d" builtin="checker" width="256" height="256"
      rgb1="0.62 0.66 0.68" rgb2="0.78 0.81 0.82"/>
    <material name="floor" texture="tiles" texrepeat="1 1" texuniform="true"/>
    <material name="torso" rgba="0.93 0.55 0.22 1" specular="0.3" shininess="0.4"/>
    <material name="front" rgba="0.16 0.47 0.71 1" specular="0.3" shininess="0.4"/>
    <material name="back" rgba="0.25 0.31 0.50 1" specular="0.3" shininess="0.4"/>
  </asset>
  <visual>
    <global offwidth="{PICTURE_WIDTH}" offheight="{PICTURE_HEIGHT}"/>
    <headlight ambient="0.35 0.35 0.35" diffuse="0.35 0.35 0.35" specular="0 0 0"/>
    <quality shadowsize="1024" offsamples="0"/>
    <map zfar="40" shadowclip="3"/>
  </visual>
  <worldbody>
    <geom type="plane" size="0 0 0.05" contype="1" conaffinity="0" material="floor"/>
    <body name="torso" pos="0 0 {START_HEIGHT}">
      <light mode="trackcom" directional="true" pos="1 -1.5 4" dir="-0.22 0.33 -0.9" diffuse="0.6 0.6 0.6"/>
      <freejoint/>
      {_inertial(trunk(morphology))}
      <geom type="sphere" size="{TORSO_RADIUS}" material="torso"/>{stubs}{legs}
    </body>
  </worldbody>
  <actuator>{motors}</actuator>
</mujoco>
"""


def _leg(morphology: Morphology, leg: int) -> str:
    """The moving segments of a leg."""
    parts = leg_parts(morphology, leg)
    ankle = f'name="ankle_{leg}" axis="{numbers(ANKLE_AXES[leg])} 0" range="{numbers(ankle_range(leg))}"'
    return f"""
      <body name="upper_{leg}" pos="{numbers(parts.stub_end)}">
        {_inertial(parts.upper)}
        <joint name="hip_{leg}" axis="0 0 1" range="{numbers(HIP_RANGE)}"/>
        {_capsule(parts.upper_end, leg)}
        <body name="lower_{leg}" pos="{numbers(parts.upper_end)}">
          {_inertial(parts.lower)}
          <joint {ankle}/>
          {_capsule(parts.lower_end, leg)}
        </body>
      </body>"""


def _inertial(solid: Solid) -> str:
    centre, inertia = numbers(solid.centre), numbers(solid.inertia)
    return f'<inertial pos="{centre}" mass="{solid.mass!r}" diaginertia="{inertia}"/>'


def _capsule(end: Point, leg: int) -> str:
    material = "front" if DIRECTIONS[leg][0] > 0 else "back"
    return f'<geom type="capsule" fromto="0 0 0 {numbers(end)}" material="{material}"/>'
