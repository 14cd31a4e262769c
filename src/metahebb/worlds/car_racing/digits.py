"""The number at the bottom left of a frame, already shrunk to the frame's pixels.

Drawn once for every number that fits. Where digits stand on the original's canvas, their advances and
kerning, is measured from its frames; their shapes are 12 × 16 dots of two by two of its pixels.
"""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["NUMBER_COLUMNS", "NUMBER_ROWS", "TOP", "number_shown", "write"]

NUMBER_ROWS = slice(87, 92)
NUMBER_COLUMNS = slice(0, 12)
LOWEST, HIGHEST = -999, 1000

_SHAPES = {
    "0": "1f03f87bc71c70e70e60e60e60e60e70e70e71c3fc1f8000",
    "1": "0000300703f07f03f0070070070070070070070070070070",
    "2": "1f03f87bc71c70c61c01c03c0781f03c07807807fe7fe000",
    "3": "1f03f87bc71c61c01c07807807c00e00e70e71e7fc3f8000",
    "4": "0380780780f80f81b83b833863863cffeffe038038038000",
    "5": "1fc3fc3fc3003007007f87fc71e00e00e00e70e7bc3f81f0",
    "6": "0f03fc39c70c7006007f87fc71e70e60e70e71c3fc1f8000",
    "7": "0007feffe7fe01c0380380700600e00e00c01c01c01c01c0",
    "8": "1f03f879c70c70c70c3f83f87fc70e60e70e71e7fc3f8000",
    "9": "1f03f87bc70c70e60e70e71e7fe3ee00e00c71c7f83f8000",
    "-": "000000000000000000000000fc0fc0fc0000000000000000",
}
"""Rows from the top, three hexadecimal digits each, a bit a dot."""
_ADVANCE = {"-": 13}
_DIGIT_ADVANCE = 23
_KERNING = (
    "2033030023 0n00000m00 3002003023 2023032033 3023033043 0003030023 2003032033 0000m00000 2023032023 0022020002"
)
"""How much farther a digit (word) puts the next one (letter); m is −3, n is −4."""
_KERN = {letter: value for value, letter in enumerate("nm..01234", -4)}
_MIDDLE = 60
TOP = 730
_DOT = 2


def number_shown(number: jax.Array) -> jax.Array:
    """How white NUMBER_ROWS and NUMBER_COLUMNS are, 0 to 1: float32 [lives, 5, 12] for ``number`` [lives]."""
    rounded = jnp.clip(jnp.round(number), LOWEST, HIGHEST).astype(jnp.int32)
    # Python writes a number just below zero as "-000".
    index = jnp.where(number < 0, HIGHEST + 1 - rounded, rounded)
    return jnp.asarray(_all_numbers())[index].astype(jnp.float32) / 255


@functools.cache
def _all_numbers() -> np.ndarray:
    """uint8 [1 + HIGHEST + 1 − LOWEST, 5, 12]: 0 to HIGHEST, then −0 to LOWEST."""
    texts = [f"{number:04d}" for number in range(HIGHEST + 1)]
    texts += [f"-{number:03d}" for number in range(1 - LOWEST)]
    return np.stack([_shrink(write(text)) for text in texts])


@functools.cache
def _shape(character: str) -> np.ndarray:
    rows = [int(_SHAPES[character][3 * row : 3 * row + 3], 16) for row in range(16)]
    dots = np.array([[row >> 11 - column & 1 for column in range(12)] for row in rows], np.float32)
    return dots.repeat(_DOT, 0).repeat(_DOT, 1)


def write(text: str) -> np.ndarray:
    """Four characters on the original's canvas, from row TOP and column 0 on: float32 [32, 150]."""
    kerning = _KERNING.split()
    places = [0]
    for one, following in itertools.pairwise(text):
        kern = 0 if one == "-" else _KERN[kerning[int(one)][int(following)]]
        places.append(places[-1] + _ADVANCE.get(one, _DIGIT_ADVANCE) + kern)
    left = _MIDDLE - (places[-1] + _DIGIT_ADVANCE) // 2
    canvas = np.zeros((32, 150), np.float32)
    for character, place in zip(text, places, strict=True):
        window = canvas[:, left + place : left + place + 24]
        np.maximum(window, _shape(character), out=window)
    return canvas


@functools.cache
def _weights(count: int, cell: float, start: float, pixels: range) -> np.ndarray:
    """float32 [pixels, count]: each pixel's mean over the canvas's rows or columns from ``start`` on."""
    low = np.array(pixels, np.float32)[:, None] * cell
    at = start + np.arange(count, dtype=np.float32)
    shares: np.ndarray = np.clip(np.minimum(low + cell, at + 1) - np.maximum(low, at), 0, None) / cell
    return shares


def _shrink(canvas: np.ndarray) -> np.ndarray:
    rows = _weights(32, 800 / 96, TOP, range(87, 92))
    columns = _weights(150, 1000 / 96, 0, range(12))
    shrunk: np.ndarray = np.round(255 * rows @ canvas @ columns.T).astype(np.uint8)
    return shrunk
