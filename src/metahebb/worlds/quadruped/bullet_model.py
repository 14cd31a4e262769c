"""Bullet's models of the quadruped, as the text of the files that PyBullet reads."""

from __future__ import annotations

import math

from metahebb.worlds.quadruped.morphology import Morphology
from metahebb.worlds.quadruped.robot import (
    ANKLE_AXES,
    CAPSULE_RADIUS,
    HIP_RANGE,
    ROBOT_FRICTION,
    START_HEIGHT,
    TORQUE,
    TORSO_RADIUS,
    Point,
    Solid,
    ankle_range,
    leg_parts,
    numbers,
    trunk,
)

__all__ = ["exact_mjcf", "merged_urdf"]


def exact_mjcf(morphology: Morphology) -> str:
    """The robot as AntBulletEnv-v0 loads it.

    Bullet's importer derives the masses and inertias, and makes two links of every body that has a joint:
    with the stubs 20, beside the torso.
    """
    legs = "".join(_mjcf_leg(morphology, leg) for leg in range(4))
    return f"""<mujoco model="quadruped">
  <compiler angle="degree" coordinate="local" inertiafromgeom="true"/>
  <default>
    <joint limited="true"/>
    <geom conaffinity="0" condim="3" friction="{ROBOT_FRICTION} 0.1 0.1"/>
  </default>
  <worldbody>
    <body name="torso" pos="0 0 {START_HEIGHT}">
      <geom type="sphere" pos="0 0 0" size="{TORSO_RADIUS}"/>{legs}
    </body>
  </worldbody>
</mujoco>
"""


def _mjcf_leg(morphology: Morphology, leg: int) -> str:
    parts = leg_parts(morphology, leg)

    def capsule(end: Point) -> str:
        return f'<geom type="capsule" fromto="0 0 0 {numbers(end)}" size="{CAPSULE_RADIUS}"/>'

    return f"""
      <body name="stub_{leg}" pos="0 0 0">
        {capsule(parts.stub_end)}
        <body name="upper_{leg}" pos="{numbers(parts.stub_end)}">
          <joint name="hip_{leg}" type="hinge" axis="0 0 1" pos="0 0 0" range="{numbers(HIP_RANGE)}"/>
          {capsule(parts.upper_end)}
          <body name="lower_{leg}" pos="{numbers(parts.upper_end)}">
            <joint name="ankle_{leg}" type="hinge" axis="{numbers(ANKLE_AXES[leg])} 0" pos="0 0 0"
              range="{numbers(ankle_range(leg))}"/>
            {capsule(parts.lower_end)}
          </body>
        </body>
      </body>"""


def merged_urdf(morphology: Morphology) -> str:
    """The same robot with two links a leg, beside the torso that has its stubs merged in.

    A URDF, since Bullet's importer of MJCF merges nothing. The ankles' axes keep their length of √2, which is
    part of the dynamics.
    """
    stubs = "".join(_collision(leg_parts(morphology, leg).stub_end) for leg in range(4))
    legs = "".join(_urdf_leg(morphology, leg) for leg in range(4))
    return f"""<robot name="quadruped">
  <link name="trunk">
    {_surface_and_inertial(trunk(morphology))}
    <collision><geometry><sphere radius="{TORSO_RADIUS}"/></geometry></collision>{stubs}
  </link>{legs}
</robot>
"""


def _urdf_leg(morphology: Morphology, leg: int) -> str:
    parts = leg_parts(morphology, leg)

    def link(name: str, solid: Solid, end: Point) -> str:
        return f"""
  <link name="{name}_{leg}">
    {_surface_and_inertial(solid)}{_collision(end)}
  </link>"""

    def joint(name: str, parent: str, child: str, place: Point, axis: str, limits: tuple[float, float]) -> str:
        low, high = (math.radians(limit) for limit in limits)
        return f"""
  <joint name="{name}_{leg}" type="revolute">
    <parent link="{parent}"/><child link="{child}_{leg}"/>
    <origin xyz="{numbers(place)}"/><axis xyz="{axis}"/>
    <limit lower="{low}" upper="{high}" effort="{TORQUE}" velocity="1000"/>
  </joint>"""

    ankle_axis = f"{numbers(ANKLE_AXES[leg])} 0"
    return (
        link("upper", parts.upper, parts.upper_end)
        + joint("hip", "trunk", "upper", parts.stub_end, "0 0 1", HIP_RANGE)
        + link("lower", parts.lower, parts.lower_end)
        + joint("ankle", f"upper_{leg}", "lower", parts.upper_end, ankle_axis, ankle_range(leg))
    )


def _surface_and_inertial(solid: Solid) -> str:
    xx, yy, zz = solid.inertia
    return f"""<contact><lateral_friction value="{ROBOT_FRICTION}"/></contact>
    <inertial>
      <origin xyz="{numbers(solid.centre)}"/><mass value="{solid.mass}"/>
      <inertia ixx="{xx}" iyy="{yy}" izz="{zz}" ixy="0" ixz="0" iyz="0"/>
    </inertial>"""


def _collision(end: Point) -> str:
    """A capsule from the link's origin to ``end``; URDF's lie along z around their middle."""
    middle = numbers((end[0] / 2, end[1] / 2, 0.0))
    return f"""
    <collision>
      <origin xyz="{middle}" rpy="0 {math.pi / 2} {math.atan2(end[1], end[0])}"/>
      <geometry><capsule radius="{CAPSULE_RADIUS}" length="{math.hypot(*end)}"/></geometry>
    </collision>"""
