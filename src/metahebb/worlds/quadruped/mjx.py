"""The quadruped in MJX, MuJoCo written for JAX: a traced world, for accelerators.

The same robot as in :mod:`metahebb.worlds.quadruped.mujoco`, whose C library begins its lives: on the host a robot
settles sooner than on an accelerator. Each life carries what of the compiled model is its body's own, so that any
bodies live side by side. The two agree to float32's accuracy, step for step (``mjx_contacts``).

On a CPU the physics is MJX's own in JAX, slower than the C library by far: for tests. On an NVIDIA GPU it is MuJoCo
Warp, whose sums depend on the order in which threads come: there the same seed does not give the same bits.
"""

from __future__ import annotations

import copy
import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from metahebb.errors import UsageError, raised
from metahebb.worlds import TracedStep, TracedWorld
from metahebb.worlds.quadruped.kinematics import Pose, leg_lengths, mean_place, roll_pitch_yaw, sole_heights
from metahebb.worlds.quadruped.mjx_contacts import align_frames, align_warp_frames
from metahebb.worlds.quadruped.morphology import STANDARD, Leg, Morphology, parse_morphology
from metahebb.worlds.quadruped.mujoco import HUGE, TOUCH, MujocoQuadruped
from metahebb.worlds.quadruped.mujoco_model import mujoco_model
from metahebb.worlds.quadruped.observation import (
    ACTION_SPACE,
    OBSERVATION_SPACE,
    Reading,
    gained,
    has_fallen,
    observe,
)
from metahebb.worlds.quadruped.rendering import Cameras
from metahebb.worlds.quadruped.robot import LOWER_LENGTH, SUB_STEPS, UPPER_LENGTH

__all__ = ["BODY_FIELDS", "MjxQuadruped", "MjxState", "import_mjx"]

JAX, WARP = "jax", "warp"
"""MJX's implementations"""

BODY_FIELDS = (
    "body_pos",
    "body_ipos",
    "body_mass",
    "body_subtreemass",
    "body_inertia",
    "body_invweight0",
    "dof_invweight0",
    "dof_M0",
    "geom_pos",
    "geom_size",
    "geom_aabb",
    "geom_rbound",
    "actuator_acc0",
)
"""Fields of MJX's model that depend on the body and that physics may read."""

# In float32 Newton's method has converged after fewer; more find nothing.
_ITERATIONS = 10
# 12 capsules meet the floor with both ends, the torso once, each in a pyramid of 4; and the limits of 8 joints.
_CONTACTS = 2 * 12 + 1
_CONSTRAINTS = 4 * _CONTACTS + 8

_Physics = Callable[[Mapping[str, jax.Array], jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]


class MjxState(NamedTuple):
    """Lives in their bodies; the lives are the first axis of every leaf, float32 where nothing is said."""

    body: Mapping[str, jax.Array]
    """``BODY_FIELDS`` of each life's model"""
    lengths: jax.Array
    """of the legs, [lives, 4, 2]"""
    positions: jax.Array
    """of the joints, the torso's first, [lives, 15]"""
    velocities: jax.Array
    """[lives, 14]"""
    feet: jax.Array
    """bool [lives, 4]: which touch the floor"""
    centre: jax.Array
    """the mean place of the parts, [lives, 2]"""


class MjxQuadruped(TracedWorld):
    """Lives of the quadruped, each in a body of its own. Raises UsageError where MJX, or Warp for a GPU, is missing.

    Args:
        implementation: ``jax`` or ``warp``, by default what suits JAX's device.
    """

    observation_space = OBSERVATION_SPACE
    action_space = ACTION_SPACE
    together = True

    def __init__(self, implementation: str | None = None) -> None:
        self._implementation = implementation or (JAX if jax.default_backend() == "cpu" else WARP)
        self._mjx = import_mjx()
        align_frames()
        if self._implementation == WARP:
            _check_warp()
            align_warp_frames()
        self._model = self._put(STANDARD)
        self._bodies: dict[Morphology, Mapping[str, np.ndarray]] = {}
        self._physics = functools.lru_cache(maxsize=8)(self._make_physics)
        # The one process that has an accelerator has all cores.
        self._threads = 0 if jax.default_backend() == "cpu" else os.cpu_count() or 1
        self._nursery = MujocoQuadruped(1, self._threads)
        self._cameras = Cameras()

    def reset(self, seeds: np.ndarray, bodies: Sequence[str] = ()) -> tuple[MjxState, jax.Array]:
        """Begin lives, settled on the floor: the observations are those before (see ``TracedWorld``)."""
        morphologies = [parse_morphology(body) for body in bodies] or [STANDARD] * len(seeds)
        # A life that is asked for several times settles once.
        places = [*zip(seeds.tolist(), morphologies, strict=True)]
        slot_of = {place: slot for slot, place in enumerate(dict.fromkeys(places))}
        if len(slot_of) > self._nursery.slots:
            self._nursery.close()
            self._nursery = MujocoQuadruped(len(slot_of), self._threads)
        world = self._nursery
        first = [world.reset(slot, seed, morphology) for (seed, morphology), slot in slot_of.items()]
        world.settle(*slot_of.values())
        slots = np.array([slot_of[place] for place in places])
        observations = np.stack(first)[slots]
        positions, velocities, feet = world.placed(slots)
        lengths = np.stack([leg_lengths(morphology) for morphology in morphologies])
        own = [self._body(morphology) for morphology in morphologies]
        centre = mean_place(_pose(positions, lengths))
        body = {name: np.stack([body[name] for body in own]) for name in BODY_FIELDS}
        begun = (body, lengths, positions, velocities, feet, centre), observations
        leaves, observation = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, None if leaf.dtype == bool else jnp.float32), begun
        )
        return MjxState(*leaves), observation

    def step(self, state: MjxState, action: jax.Array) -> TracedStep:
        """Advance all lives by ``action`` [lives, 8], clipped to ±1: the reward is the progress.

        ``ended`` says that the robot has fallen, from which a life can go on, or that its physics or its action is not
        finite, which makes the progress NaN and leaves the robot where it was.
        """
        physics = self._physics(len(action))
        finite = jnp.isfinite(action).all(axis=1)
        moved = physics(state.body, state.positions, state.velocities, jnp.where(finite[:, None], action, 0.0))
        positions, velocities, overflow = moved
        # NaN compares as false.
        sound = finite & (jnp.abs(jnp.hstack([positions, velocities])) < HUGE).all(axis=1) & ~overflow
        positions = jnp.where(sound[:, None], positions, state.positions)
        velocities = jnp.where(sound[:, None], velocities, state.velocities)
        pose = _pose(positions, state.lengths)
        reading = Reading(
            position=pose.position,
            roll_pitch_yaw=roll_pitch_yaw(pose.quaternion),
            velocity=velocities[:, :3],
            angles=pose.angles,
            rates=velocities[:, 6:],
            centre=mean_place(pose),
        )
        observation = observe(reading, state.feet)
        progress = jnp.where(sound, gained(state.centre, reading.centre), jnp.nan)
        after = state._replace(
            positions=positions, velocities=velocities, feet=sole_heights(pose) < TOUCH, centre=reading.centre
        )
        return TracedStep(after, observation, progress, has_fallen(observation) | ~sound)

    def render(self, state: MjxState, slot: int) -> np.ndarray:
        """A life as a picture, uint8 [480, 640, 3], from a camera that follows the robot."""
        factors = np.asarray(state.lengths[slot], np.float64) / (UPPER_LENGTH, LOWER_LENGTH)
        morphology = Morphology(*(Leg(*leg) for leg in factors.round(6).tolist()))
        return self._cameras.picture(morphology, np.asarray(state.positions[slot], np.float64))

    def _body(self, morphology: Morphology) -> Mapping[str, np.ndarray]:
        """What of MJX's model is this body's own."""
        if morphology not in self._bodies:
            model = self._put(morphology)
            self._bodies[morphology] = {name: np.asarray(getattr(model, name)) for name in BODY_FIELDS}
        return self._bodies[morphology]

    def _put(self, morphology: Morphology) -> Any:
        """MJX's model of a body, as MuJoCo compiled it."""
        with jax.ensure_compile_time_eval():
            return self._mjx.put_model(self._tuned(morphology), impl=self._implementation)

    def _tuned(self, morphology: Morphology) -> mujoco.MjModel:
        model = copy.copy(mujoco_model(morphology))
        model.opt.iterations = model.opt.ls_iterations = _ITERATIONS
        # Neither implementation resets by itself, and Warp refuses to be told so.
        model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        return model

    def _make_physics(self, lives: int) -> _Physics:
        """The physics of a step, of so many lives: (bodies, positions, velocities, actions) → (positions, velocities,
        whether something did not fit Warp's buffers), the actions held over the sub-steps."""
        blank = self._blank(lives)

        def substeps(
            body: Mapping[str, jax.Array], positions: jax.Array, velocities: jax.Array, action: jax.Array
        ) -> tuple[jax.Array, jax.Array, jax.Array]:
            model, data = self._model.replace(**body), blank()

            def substep(_: int, moving: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
                positions, velocities, warm, overflow = moving
                after = self._mjx.step(
                    model, data.replace(qpos=positions, qvel=velocities, qacc_warmstart=warm, ctrl=action)
                )
                if self._implementation == WARP:
                    overflow |= after._impl.overflow != 0
                return after.qpos, after.qvel, after.qacc_warmstart, overflow

            # As in C, the solver starts cold at each step.
            moving = positions, velocities, jnp.zeros_like(velocities), jnp.zeros((), bool)
            positions, velocities, _, overflow = jax.lax.fori_loop(0, SUB_STEPS, substep, moving)
            return positions, velocities, overflow

        return jax.vmap(substeps)

    def _blank(self, lives: int) -> Callable[[], Any]:
        """Makes MJX's data of a robot, into which its state is put; Warp's buffers are those of all lives."""
        warp = self._implementation == WARP
        sizes = {"naconmax": _CONTACTS * lives, "njmax": _CONSTRAINTS} if warp else {}
        with jax.ensure_compile_time_eval():
            data = self._mjx.make_data(self._tuned(STANDARD), impl=self._implementation, **sizes)
            data = jax.tree.map(np.asarray, data)

        def made(leaf: np.ndarray) -> jax.Array:
            # Buffers of one number are made where they are needed: as constants they would be hundreds of megabytes.
            one = leaf.size and (leaf == leaf.flat[0]).all()
            return jnp.full(leaf.shape, leaf.flat[0]) if one else jnp.asarray(leaf)

        return lambda: jax.tree.map(made, data)


def _pose(positions: Any, lengths: Any) -> Pose:
    w, axis = positions[:, 3:4], positions[:, 4:7]
    quaternion = positions.__array_namespace__().concatenate([axis, w], axis=1)
    return Pose(positions[:, :3], quaternion, positions[:, 7:], lengths)


def import_mjx() -> ModuleType:
    """MuJoCo MJX; raises UsageError where it is missing or does not fit MuJoCo."""
    remedy = "pip install --upgrade 'metahebb[mjx]'"
    try:
        found = version("mujoco-mjx")
    except PackageNotFoundError:
        raise UsageError(f"The simulator mjx needs MuJoCo MJX: {remedy}") from None
    try:
        from mujoco import mjx
    except (ImportError, AttributeError, TypeError) as e:
        raise UsageError(
            f"mujoco-mjx {found} does not fit mujoco {mujoco.__version__}, which raised {raised(e)}: {remedy}"
        ) from e
    module: ModuleType = mjx
    return module


def _check_warp() -> None:
    try:
        import warp
    except ImportError as e:
        raise UsageError("The simulator mjx needs Warp on a GPU: pip install 'metahebb[mjx-warp]'") from e
    warp.config.log_level = logging.WARNING
    if jax.default_backend() != "cpu" and not warp.is_cuda_available():
        raise UsageError(
            f"Warp {warp.__version__} finds no CUDA, though JAX has a {jax.default_backend()}: install the NVIDIA "
            "driver that it needs, or say JAX_PLATFORMS=cpu."
        )
