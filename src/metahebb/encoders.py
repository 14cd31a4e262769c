"""From an observation to the input neurons of the plastic layers.

A vector is the input itself, a Discrete observation one-hot, an image passes two evolved convolutions. Filters evolve
together with the rules' coefficients and never change in a life.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Protocol

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from metahebb.errors import UsageError
from metahebb.stages import stage

__all__ = ["Encoder", "ImageEncoder", "OneHotEncoder", "VectorEncoder", "encoder_for"]

Filters = Mapping[str, jax.Array]


class Encoder(Protocol):
    """What every encoder offers; a frozen dataclass, so that compiled code can be kept by it."""

    @property
    def features(self) -> int:
        """How many input neurons there are."""
        ...

    @property
    def filters(self) -> Mapping[str, tuple[int, ...]]:
        """The shapes of its part of the genome by name; nothing where it does not evolve."""
        ...

    def __call__(self, filters: Filters, observation: jax.Array) -> jax.Array:
        """Filters [lives, …] and observations [lives, …] → features, float32 [lives, features]."""
        ...

    def __hash__(self) -> int:
        """Encoders that compute the same are equal and have the same hash."""
        ...

    def __str__(self) -> str:
        """What `metahebb tasks` says of the observation, such as "image, 96×96×3"."""
        ...


@dataclass(frozen=True)
class VectorEncoder:
    """The observation itself, flattened."""

    features: int

    def __str__(self) -> str:
        return f"{self.features} number{'s' if self.features > 1 else ''}"

    @property
    def filters(self) -> Mapping[str, tuple[int, ...]]:
        return {}

    def __call__(self, filters: Filters, observation: jax.Array) -> jax.Array:
        return observation.reshape(observation.shape[0], -1).astype(jnp.float32)


@dataclass(frozen=True)
class OneHotEncoder:
    """A Discrete observation: one input neuron per value, from ``start`` on."""

    features: int
    start: int = 0

    def __str__(self) -> str:
        return f"one of {self.features}"

    @property
    def filters(self) -> Mapping[str, tuple[int, ...]]:
        return {}

    def __call__(self, filters: Filters, observation: jax.Array) -> jax.Array:
        return jax.nn.one_hot(observation - self.start, self.features, dtype=jnp.float32)


@dataclass(frozen=True)
class ImageEncoder:
    """Najarro & Risi's vision encoder: resize to 84×84 by area, then twice convolution, max-pool 2, tanh.

    84×84×C → conv 6, 3×3 → 82×82×6 → 41×41×6 → conv 8, 5×5, stride 2 → 19×19×8 → 9×9×8 = 648 features, in the order
    row, column, channel. Pooling keeps the largest of four, and tanh is monotonic, so the maximum is taken first.

    Every life has filters of its own, so the lives are the last axis of all intermediates and each operation is
    elementwise over them: a tenth of the time of a convolution that XLA would group by life. Filters are the first axis
    of what they make, so that a filter stays in registers while all its outputs are made (12 → 10 µs of the second).
    """

    height: int
    width: int
    channels: int
    largest: float = 255
    """the value of full brightness"""

    SIDE = 84
    FILTERS_1, KERNEL_1 = 6, 3
    FILTERS_2, KERNEL_2, STRIDE_2 = 8, 5, 2
    POOLED_2 = 9
    # Only what reaches the features is computed: 9 of them a side are pooled from 18 outputs of the second convolution,
    # which with a stride of 2 and a kernel of 5 reach over 17·2 + 5 = 39 of the first's pooled outputs.
    POOLED_1 = (2 * POOLED_2 - 1) * STRIDE_2 + KERNEL_2

    def __str__(self) -> str:
        return f"image, {self.height}×{self.width}×{self.channels}"

    @property
    def features(self) -> int:
        return self.POOLED_2**2 * self.FILTERS_2

    @property
    def filters(self) -> Mapping[str, tuple[int, ...]]:
        """(out, in, rows, columns) of both convolutions."""
        return {
            "encoder.0": (self.FILTERS_1, self.channels, self.KERNEL_1, self.KERNEL_1),
            "encoder.1": (self.FILTERS_2, self.FILTERS_1, self.KERNEL_2, self.KERNEL_2),
        }

    def __call__(self, filters: Filters, observation: jax.Array) -> jax.Array:
        lives = observation.shape[0]
        image = observation.reshape(lives, self.height, self.width, self.channels)
        # The scale to [0, 1] is folded into the first filters.
        first = jnp.moveaxis(filters["encoder.0"], 0, -1) / self.largest
        second = jnp.moveaxis(filters["encoder.1"], 0, -1)
        x = stage(lambda image: jnp.moveaxis(image, 0, -1), image)
        x = stage(lambda image: _resample(image, self.SIDE), x.reshape(self.height, self.width, -1))
        x = x.reshape(self.SIDE, self.SIDE, self.channels, lives)
        x = stage(self._first, x, first)
        x = stage(self._second, x, second)
        return x.transpose(3, 1, 2, 0).reshape(lives, self.features)

    def _first(self, x: jax.Array, filters: jax.Array) -> jax.Array:
        """[row, column, channel, lives] → [filter, row, column, lives]."""
        n, k = 2 * self.POOLED_1, self.KERNEL_1

        def convolved(dy: int, dx: int) -> jax.Array:
            """One of the four outputs of every pooling window."""
            return _sum(
                _sum(
                    x[dy + r : dy + r + n : 2, dx + c : dx + c + n : 2, i] * filters[:, None, None, i, r, c]
                    for r in range(k)
                    for c in range(k)
                )
                for i in range(self.channels)
            )

        pooled = convolved(0, 0)
        for dy, dx in ((0, 1), (1, 0), (1, 1)):
            pooled = jnp.maximum(pooled, convolved(dy, dx))
        return jnp.tanh(pooled)

    def _second(self, x: jax.Array, filters: jax.Array) -> jax.Array:
        """[filter, row, column, lives] → the same, smaller."""
        m, k, s = 2 * self.POOLED_2, self.KERNEL_2, self.STRIDE_2
        # One sum of 150 terms is more than XLA vectorises: a stage for each input channel.
        total = jnp.zeros((self.FILTERS_2, m, m, x.shape[-1]))
        for i in range(self.FILTERS_1):
            total = stage(
                lambda t, x, f, i=i: (
                    t
                    + _sum(
                        _sum(x[i, r : r + s * m : s, c : c + s * m : s] * f[:, None, None, i, r, c] for c in range(k))
                        for r in range(k)
                    )
                ),
                total,
                x,
                filters,
            )
        half = self.POOLED_2
        return jnp.tanh(total.reshape(self.FILTERS_2, half, 2, half, 2, -1).max(axis=(2, 4)))


def _sum(terms: Iterable[jax.Array]) -> jax.Array:
    first, *rest = terms
    for term in rest:
        first = first + term
    return first


def _resample(image: jax.Array, target: int) -> jax.Array:
    """[height, width, run] → [target, target, run] in some shape of four axes, each sample the mean of its area.

    The pattern of areas repeats: with size/target = a/b in lowest terms, every a inputs become b outputs. Where a is b
    + 1, as in 96 → 84, or b, on both axes, output i of a pattern covers parts of the inputs i and i + 1 alone: a sum of
    four slices. It keeps the shape of patterns, whose last axis is long, for XLA to vectorise it (50 → 8 µs at 8 lives,
    16 → 10 at 16). Elsewhere it is a product with the matrices of all areas.
    """
    height, width, run = image.shape
    areas = [_areas(size, target) for size in (height, width)]
    (a, b), (c, d) = (Fraction(size, target).as_integer_ratio() for size in (height, width))
    if not 0 <= a - b <= 1 or not 0 <= c - d <= 1:
        image = image.astype(jnp.float32)
        return jnp.einsum("ih,jw,hwr->ijr", *areas, image, precision=jax.lax.Precision.HIGHEST)[None]
    x = image.reshape(height // a, a, width // c, c * run)
    terms = []
    for down in range(1 + a - b):
        for across in range(1 + c - d):
            weights = np.outer(areas[0].diagonal(down)[:b], areas[1].diagonal(across)[:d].repeat(run))
            part = x[:, down : down + b, :, across * run : (across + d) * run]
            terms.append(part.astype(jnp.float32) * weights[:, None])
    return _sum(terms)


def _areas(size: int, target: int) -> np.ndarray:
    """How much of each of ``size`` inputs each of ``target`` equal areas covers, in areas: float32 [target, size]."""
    edges = [Fraction(i * size, target) for i in range(target + 1)]
    covered = [
        [max(Fraction(0), min(end, Fraction(i + 1)) - max(begin, Fraction(i))) for i in range(size)]
        for begin, end in pairwise(edges)
    ]
    return np.array([[float(part * target / size) for part in row] for row in covered], np.float32)


def encoder_for(space: gymnasium.Space[Any]) -> Encoder:
    """The encoder for an observation space of a world; raises UsageError for one that has none.

    Images are Box spaces of bytes with two axes or three, and of floats with three: [height, width, channels], of any
    size. Every other Box is a vector.
    """
    spaces = gymnasium.spaces
    if isinstance(space, spaces.Discrete):
        return OneHotEncoder(int(space.n), int(space.start))
    if isinstance(space, spaces.Box) and 0 not in space.shape:
        if len(space.shape) == 3 or (space.dtype == np.uint8 and len(space.shape) == 2):
            height, width, *channels = space.shape
            return ImageEncoder(height, width, channels[0] if channels else 1, float(space.high.max()))
        return VectorEncoder(int(np.prod(space.shape)))
    raise UsageError(
        f"The observation space {space} is not supported; accepted are Box (vectors, images) and Discrete."
    )
