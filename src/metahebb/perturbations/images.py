"""What the attention agent was shown: the five changes of CarRacing's picture of Tang, Nguyen & Ha (2020).

Theirs change the scene before it is drawn; these change the frame, [height, width, 3] in 0–255, so that they do for any
image. What is background is told by its colour: pixels whose green outweighs their red and blue (CarRacing's grass).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from metahebb.stages import stage

__all__ = ["ALL"]

X: TypeAlias = jax.Array

RED = (255.0, 0.0, 0.0)
GREENER = 24.0
"""by how much a pixel's green exceeds its red and blue for it to be background"""


def colour_shift(key: X, step: X, observation: X, strength: X = 0.2) -> X:  # type: ignore[assignment]
    """Each colour is multiplied by a factor of 1 ± strength, the same for all of a life"""
    # The key of a life alone: colours that change at each step would flicker.
    return observation * (1 + strength * jax.random.uniform(key, (3,), minval=-1.0))


def frames(key: X, step: X, observation: X, width: X = 0.1) -> X:  # type: ignore[assignment]
    """Black bars stand at the left and the right, each of this share of the width"""
    bars = stage(lambda x, width: (x < width) | (x > 1 - width), _across(observation), width)
    return jnp.where(bars, 0.0, _rows(observation)).reshape(observation.shape)


def blob(key: X, step: X, observation: X, radius: X = 0.06) -> X:  # type: ignore[assignment]
    """A red disc of this share of the width hovers at the left of the middle"""
    height, width, _ = observation.shape
    across, red = stage(lambda x: ((x - 0.3) ** 2, jnp.tile(jnp.array(RED), width)), _across(observation))
    down = ((jnp.arange(height) + 0.5 - height / 2) / width) ** 2
    return jnp.where(across + down[:, None] < radius**2, red, _rows(observation)).reshape(observation.shape)


def background_noise(key: X, step: X, observation: X) -> X:
    """The background is uniform noise, drawn once in a life"""
    noise = jax.random.uniform(key, observation.shape, maxval=255.0)
    return jnp.where(_background(observation), noise, observation)


def background_picture(key: X, step: X, observation: X) -> X:
    """The background is another picture: smooth patches of many colours, others in each life"""
    height, width, _ = observation.shape
    coarse = jax.random.uniform(key, (6, 6, 3), maxval=255.0)
    return jnp.where(_background(observation), jax.image.resize(coarse, (height, width, 3), "linear"), observation)


def _rows(image: X) -> X:
    """An image as its rows [height, width · colours], in which loops are long enough for vectors."""
    return image.reshape(len(image), -1)


def _across(image: X) -> X:
    """Where each number of a row lies: from 0 at the left to 1 at the right. What is made of it wants a stage of its
    own, or it would be made anew for each row."""
    _, width, colours = image.shape
    across: X = (jnp.arange(width * colours) // colours + 0.5) / width
    return across


def _background(image: X) -> X:
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    greener = jnp.minimum(green - red, green - blue) > GREENER
    return greener[..., None]


ALL: tuple[Callable[..., X], ...] = (colour_shift, frames, blob, background_noise, background_picture)
