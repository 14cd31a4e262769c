"""What a configuration describes, put together: its task and its network; and a configuration, of what a user gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from metahebb.configuration import PRESETS, SETTINGS, Configuration
from metahebb.encoders import VectorEncoder
from metahebb.errors import UsageError, unknown
from metahebb.importing import locate_user_module
from metahebb.jax_defaults import start_jax
from metahebb.networks import Network
from metahebb.rules import Rule, load_rule
from metahebb.settings import Group, Name, settings_of
from metahebb.tasks import Options, Task, make_task

__all__ = ["bodies_of", "configure", "network_of", "settings_from", "task_of"]


def configure(
    task: str, preset: str | None = None, *, base: Mapping[str, Any] | None = None, **options: Any
) -> tuple[Configuration, Task, Network]:
    """A configuration, its task and its network: explicit options, then ``base`` (another run's or an agent's
    settings), then the preset, then the task's own settings, then the defaults.

    Options that are None are left out. Raises UsageError for anything that is known to be bad before work starts.
    """
    given = _checked({name: value for name, value in options.items() if value is not None})
    if preset is not None:
        Name(lambda: PRESETS).read("preset", preset)
    chosen = {**(base or {}), **given}
    made = make_task(task, _world_options(chosen), chosen.get("imports", ()))
    published = {**PRESETS[preset], **made.paper} if preset else {}
    settings = {"target": made.target, **made.settings, **published, **chosen}
    settings |= _of_another_strategy(settings, given) | _of_static_networks(settings, given)
    settings["morphologies"] = bodies_of(made, settings.get("morphologies", ()))
    configuration = Configuration(task=task, **settings)
    network = network_of(configuration, made)
    if given.get("filter_scale", 1.0) != 1.0 and not network.filter_parameters:
        raise UsageError(f"--filter-scale is {given['filter_scale']!r}, but task {task!r} has no images to filter.")
    if given.get("bodies_in_turn") and made.parse_body is None:
        raise UsageError(f"--bodies-in-turn is given, but task {task!r} has no bodies.")
    if configuration.normalise_observations and not isinstance(made.encoder, VectorEncoder):
        raise UsageError(f"--normalise-observations is for vectors of numbers; task {task!r} observes {made.encoder}.")
    return dataclasses.replace(configuration, **_rule_as_written(network)), made, network


def settings_from(configuration: Configuration, task: str, *groups: Group) -> dict[str, Any]:
    """A configuration's settings of these groups, for another run: those of its world too where that has its task."""
    chosen = settings_of(Configuration, *groups, *([Group.WORLD] if configuration.task == task else []))
    # Another task has another target.
    its_own = {"task"} if configuration.task == task else {"target"}
    return {name: value for name, value in vars(configuration).items() if name in chosen.keys() - its_own}


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as plain values; raises UsageError for one that there is not, or a value that it does not accept."""
    for name in given:
        if name not in SETTINGS:
            raise unknown("option", name, sorted(SETTINGS))
    read = {name: SETTINGS[name].read(value) for name, value in given.items()}
    if "imports" in read:
        read["imports"] = tuple(locate_user_module(name) for name in read["imports"])
    return read


def _of_another_strategy(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """For strategies other than openai-es, what is written for the settings that are openai-es's: their defaults."""
    strategy = settings.get("strategy", Configuration.strategy)
    written = {}
    for name, declared in SETTINGS.items():
        if declared.only_for not in (None, strategy):
            written[name] = default = getattr(Configuration, name)
            if given.get(name, default) != default:
                raise UsageError(
                    f"--{declared.option} belongs to {declared.only_for}; {strategy} of evosax takes its own settings "
                    "by --strategy-option, such as std_init=0.1."
                )
    return written


def _of_static_networks(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """For a static network, what is written for the settings of plasticity."""
    if not settings.get("static"):
        return {}
    written = {name: declared.static for name, declared in SETTINGS.items() if declared.static is not ...}
    for name, only in written.items():
        if given.get(name, only) != only:
            remedy = "leave it out" if given.get("static") else "leave it out, or do without that --config or --from"
            raise UsageError(f"--static networks have no {SETTINGS[name].label}: their weights are evolved; {remedy}.")
    return written


def _rule_as_written(network: Network) -> dict[str, Any]:
    """A user's rule as a configuration names it, with the digest of its file."""
    rule = network.rule
    if rule is None or rule.file is None:
        return {}
    return {"rule": f"{rule.file}:{rule.name.rpartition(':')[2]}", "rule_digest": rule.digest}


def _world_options(settings: Mapping[str, Any]) -> Options:
    """What a task is told about its world: a setting and the field of ``Options`` of the same name are one thing."""
    names = [field.name for field in dataclasses.fields(Options)]
    return Options(**{name: settings[name] for name in names if name in settings})


def task_of(configuration: Configuration) -> Task:
    """The task that a configuration names."""
    return make_task(configuration.task, _world_options(vars(configuration)), configuration.imports)


def bodies_of(task: Task, morphologies: Sequence[str]) -> tuple[str, ...]:
    """The bodies as they are written in a configuration; raises UsageError for a task without, or an unknown one."""
    if morphologies and task.parse_body is None:
        raise UsageError(
            f"--morphology is given, but task {task.name!r} has no bodies; `metahebb tasks` tells which do."
        )
    return tuple(task.parse_body(body) for body in morphologies) if task.parse_body is not None else ()


def network_of(configuration: Configuration, task: Task, rule: Rule | None = None) -> Network:
    """The network that a configuration describes, for its task; ``rule`` replaces the one that it names.

    A setting and the network's field of the same name are the same thing. Raises UsageError where JAX does not start:
    rules are tried.
    """
    start_jax()
    fields = {field.name for field in dataclasses.fields(Network)} & SETTINGS.keys() - {"rule"}
    settings = {name: getattr(configuration, name) for name in fields}
    if configuration.static:
        rule = None
    elif rule is None:
        rule = load_rule(configuration.rule)
    return Network(task.encoder, task.readout.outputs, rule, output_activation=task.output_activation, **settings)
