"""The quadruped: a robot on four legs that walks towards a far target, in two simulators and in any
morphology.

:class:`MujocoQuadruped` runs wherever MuJoCo does and is the fastest. :class:`BulletQuadruped` is the
original, AntBulletEnv-v0, bit for bit. Both give the same observations, actions, progress and pictures
(:mod:`metahebb.worlds.quadruped.observation` lists them), but they are two worlds, each with its own agents.
"""

from metahebb.errors import UsageError, raised

try:
    import mujoco as _mujoco  # noqa: F401
except (RuntimeError, ImportError, AttributeError) as e:  # a MUJOCO_GL that it does not know, or that is not there
    raise UsageError(f"MuJoCo does not start: {raised(e)}") from e

from metahebb.worlds.quadruped.bullet import BulletQuadruped
from metahebb.worlds.quadruped.life import (
    LIFE_ACTIONS,
    LIFE_STEPS,
    SETTLING_STEPS,
    LifeProgress,
    begin_lives,
    follow_lives,
)
from metahebb.worlds.quadruped.morphology import (
    FRONT_LEFT_DAMAGED,
    FRONT_RIGHT_DAMAGED,
    LEGS,
    MORPHOLOGIES,
    STANDARD,
    Leg,
    Morphology,
    parse_morphology,
)
from metahebb.worlds.quadruped.mujoco import MujocoQuadruped

__all__ = [
    "FRONT_LEFT_DAMAGED",
    "FRONT_RIGHT_DAMAGED",
    "LEGS",
    "LIFE_ACTIONS",
    "LIFE_STEPS",
    "MORPHOLOGIES",
    "SETTLING_STEPS",
    "STANDARD",
    "BulletQuadruped",
    "Leg",
    "LifeProgress",
    "Morphology",
    "MujocoQuadruped",
    "begin_lives",
    "follow_lives",
    "parse_morphology",
]
