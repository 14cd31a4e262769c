"""CarRacing as JAX's users see it: the example of docs/extending.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from metahebb.worlds.car_racing import ENV_ID

DOCS = Path(__file__).parents[3] / "docs" / "extending.md"
SIZES = "SLOTS, LIVES, LIMIT, STRETCH = 8, 16, 1000, 20"


def test_the_example_scores_lives_as_if_each_lived_alone() -> None:
    section = DOCS.read_text().partition("## CarRacing for JAX")[2]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    assert SIZES in code
    example: dict[str, Any] = {}
    exec(code.replace(SIZES, "SLOTS, LIVES, LIMIT, STRETCH = 2, 5, 50, 20"), example)
    env = gymnasium.make(ENV_ID, max_episode_steps=50)
    for seed, score in enumerate(example["scores"]):
        frame, _ = env.reset(seed=seed)
        alone, ended = 0.0, False
        while not ended:
            action = np.asarray(example["drive"](frame[None])[0])
            frame, reward, terminated, truncated, _ = env.step(action)
            alone, ended = alone + reward, terminated or truncated
        assert score == pytest.approx(alone, abs=1e-2)
