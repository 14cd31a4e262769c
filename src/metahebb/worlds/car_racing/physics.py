"""The car: a hull and four wheels on revolute joints, seen from above.

The forces are those of Gymnasium's ``car_dynamics``; the bodies move as in Box2D. Box2D finds the joints'
impulses by 180 sweeps, which converge, so here they are solved for exactly: after a step the five bodies turn
and move as one, but for the wheels' steering. Only the removal of position errors, of which Box2D makes one
sweep or few, is a sweep. All functions are of one car; map them over lives.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["FPS", "HULL", "WHEELS", "WHEEL_HALF", "Action", "Car", "Conditions", "drive", "place"]

FPS = 50
STEP = 1.0 / FPS
SIZE = 0.02
ENGINE_POWER = 100_000_000 * SIZE * SIZE
WHEEL_MOMENT_OF_INERTIA = 4000 * SIZE * SIZE
FRICTION_LIMIT = 1_000_000 * SIZE * SIZE
GRASS_FRICTION = 0.6
STIFFNESS = 205_000 * SIZE * SIZE
"""Force for each unit a second of slip, before the limit of friction."""
BRAKE_FORCE = 15.0
WHEEL_R = 27 * SIZE
WHEEL_W = 14 * SIZE
WHEEL_HALF = (WHEEL_W, WHEEL_R)
"""Half width and half length of a wheel, units."""
WHEELS = SIZE * np.array([(-55, 80), (55, 80), (-55, -82), (55, -82)], np.float32)
"""The joints, from the hull's origin: front left, front right, rear left, rear right."""
HULL = tuple(
    SIZE * np.array(corners, np.float32)
    for corners in (
        [(-60, 130), (60, 130), (60, 110), (-60, 110)],
        [(-15, 120), (15, 120), (20, 20), (-20, 20)],
        [(25, 20), (50, -10), (50, -40), (20, -90), (-20, -90), (-50, -40), (-50, -10), (-25, 20)],
        [(-50, -120), (50, -120), (50, -90), (-50, -90)],
    )
)
"""The hull's convex parts, from its origin."""

# What Box2D makes of the shapes: density 1 for the hull, 0.1 for a wheel.
HULL_MASS = 7.06
HULL_CENTRE = np.array([0.0, -0.0825309], np.float32)
HULL_INERTIA = 18.2603646 - HULL_MASS * 0.0825309**2
WHEEL_MASS = 0.06048
WHEEL_INERTIA = 0.0074592
JOINTS = WHEELS - HULL_CENTRE

# Box2D's joints.
STEERING_RATE = 3.0
STEERING_LIMIT = 0.4
MOTOR_IMPULSE = STEP * 180 * 900 * SIZE * SIZE
MOTOR_SWEEPS = 6 * 30
MOTOR_INERTIA = 1 / (1 / HULL_INERTIA + 1 / WHEEL_INERTIA)
LINEAR_SLOP = 0.005
ANGULAR_SLOP = math.radians(2)
MAX_ANGULAR_CORRECTION = math.radians(8)
POSITION_SWEEPS = 2 * 30
MAX_TRANSLATION = 2.0


class Action(NamedTuple):
    """What the driver does; scalars."""

    steer: jax.Array
    """target angle of the front wheels, radians, left positive"""
    gas: jax.Array
    brake: jax.Array


class Car(NamedTuple):
    """Five bodies, the hull and then the wheels (as in ``WHEELS``), and what turns the wheels; float32."""

    position: jax.Array
    """[5, 2]: centres of mass, units"""
    angle: jax.Array
    """[5]: radians"""
    velocity: jax.Array
    """[5, 2]: units a second"""
    spin: jax.Array
    """[5]: how fast the bodies turn, seen from above, radians a second"""
    omega: jax.Array
    """[4]: how fast the wheels roll, radians a second"""
    phase: jax.Array
    """[4]: how far they have rolled, radians in [0, 2π)"""
    gas: jax.Array
    """[]: of the rear wheels"""
    motor: jax.Array
    """[4]: impulse with which a joint's motor presses against the steering's limit"""

    @property
    def origin(self) -> jax.Array:
        """[2]: where the hull is, by its own origin."""
        return self.position[0] - rotate(self.angle[0], HULL_CENTRE)


def rotate(angle: jax.Array, vectors: jax.Array | np.ndarray) -> jax.Array:
    """Turn ``vectors`` [..., 2] by ``angle``."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return jnp.stack([cos * x - sin * y, sin * x + cos * y], -1)


def cross(a: jax.Array, b: jax.Array) -> jax.Array:
    """The third component of a × b."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def perpendicular(spin: jax.Array, vectors: jax.Array) -> jax.Array:
    """spin × vectors: the velocity of points that turn with ``spin``."""
    return spin * jnp.stack([-vectors[..., 1], vectors[..., 0]], -1)


def place(x: jax.Array, y: jax.Array, angle: jax.Array) -> Car:
    """A car at rest with its origin at (x, y), before its joints are pulled together by ``settle``.

    The original places the wheels as if the car's angle were 0.
    """
    origin = jnp.stack([x, y])
    hull = origin + rotate(angle, HULL_CENTRE)
    still = jnp.zeros(5)
    return Car(
        position=jnp.concatenate([hull[None], origin + WHEELS]),
        angle=jnp.broadcast_to(angle, (5,)),
        velocity=jnp.zeros((5, 2)),
        spin=still,
        omega=still[1:],
        phase=still[1:],
        gas=still[0],
        motor=still[1:],
    )


def settle(car: Car) -> Car:
    """Pull the joints of a car together that was just placed, which turns the hull a little."""
    free = jnp.zeros(4)

    def unsettled(carry: tuple[Car, jax.Array, jax.Array]) -> jax.Array:
        _, sweeps, settled = carry
        return (sweeps < POSITION_SWEEPS) & ~settled

    def sweep(carry: tuple[Car, jax.Array, jax.Array]) -> tuple[Car, jax.Array, jax.Array]:
        car, sweeps, _ = carry
        car, settled = _sweep_positions(car, free)
        return car, sweeps + 1, settled

    return lax.while_loop(unsettled, sweep, (car, jnp.array(0), jnp.array(False)))[0]


class Conditions(NamedTuple):
    """What may be other than the original; scalars."""

    friction: jax.Array | float = 1.0
    """a factor on the grip of the tyres"""
    power: jax.Array | float = 1.0
    """a factor on the engine's"""
    side_force: jax.Array | float = 0.0
    """on the hull, to the car's left, as a share of what four tyres hold on the road"""


ORIGINAL = Conditions()


def drive(car: Car, action: Action, on_road: jax.Array, conditions: Conditions = ORIGINAL) -> Car:
    """Move by one step. ``on_road`` bool [4]: the wheels on the road when the last step began."""
    car, force = _roll(car, action, on_road, conditions)
    if conditions.side_force is not ORIGINAL.side_force:
        left = rotate(car.angle[0], jnp.array([-1.0, 0.0]))
        push = STEP / HULL_MASS * 4 * FRICTION_LIMIT * conditions.side_force
        car = car._replace(velocity=car.velocity.at[0].add(push * left))
    car, limit = _solve_velocities(car, action, force)
    return _move(car, limit)


def _roll(car: Car, action: Action, on_road: jax.Array, conditions: Conditions) -> tuple[Car, jax.Array]:
    """Engine, brakes and the friction of the tyres: the wheels' rolling and the forces [4, 2] on them."""
    gas = car.gas + jnp.minimum(jnp.clip(action.gas, 0, 1) - car.gas, 0.1)
    driven = jnp.array([0.0, 0.0, 1.0, 1.0]) * gas
    omega = car.omega + STEP * (ENGINE_POWER * conditions.power) * driven / WHEEL_MOMENT_OF_INERTIA / (
        jnp.abs(car.omega) + 5.0
    )
    # The original compares in double precision, where the float32 nearest to 0.9 is less than 0.9.
    braked = jnp.sign(omega) * jnp.maximum(jnp.abs(omega) - BRAKE_FORCE * jnp.maximum(action.brake, 0), 0)
    omega = jnp.where(action.brake > 0.9, 0.0, braked)
    phase = (car.phase + omega * STEP) % (2 * math.pi)

    heading = car.angle[1:]
    side = jnp.stack([jnp.cos(heading), jnp.sin(heading)], -1)
    forward = jnp.stack([-side[:, 1], side[:, 0]], -1)
    velocity = car.velocity[1:]
    along = STIFFNESS * (omega * WHEEL_R - jnp.sum(forward * velocity, -1))
    across = STIFFNESS * -jnp.sum(side * velocity, -1)
    limit = FRICTION_LIMIT * conditions.friction * jnp.where(on_road, 1.0, GRASS_FRICTION)
    grip = jnp.minimum(1.0, limit / jnp.maximum(jnp.hypot(along, across), 1e-9))
    along, across = grip * along, grip * across
    omega -= STEP * along * WHEEL_R / WHEEL_MOMENT_OF_INERTIA

    force = across[:, None] * side + along[:, None] * forward
    return car._replace(omega=omega, phase=phase, gas=gas), force


def _solve_velocities(car: Car, action: Action, force: jax.Array) -> tuple[Car, jax.Array]:
    """The velocities that the joints leave, and the joints' limits (−1, 0 or 1 [4]) that were met.

    The impulses are internal, so momentum P and angular momentum L stay; with all velocities functions of the
    hull's (V, W) and of the motors' speeds, two equations are left.
    """
    # Not a product with 0 and 1, because steering may be infinite.
    steered = jnp.where(np.array([True, True, False, False]), action.steer, 0.0)
    joint_angle = car.angle[1:] - car.angle[0]
    speed = jnp.clip(50.0 * (steered - joint_angle), -STEERING_RATE, STEERING_RATE)
    limit = (joint_angle >= STEERING_LIMIT).astype(jnp.float32) - (joint_angle <= -STEERING_LIMIT)
    # At the limit the motor's impulse grows against it with every sweep, and must be unwound before the wheel
    # leaves.
    motor = jnp.clip(car.motor + MOTOR_SWEEPS * MOTOR_INERTIA * speed, -MOTOR_IMPULSE, MOTOR_IMPULSE)
    motor = jnp.where(motor * limit > 0, motor, 0.0)
    speed = jnp.where(motor == 0, speed, 0.0)

    arm = rotate(car.angle[0], JOINTS)
    wheels = car.velocity[1:] + STEP / WHEEL_MASS * force
    momentum = HULL_MASS * car.velocity[0] + WHEEL_MASS * jnp.sum(wheels, 0)
    angular = (
        HULL_INERTIA * car.spin[0]
        + WHEEL_MASS * jnp.sum(cross(arm, wheels))
        + WHEEL_INERTIA * jnp.sum(car.spin[1:] - speed)
    )
    mass = HULL_MASS + 4 * WHEEL_MASS
    inertia = HULL_INERTIA + 4 * WHEEL_INERTIA + WHEEL_MASS * float(np.sum(JOINTS**2))
    moment = WHEEL_MASS * jnp.sum(arm, 0)
    spin = (angular - cross(moment, momentum) / mass) / (inertia - jnp.sum(moment**2) / mass)
    hull = (momentum - perpendicular(spin, moment)) / mass
    velocity = jnp.concatenate([hull[None], hull + perpendicular(spin, arm)])
    spins = jnp.concatenate([spin[None], spin + speed])
    return car._replace(velocity=velocity, spin=spins, motor=motor), limit


def _move(car: Car, limit: jax.Array) -> Car:
    """Integrate, each body for itself, then pull the joints together."""
    distance = STEP * jnp.linalg.norm(car.velocity, axis=-1, keepdims=True)
    velocity = car.velocity * jnp.minimum(1.0, MAX_TRANSLATION / jnp.maximum(distance, 1e-9))
    car = car._replace(
        velocity=velocity,
        position=car.position + STEP * velocity,
        angle=car.angle + STEP * car.spin,
    )
    car, settled = _sweep_positions(car, limit)
    again, _ = _sweep_positions(car, limit)
    return Car(*(jnp.where(settled, once, twice) for once, twice in zip(car, again, strict=True)))


def _sweep_positions(car: Car, limit: jax.Array) -> tuple[Car, jax.Array]:
    """One of Box2D's sweeps over the joints, and whether all errors were already small before it.

    A joint at its limit is turned back first, then its two ends are pulled together.
    """
    hull, angle = car.position[0], car.angle[0]
    wheels: list[jax.Array] = [car.position[i] for i in range(1, 5)]
    angles: list[jax.Array] = [car.angle[i] for i in range(1, 5)]
    settled = jnp.array(True)
    for i in (3, 2, 1, 0):
        excess = jnp.abs(limit[i]) * (limit[i] * (angles[i] - angle) - STEERING_LIMIT)
        turn = limit[i] * MOTOR_INERTIA * jnp.clip(excess - ANGULAR_SLOP, 0, MAX_ANGULAR_CORRECTION)
        angle = angle + turn / HULL_INERTIA
        angles[i] = angles[i] - turn / WHEEL_INERTIA

        arm = rotate(angle, JOINTS[i])
        error = wheels[i] - hull - arm
        settled &= (jnp.linalg.norm(error) <= LINEAR_SLOP) & (excess <= ANGULAR_SLOP)
        x, y = arm[0], arm[1]
        k11 = 1 / HULL_MASS + 1 / WHEEL_MASS + y * y / HULL_INERTIA
        k22 = 1 / HULL_MASS + 1 / WHEEL_MASS + x * x / HULL_INERTIA
        k12 = -x * y / HULL_INERTIA
        impulse = -jnp.stack([k22 * error[0] - k12 * error[1], k11 * error[1] - k12 * error[0]]) / (
            k11 * k22 - k12 * k12
        )
        hull = hull - impulse / HULL_MASS
        angle = angle - cross(arm, impulse) / HULL_INERTIA
        wheels[i] = wheels[i] + impulse / WHEEL_MASS
    return (
        car._replace(position=jnp.stack([hull, *wheels]), angle=jnp.stack([angle, *angles])),
        settled,
    )
