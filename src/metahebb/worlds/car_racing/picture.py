"""The original's big view of a life, for people: 600 × 400 pixels, drawn polygon by polygon on the host."""

from __future__ import annotations

import numpy as np

from metahebb.worlds.car_racing.digits import number_canvas
from metahebb.worlds.car_racing.frames import GRASS_DIM, STRIPE, WINDOW_H, WINDOW_W, bar_rectangles, wheel_stripes, zoom_at
from metahebb.worlds.car_racing.physics import HULL, WHEEL_R, WHEEL_W
from metahebb.worlds.car_racing.track import BORDER, PLAYFIELD, TRACK_WIDTH

__all__ = ["draw_picture"]
