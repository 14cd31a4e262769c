"""The judge: Gymnasium's CarRacing-v3 (Box2D and pygame), two drivers, and its states as ours."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.envs.box2d.car_racing import CarRacing as Original

from metahebb.worlds.car_racing.physics import Car


class BlindOriginal(Original):
    """The original without its frames, of which its physics knows nothing: ten times as fast."""

    def _render(self, mode: str) -> np.ndarray:
        return np.zeros((96, 96, 3), np.uint8)


def careful_driver(env: Original, step: int, rng: np.random.Generator) -> np.ndarray:
    """Steers towards the road ahead and brakes before turns, as late as the tyres allow; finishes laps."""
    hull = env.car.hull
    track = np.array([point[1:4] for point in env.track])
    x, y = hull.position
    speed = np.hypot(*hull.linearVelocity)
    ahead = (int(np.hypot(track[:, 1] - x, track[:, 2] - y).argmin()) + np.arange(25)) % len(track)
    goal = track[ahead[2 + int(speed / 18)]]
    error = (np.arctan2(x - goal[1], goal[2] - y) - hull.angle + np.pi) % (2 * np.pi) - np.pi

    beta = np.unwrap(track[ahead, 0])
    bend = np.abs(beta[3:] - beta[:-3]) / 3 + 1e-3
    wanted = np.sqrt(90 * 3.5 / bend + 2 * 100 * 3.5 * np.arange(len(bend))).min()
    gas = 0.0 if speed > wanted or (abs(error) > 0.3 and speed > 25) else 0.5
    brake = 0.5 if speed > wanted + 4 else 0.0
    return np.array([np.clip(-2 * error, -1, 1), gas, brake], np.float32)


def wild_driver(env: Original, step: int, rng: np.random.Generator) -> np.ndarray:
    """Does something else every twenty steps: skids, spins, leaves the road and the field."""
    if step % 20 == 0:
        brake = rng.uniform(0, 1) * (rng.random() < 0.3)
        wild_driver.action = np.array([rng.uniform(-1, 1) * rng.choice([0.2, 1]), rng.uniform(0, 1), brake], np.float32)
    return wild_driver.action


def away_driver(env: Original, step: int, rng: np.random.Generator) -> np.ndarray:
    """Straight out of the field."""
    return np.array([0.0, 0.5, 0.0], np.float32)


def read_car(env: Original) -> Car:
    """The original's car as one of ours, lives [1]."""
    hull, wheels = env.car.hull, env.car.wheels
    bodies = [hull, *wheels]
    values: dict[str, Any] = {
        "position": [list(body.worldCenter) for body in bodies],
        "angle": [body.angle for body in bodies],
        "velocity": [list(body.linearVelocity) for body in bodies],
        "spin": [body.angularVelocity for body in bodies],
        "omega": [wheel.omega for wheel in wheels],
        "phase": [wheel.phase % (2 * np.pi) for wheel in wheels],
        "gas": wheels[2].gas,
        "motor": [0.0] * 4,
    }
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], Car(**{k: np.float32(v) for k, v in values.items()}))
