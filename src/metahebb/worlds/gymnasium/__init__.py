"""Every Gymnasium environment as a host world.

``environments`` makes one, with our wrappers; ``observations`` reads what it gives; ``faults`` says what it did wrong;
``world`` steps slots of them; ``trial`` tries one before a run; ``pictures`` makes pictures of what it renders.
"""

from metahebb.worlds.gymnasium.environments import make_environment, own_limit
from metahebb.worlds.gymnasium.observations import reader_for, stacked
from metahebb.worlds.gymnasium.trial import needs_fresh_environments
from metahebb.worlds.gymnasium.world import GymnasiumWorld

__all__ = ["GymnasiumWorld", "make_environment", "needs_fresh_environments", "own_limit", "reader_for", "stacked"]
