"""Contacts of capsules with the floor in MJX, with the frames that MuJoCo's C library gives them.

A pyramid stands for the cone of friction, and it matters how it is turned. In C one of its edges lies along the
capsule, seen from above. So it does in MJX 3.17, in JAX and in Warp, but for capsules steeper than 60°, whose pyramids
are turned by the world's axes there: one in six steps of flailing robots then comes out otherwise, and a walker that
scores 1174 in C scored 43 less. MJX 3.17 is the last; what is put right here is an entry in its table of collisions,
and a name in the module of Warp's.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["align_frames", "align_warp_frames"]

TINY = 1e-7
"""length of a capsule's shadow, of its own, below which it has no direction"""


def align_frames() -> None:
    """Give MJX's capsules on planes the frames of C; harmless when called again."""
    from mujoco.mjx._src import collision_driver, collision_primitive
    from mujoco.mjx._src.types import GeomType

    measured = collision_primitive.plane_capsule

    def plane_capsule(model: Any, data: Any, key: Any, geoms: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Distances [2n], places [2n, 3] and frames [2n, 3, 3] of the two ends of n capsules, geoms [n, 2]."""
        distances, places, _ = measured(model, data, key, geoms)
        normal, axis = (data.geom_xmat[geoms[:, i]][:, :, 2] for i in (0, 1))
        along = axis - jnp.sum(axis * normal, axis=1, keepdims=True) * normal
        length = jnp.linalg.norm(along, axis=1, keepdims=True)
        # An upright capsule lies along nothing.
        along = jnp.where(length > TINY, along / jnp.maximum(length, TINY), jnp.array([1.0, 0.0, 0.0]))
        frames = jnp.stack([normal, along, jnp.cross(normal, along)], axis=1)
        return distances, places, jnp.repeat(frames, 2, axis=0)

    plane_capsule.ncon = measured.ncon  # type: ignore[attr-defined]
    collision_driver._COLLISION_FUNC[GeomType.PLANE, GeomType.CAPSULE] = plane_capsule


def align_warp_frames() -> None:
    """The same for MuJoCo Warp, which is to be installed; before its kernels are compiled."""
    from mujoco.mjx.third_party.mujoco_warp._src import collision_primitive

    from metahebb.worlds.quadruped.warp_contacts import plane_capsule

    collision_primitive.plane_capsule = plane_capsule
