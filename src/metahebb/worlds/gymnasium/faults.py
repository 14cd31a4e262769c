"""What an environment did wrong, in a sentence that says whose fault it is and what Gymnasium asks for."""

from __future__ import annotations

import math
import numbers
import traceback
from pathlib import Path
from typing import Any, NoReturn

import gymnasium
import numpy as np

from metahebb.errors import MetahebbError, RunError, UsageError, raised
from metahebb.interrupts import is_the_users

__all__ = [
    "FaultError",
    "blame",
    "check_step",
    "checked_reset",
    "checked_reward",
    "missing",
]

EXTRAS = {"Box2D": "box2d", "pygame": "classic-control", "mujoco": "mujoco", "ale_py": "atari"}
"""Our extra that brings a module which an environment needs."""

RESET = "Gymnasium asks for reset(seed=…, options=…), which returns (observation, info)."
STEP = "Gymnasium asks for (observation, reward, terminated, truncated, info)."
REWARD = "Gymnasium asks for a reward that is one real number."

FLOATS = frozenset({float, int, np.float64, np.float32})
"""the rewards that need no second look"""


class FaultError(Exception):
    """What an environment did, to follow its name ("gave …"), and what is asked for."""


def checked_reset(result: Any) -> Any:
    """The observation of what ``reset`` returned; raises FaultError."""
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
        raise FaultError(f"returned {_described(result)}. {RESET}")
    return result[0]


def check_step(result: Any) -> None:
    """Raise FaultError for what ``step`` must not return; the observation and the reward are looked at elsewhere."""
    if not (isinstance(result, tuple | list) and len(result) == 5):
        raise FaultError(f"returned {_described(result)}. {STEP}")
    for name, flag in (("terminated", result[2]), ("truncated", result[3])):
        # Zeros, ones and arrays of one truth value are meant as such; None and lists are mistakes.
        if np.shape(flag) != () or np.asarray(flag).dtype.kind not in "biu":
            raise FaultError(f"returned {_described(flag)} for {name}. Gymnasium asks for a bool.")
    if not isinstance(result[4], dict):
        raise FaultError(f"returned {_described(result[4])} for info. Gymnasium asks for a dict.")


def checked_reward(reward: Any) -> float:
    """A reward as a float, NaN and infinity included; raises FaultError for what is no real number."""
    if not isinstance(reward, numbers.Real | np.bool_) and getattr(reward, "shape", None) != ():
        raise FaultError(f"gave {_described(reward)} for a reward. {REWARD}")
    try:
        return float(reward)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError) as e:
        raise FaultError(f"gave {_described(reward)} for a reward. {REWARD}") from e


def blame(error: BaseException, name: str, where: str) -> NoReturn:
    """Raise what an environment raised ``where`` it did as a RunError in a sentence; Ctrl-C stays what it is."""
    if isinstance(error, MetahebbError) or is_the_users(error):
        raise error
    if isinstance(error, FaultError):
        raise RunError(f"Environment {name!r} {error.args[0]} It was in {where}.") from error
    if isinstance(error, ImportError | gymnasium.error.DependencyNotInstalled):
        raise UsageError(missing(name, str(error))) from error
    said = raised(error)
    if isinstance(error, ValueError) and "values to unpack" in said:
        # A wrapper of Gymnasium's is the first to look at what an environment returns.
        asked = RESET if "expected 2" in said else STEP
        raise RunError(
            f"Environment {name!r} returned a wrong number of values ({said}) in {where}. {asked}"
        ) from error
    hint = f" {RESET}" if isinstance(error, TypeError) and "reset() got an unexpected keyword" in said else ""
    place = traceback.extract_tb(error.__traceback__)[-1]
    raise RunError(
        f"Environment {name!r} raised {said} ({Path(place.filename).name}, line {place.lineno}) in {where}.{hint}"
    ) from error


def missing(name: str, message: str) -> str:
    """The sentence for an environment whose package, which the message names, is not installed."""
    extra = next((extra for module, extra in EXTRAS.items() if module.lower() in message.lower()), None)
    remedy = f"pip install 'metahebb[{extra}]'" if extra else f"install what it names ({message})"
    return f"Environment {name!r} needs a package that is not installed: {remedy}."


def _described(value: Any) -> str:
    """A value of the wrong kind, in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, tuple | list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
