"""Users' texts are printed as they are: brackets and colons in paths, ids and messages are no markup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest

from metahebb.rules import RULES
from support import ENVIRONMENTS, Answer, options

pytestmark = pytest.mark.xdist_group("printing")

TASK = ("gymnasium:Target-v0", "--import", ENVIRONMENTS)
SMALL = options(population=2, generations=1, validation_lives=1, workers=1, hidden=4)


@pytest.mark.parametrize("name", ["exp[seed=1]", "a[/b]", "[bold]x", ":fire:", "[link=x"])
def test_a_runs_name_is_printed_as_it_is(
    name: str, metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Some of them have a folder in them.
    (tmp_path / name).parent.mkdir(exist_ok=True)
    code, out, err = metahebb("train", *TASK, "--run", name, *SMALL)
    assert (code, err) == (0, "")
    assert f"; run {name}\n" in out
    assert f"Run: {name}\nFitness curve: {name}/fitness.png\nEvaluate it: metahebb evaluate {name}\n" in out
    code, out, err = metahebb("train", *TASK, "--run", name, *SMALL)
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: The run folder '{name}' exists. ")
    assert metahebb("evaluate", f"{name}/x").err == f"Error: There is no agent or run at '{name}/x'.\n"


def test_a_message_and_an_id_are_printed_as_they_are(
    metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failing.py").write_text("raise ValueError('[red]no[/red] :fire: [/]')\n")
    answer = metahebb("tasks", "--import", "failing.py")
    assert answer.err.endswith("raised ValueError: [red]no[/red] :fire: [/]\n")
    assert metahebb("train", "gymnasium:[b]x[/i]").err.startswith("Error: Environment '[b]x[/i]' ")
    # So is why a task cannot be made here.
    (tmp_path / "unmakeable.py").write_text(
        "import gymnasium\n"
        "def make(**arguments):\n    raise ValueError('[red]no[/red] :fire: [/]')\n"
        "gymnasium.register('Unmakeable-v0', entry_point=make)\n"
    )
    code, out, err = metahebb("tasks", "--import", "unmakeable.py")
    assert (code, err) == (0, "")
    assert "raised ValueError: [red]no[/red] :fire: [/]\n" in out
    gymnasium.registry.pop("Unmakeable-v0")
    answer = metahebb("rules")
    for rule in RULES.values():
        assert rule.formula in answer.out
