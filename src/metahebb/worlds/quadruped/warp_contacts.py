"""A capsule's contacts with a plane as a function of Warp: see ``mjx_contacts``. Needs Warp to be imported."""

# Warp reads annotations as they are, so they are not to be texts.
import warp as wp
from mujoco.mjx.third_party.mujoco_warp._src.collision_primitive_core import mat23f, plane_sphere

__all__ = ["plane_capsule"]


@wp.func  # type: ignore[untyped-decorator]
def plane_capsule(  # type: ignore[no-untyped-def]
    normal: wp.vec3, point: wp.vec3, centre: wp.vec3, axis: wp.vec3, radius: float, half_length: float
):
    """Distances and places of its two ends, and the frame of both."""
    along = axis - wp.dot(axis, normal) * normal
    along = wp.normalize(along) if wp.length(along) > 1.0e-7 else wp.vec3(1.0, 0.0, 0.0)
    across = wp.cross(normal, along)
    near, at_near = plane_sphere(normal, point, centre + half_length * axis, radius)
    far, at_far = plane_sphere(normal, point, centre - half_length * axis, radius)
    places = mat23f(at_near[0], at_near[1], at_near[2], at_far[0], at_far[1], at_far[2])
    frame = wp.mat33(normal[0], normal[1], normal[2], along[0], along[1], along[2], across[0], across[1], across[2])
    return wp.vec2(near, far), places, frame
