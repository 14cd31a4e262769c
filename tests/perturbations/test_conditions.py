"""What perturbations change in MuJoCo's and in CarRacing's world, and in CarRacing's picture."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metahebb.perturbations.images import background_noise, background_picture, blob, colour_shift, frames
from metahebb.tasks import Options, make_task
from metahebb.worlds import HostWorld
from metahebb.worlds.car_racing import CarRacing, physics
from metahebb.worlds.car_racing.physics import Action, Car, Conditions
from metahebb.worlds.quadruped import MujocoQuadruped, parse_morphology
from metahebb.worlds.quadruped.mujoco_model import mujoco_model

STEP = jnp.int32(0)
ALL = np.arange(4)


@pytest.fixture
def robots() -> MujocoQuadruped:
    """Four robots that begin alike and have settled."""
    world = MujocoQuadruped(4)
    for slot in range(4):
        world.reset(slot, seed=1)
        world.settle(slot)
    return world


def walked(world: MujocoQuadruped, steps: int = 40) -> np.ndarray:
    """The positions (x, y) of the robots after steps of swinging actions, [robots, 2]."""
    for t in range(steps):
        action = np.tile(0.8 * np.sin(0.3 * t + np.arange(8)), (4, 1))
        world.step(ALL, action)
    return world._states[:, 1:3].copy()


def test_the_models_of_conditions_differ_in_friction_and_torque_alone() -> None:
    body = parse_morphology("standard")
    plain, slippery, weak = mujoco_model(body), mujoco_model(body, friction=0.5), mujoco_model(body, strength=0.25)
    np.testing.assert_allclose(slippery.geom_friction[1:, 0], 0.5 * plain.geom_friction[1:, 0])
    np.testing.assert_allclose(weak.actuator_gear[:, 0], 0.25 * plain.actuator_gear[:, 0])
    for other in (slippery, weak):
        np.testing.assert_array_equal(other.body_mass, plain.body_mass)
        np.testing.assert_array_equal(other.geom_size, plain.geom_size)


def test_each_robot_feels_its_own_conditions(robots: MujocoQuadruped) -> None:
    alike = walked(robots)
    assert (alike == alike[0]).all()
    for slot in range(4):
        robots.reset(slot, seed=1)
        robots.settle(slot)
    robots.set_condition(1, "friction", 0.05)
    robots.set_condition(2, "motor-strength", 0.0)
    # As much as it weighs: friction does not hold it.
    robots.set_condition(3, "side-force", 9.8 * robots._models[0].body_subtreemass[0])
    after = walked(robots)
    # Beside those the first is as it was, to the last bit.
    np.testing.assert_array_equal(after[0], alike[0])
    assert np.abs(after[1] - alike[0]).max() > 0.01
    # Without its motors it stays where it stood; pushed to +y it goes there.
    assert np.abs(after[2] - after[0]).max() > 0.01
    assert after[3, 1] > alike[0, 1] + 0.2
    # What is normal again is what it was, and a new life begins with that.
    robots.set_condition(2, "motor-strength", 1.0)
    robots.reset(3, seed=1)
    assert robots._models[2] is robots._models[3] is robots._models[0]


def test_a_push_is_newtons(robots: MujocoQuadruped) -> None:
    """In the air nothing but the push acts sideways: m · Δv = F · t."""
    states = robots._states
    for slot in range(4):
        states[slot, 3] = 5.0
        states[slot, 16:30] = 0.0
    robots.set_condition(1, "side-force", 10.0)
    robots.step(ALL, np.zeros((4, 8)))
    model = robots._models[0]
    data = [mujoco_momentum(model, state) for state in states]
    assert data[1] - data[0] == pytest.approx(10.0 * 0.0165, rel=1e-3)


def mujoco_momentum(model: object, state: np.ndarray) -> float:
    """The momentum of a robot along y, from its state."""
    import mujoco

    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
    mujoco.mj_forward(model, data)
    mujoco.mj_subtreeVel(model, data)
    return float(data.subtree_linvel[0, 1] * model.body_subtreemass[0])


def test_a_leg_is_lost_in_the_middle_of_a_life() -> None:
    task = make_task("quadruped", Options())
    world = task.make_world(4, False)
    assert isinstance(world, HostWorld)
    for slot in range(4):
        world.reset(slot, seed=1, body="standard")
    step = np.zeros((4, 8))
    for _ in range(5):
        world.step(ALL, step)
    pose = world.world._states[1].copy()  # type: ignore[attr-defined]
    world.set_condition(1, "body", "front-left=1.0,0.25")
    np.testing.assert_array_equal(world.world._states[1], pose)  # type: ignore[attr-defined]
    for _ in range(30):
        world.step(ALL, step)
    states = world.world._states  # type: ignore[attr-defined]
    np.testing.assert_array_equal(states[0], states[2])
    # The robot leans to where its leg is short.
    assert np.abs(states[1, 1:16] - states[0, 1:16]).max() > 0.01
    # And has it back: no body is the life's own.
    world.set_condition(1, "body", "")
    assert world.world._models[1] is world.world._models[0]  # type: ignore[attr-defined]
    world.close()


def driven(steps: int, gas: float, **conditions: float) -> np.ndarray:
    """The velocity of a car on the road in its own directions (left, ahead), after so many steps straight on."""
    car, drive = _CAR, _drive()
    for _ in range(steps):
        car = drive(car, gas, Conditions(**{"friction": 1.0, "power": 1.0, "side_force": 0.0, **conditions}))
    # It is placed with its head to +y.
    x, y = np.asarray(car.velocity[0], np.float64)
    return np.array([-x, y])


_CAR = physics.settle(physics.place(jnp.float32(0), jnp.float32(0), jnp.float32(0)))


@functools.cache
def _drive() -> Callable[..., Car]:
    on_road = jnp.ones(4, bool)
    return jax.jit(lambda car, gas, under: physics.drive(car, Action(0.0, gas, 0.0), on_road, under))


def test_the_world_knows_the_conditions_by_the_names_that_it_says() -> None:
    world = CarRacing()
    state, _ = world.reset(np.array([3]))
    under = {name: jnp.ones(1) for name in world.conditions}
    assert len(under) == 3
    jax.eval_shape(world.step_under, state, jnp.zeros((1, 3)), under)
    with pytest.raises(TypeError, match="mood"):
        jax.eval_shape(world.step_under, state, jnp.zeros((1, 3)), {"mood": jnp.ones(1)})


def test_conditions_of_the_car() -> None:
    plain = driven(10, 1.0, friction=1.0, power=1.0)
    original = _CAR
    for _ in range(10):
        original = physics.drive(original, Action(0.0, 1.0, 0.0), jnp.ones(4, bool))
    np.testing.assert_allclose(original.velocity[0], [-plain[0], plain[1]], rtol=1e-5, atol=1e-5)
    # Without an engine it stands; with half of it, it is slower.
    assert driven(10, 1.0, power=0.0) == pytest.approx([0, 0], abs=1e-3)
    assert 0.3 * plain[1] < driven(10, 1.0, power=0.5)[1] < 0.95 * plain[1]
    # On ice its wheels turn in vain.
    assert driven(10, 1.0, friction=0.0)[1] == pytest.approx(0, abs=1e-3)
    assert driven(10, 1.0, friction=0.1)[1] < 0.5 * plain[1]
    # The wind pushes it to its left, and what four tyres hold keeps it there.
    pushed = driven(10, 0.0, side_force=0.5, friction=0.0)
    assert pushed[0] > 1
    assert driven(10, 0.0, side_force=-0.5, friction=0.0)[0] == pytest.approx(-pushed[0], rel=0.01)
    assert abs(driven(10, 0.0, side_force=0.5)[0]) < 0.5 * pushed[0]
    assert driven(10, 0.0, side_force=2.0)[0] > 5 * abs(driven(10, 0.0, side_force=0.5)[0])


@pytest.fixture(scope="module")
def frame() -> jax.Array:
    """A frame of CarRacing as perturbations are given it, float32 [96, 96, 3]."""
    _, observation = CarRacing().reset(np.array([3]))
    return jnp.asarray(observation[0], jnp.float32)


def test_pictures_of_the_car(frame: jax.Array) -> None:
    key, other = jax.random.key(1), jax.random.key(2)
    red, green, blue = np.moveaxis(np.asarray(frame), 2, 0)
    grass = (green > red + 24) & (green > blue + 24)
    assert 0.3 < grass.mean() < 0.9
    shifted = np.asarray(colour_shift(key, STEP, frame, 0.2))
    factor = shifted.sum((0, 1)) / np.asarray(frame).sum((0, 1))
    np.testing.assert_allclose(shifted, np.asarray(frame) * factor, rtol=1e-4)
    assert (np.abs(factor - 1) <= 0.2).all()
    assert len({*np.round(factor, 5)}) == 3
    barred = np.asarray(frames(key, STEP, frame, 0.1))
    assert (barred[:, :10] == 0).all()
    assert (barred[:, -10:] == 0).all()
    np.testing.assert_array_equal(barred[:, 10:-10], np.asarray(frame)[:, 10:-10])
    seen = np.asarray(blob(key, STEP, frame, 0.06))
    drawn = (seen == [255, 0, 0]).all(2)
    y, x = np.nonzero(drawn)
    assert drawn.sum() == pytest.approx(np.pi * (0.06 * 96) ** 2, rel=0.1)
    assert (x.mean() + 0.5, y.mean() + 0.5) == pytest.approx((0.3 * 96, 48), abs=0.5)
    np.testing.assert_array_equal(seen[~drawn], np.asarray(frame)[~drawn])
    for change in (background_noise, background_picture):
        changed = np.asarray(change(key, STEP, frame))
        np.testing.assert_array_equal(changed[~grass], np.asarray(frame)[~grass])
        assert (changed[grass] != np.asarray(frame)[grass]).any(1).mean() > 0.99
        assert changed.min() >= 0
        assert changed.max() <= 255
        # The same in all of a life, another in another.
        np.testing.assert_array_equal(changed, np.asarray(change(key, jnp.int32(7), frame)))
        assert (changed != np.asarray(change(other, STEP, frame))).any()
    # A picture is smooth where noise is not.
    noisy, smooth = (np.asarray(change(key, STEP, jnp.zeros_like(frame).at[..., 1].set(200)))
                     for change in (background_noise, background_picture))  # fmt: skip
    assert np.abs(np.diff(smooth, axis=1)).mean() < 0.2 * np.abs(np.diff(noisy, axis=1)).mean()
