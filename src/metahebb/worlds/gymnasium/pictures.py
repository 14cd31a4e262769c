"""Pictures of what environments render."""

from __future__ import annotations

from typing import Any

import numpy as np

from metahebb.worlds.gymnasium.faults import FaultError

__all__ = ["as_picture"]


def as_picture(rendered: Any) -> np.ndarray:
    """What an environment rendered as a picture, uint8 [height, width, 3].

    Accepted are grey, RGB and RGBA, [height, width(, channels)], of whole numbers to 255 or of floats to 1 or to 255.
    Raises FaultError for what is no picture.
    """
    picture = np.asarray(rendered) if isinstance(rendered, np.ndarray | np.generic) else np.zeros(())
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.ndim not in (2, 3) or channels not in (1, 3, 4) or not picture.size or picture.dtype.kind not in "fiub":
        what = f"{picture.dtype} of shape {picture.shape}" if picture.ndim else type(rendered).__name__
        raise FaultError(f"rendered {what} where Gymnasium asks for a picture, uint8 [height, width, 3].")
    if picture.dtype != np.uint8:
        picture = np.nan_to_num(picture) if picture.dtype.kind == "f" else picture
        scale = 255 if picture.dtype.kind in "fb" and picture.max() <= 1 else 1
        picture = (np.clip(picture * np.float64(scale), 0, 255)).round().astype(np.uint8)
    if picture.ndim == 2:
        picture = picture[..., None]
    return picture.repeat(3, axis=2) if channels == 1 else np.ascontiguousarray(picture[..., :3])
