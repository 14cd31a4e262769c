"""How everything is printed: text as it is, whatever brackets or colons are in it."""

from __future__ import annotations

from rich.console import Console

__all__ = ["console"]


def console(*, stderr: bool = False, width: int | None = None, soft_wrap: bool = True) -> Console:
    """A console on which nothing is markup: paths, ids and messages are users' own, ``[/b]`` and ``:fire:`` included.

    What is to have a style is given as ``rich.text.Text``. Lines stay whole; a live display alone needs them cut
    (``soft_wrap=False``).
    """
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap, width=width)
