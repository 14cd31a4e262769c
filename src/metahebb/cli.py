"""The command line. Heavy modules are imported by the commands that need them: help answers at once."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import logging
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.table import Column, Table
from rich.text import Text

from metahebb import __version__
from metahebb.configuration import SETTINGS, Configuration
from metahebb.errors import MetahebbError, UsageError, quoted, raised
from metahebb.files import reason_of
from metahebb.json_text import json_text
from metahebb.printing import Stream, console, standard_streams
from metahebb.settings import Flag, Name, Setting
from metahebb_command import catching_signals, end_process

if TYPE_CHECKING:
    from metahebb.agents import Agent
    from metahebb.api import Evaluation
    from metahebb.sweeps import Member

__all__ = ["app", "main"]

app = typer.Typer(
    name="metahebb",
    help="Evolve plasticity rules for neural networks that start every life from random weights.",
    epilog="To begin with: metahebb train gymnasium:CartPole-v1",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
paper = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The published tables, with agents of ours beside them, and the rules compared.",
)
app.add_typer(paper, name="paper")
stderr = console(stderr=True)
# A terminal is as wide as it is; in a file or a pipe tables get the width that they need.
stdout = console(width=None if os.isatty(1) else 140)

Workers = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="Worker processes; default one per core.", show_default=False)
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Live on the Ray cluster at HOST:PORT or auto; local starts one.", show_default=False
    ),
]
Imports = Annotated[
    list[str] | None,
    typer.Option("--import", metavar="TEXT", help=SETTINGS["imports"].help, show_default=False),
]
Perturb = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="Disturb lives, such as zero-weights@300 (see `metahebb perturbations`); may be repeated.",
        show_default=False,
    ),
]
Out = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Write the result: .md, .csv or .json; may be repeated.", show_default=False),
]
CONTROLS = "Controls"
FrozenFrom = Annotated[
    list[int] | None,
    typer.Option(
        metavar="STEP",
        help="Beside each agent, one that learns nothing from this step on; may be repeated.",
        show_default=False,
        rich_help_panel=CONTROLS,
    ),
]
RandomControl = Annotated[
    bool,
    typer.Option(
        "--random-rules",
        help="Beside each agent, random coefficients, those that evolution begins with.",
        show_default=False,
        rich_help_panel=CONTROLS,
    ),
]
ShuffledControl = Annotated[
    bool,
    typer.Option(
        "--shuffled-rules",
        help="Beside each agent, its own coefficients shuffled among the synapses.",
        show_default=False,
        rich_help_panel=CONTROLS,
    ),
]
InitialControl = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="Beside each agent, lives that begin with weights of this distribution; may be repeated.",
        show_default=False,
        rich_help_panel=CONTROLS,
    ),
]
PaperLives = Annotated[int, typer.Option(metavar="NUMBER", help="Fresh lives of each agent, the same for all.")]
LivesSeed = Annotated[int, typer.Option(metavar="NUMBER", help="Which lives: those of `evaluate`.")]
Retrain = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Evolve the agents anew, in runs in this folder; those that are there go on.",
        show_default=False,
    ),
]
RetrainLimit = Annotated[
    float | None,
    typer.Option(metavar="MINUTES", help="With --retrain, when to end evolution.", show_default=False),
]
PREPARING = 60.0
"""seconds after a time limit that an environment has to be made and tried"""
SIMULATOR = SETTINGS["simulator"].help
PRESET = "Published settings: paper, those of Najarro & Risi (2020)."
AGENT = "An agent's file, a run's folder (its best agent), or a name that `metahebb agents` lists."
TASK = "Such as car-racing or gymnasium:CartPole-v1; `metahebb tasks` lists them."
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.", show_default=False)]
TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="Run the Python code that a run or an agent brings, though you have not trained with it.",
        show_default=False,
    ),
]


def main() -> NoReturn:
    """Run the command: errors are one sentence on standard error and an exit code."""
    # pygame greets on standard output, which may be JSON.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "hide")
    # The command draws into files alone; a backend that is not there would keep matplotlib from being imported.
    os.environ["MPLBACKEND"] = "agg"
    # Where it keeps its fonts is of no interest.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    command = typer.main.get_command(app)
    if sys.argv[1:2] == ["train"] and {"--help", "-h"} & {*sys.argv}:
        _complete_help(command.commands["train"].params)  # type: ignore[attr-defined]
    with standard_streams() as out:
        try:
            _check_working_directory()
            code = command.main(standalone_mode=False)
            out.finish()
        except MetahebbError as e:
            _fail(str(e), e.exit_code)
        except Exception as e:
            # Typer's own complaints about the command line know their sentence and their code.
            if not hasattr(e, "format_message"):
                _fail(f"{raised(e).rstrip('.')}. {_kept(e)}", 1)
            if sentence := _not_a_number(e) or e.format_message():
                _fail(sentence, getattr(e, "exit_code", 2))
            sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _check_working_directory() -> None:
    try:
        os.getcwd()
    except OSError as e:
        raise UsageError(f"The working directory is gone ({reason_of(e)}): go to one that exists.") from e


def _kept(error: Exception) -> str:
    """Write down the traceback of what nobody has thought of, for a report; the sentence that says where."""
    import platformdirs

    report = "That was not foreseen; please report it"
    text = f"metahebb {__version__}: {' '.join(sys.argv)!a}\n\n{''.join(traceback.format_exception(error))}"
    with contextlib.suppress(Exception):
        # Where nobody's home is known, as in a container whose user has no entry, among temporary files.
        folder: Path | None = None
        with contextlib.suppress(OSError, RuntimeError):
            folder = Path(platformdirs.user_log_dir("metahebb"))
            folder.mkdir(parents=True, exist_ok=True)
        usable = folder is not None and folder.is_absolute() and os.access(folder, os.W_OK)
        descriptor, name = tempfile.mkstemp(".txt", "traceback-", folder if usable else None)
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return f"{report}: the traceback is in {quoted(name)}."
    return f"{report}."


def _claim_standard_output() -> Stream:
    """Standard output; whatever prints from now on, to the end of the process, does so on standard error.

    Rules, environments and libraries print as they like, when they are imported, in C, and when the process ends.
    """
    sys.stdout.flush()
    out = Stream(os.dup(1), sys.stdout)
    os.dup2(2, 1)
    return out


def _not_a_number(error: Exception) -> str | None:
    """Our sentence where an option is not the number that it has to be: Typer's leaves out what was given."""
    # Versions of Typer word it differently, and not all keep the option's type.
    kinds = {"valid integer": "a whole number", "valid number": "a number", "valid float": "a number"}
    kind = next((kind for words, kind in kinds.items() if words in str(getattr(error, "message", ""))), None)
    options = getattr(getattr(error, "param", None), "opts", ())
    option = next((name for name in options if name.startswith("--")), None)
    words = sys.argv[1:]
    given = [word.removeprefix(f"{option}=") for word in words if word.startswith(f"{option}=")]
    given += [word for before, word in itertools.pairwise(words) if before == option]
    return f"{option} is {given[-1]!r}; it must be {kind}." if kind and given else None


def _show(title: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows as a table, numbers to the right."""
    table = Table(title=title, title_justify="left")
    for i, name in enumerate(rows[0]):
        # The name of a row whole, whatever is cut; a long heading in lines, before numbers are.
        table.add_column(name.replace(", ", ",\n"), justify="right" if i else "left", no_wrap=not i)
    for row in rows:
        table.add_row(*row.values())
    stdout.print(table)


def _fail(sentence: str, code: int) -> NoReturn:
    stderr.print(Text.assemble(("Error:", "bold red"), " ", sentence))
    sys.exit(code)


@contextlib.contextmanager
def _given_up_after(time_limit: float | None) -> Iterator[None]:
    """End the process a minute after the time limit (minutes) if an environment that is tried within hangs."""
    sentence = "Error: The time limit has passed while the environment was made and tried; nothing was evolved."
    timer = threading.Timer(60 * min(time_limit or 0, 1e6) + PREPARING, end_process, (sentence, 1))
    timer.daemon = True
    if time_limit is not None:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each setting of ``Configuration``, which it takes by name in ``settings``."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [_option_of(setting) for setting in SETTINGS.values() if setting.option is not None]
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *options)]

    @functools.wraps(command)
    def with_settings(**given: Any) -> None:
        command(**given)

    # Typer reads both.
    with_settings.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_settings.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_settings


def _option_of(setting: Setting) -> inspect.Parameter:
    name = f"--{setting.option}"
    names = f"{name}/--no-{setting.option}" if setting.kind.parameter is bool else name
    kind, panel = setting.kind, setting.group.value
    text = setting.help if (default := _shown(setting)) is None else f"{setting.help} Default {default}."
    option = typer.Option(names, metavar=kind.metavar, help=text, show_default=False, rich_help_panel=panel)
    annotation: Any = Annotated[kind.parameter | None, option]
    return inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _shown(setting: Setting) -> str | None:
    """A setting's default as it is written on the command line; None where it has none, or its help says what it is."""
    default = getattr(Configuration, setting.name, None)
    if default is None or default is False or default == () or isinstance(default, Mapping):
        return None
    if default is True:
        return "on"
    return ",".join(map(str, default)) if isinstance(default, tuple) else f"{default}".removesuffix(".0")


def _complete_help(parameters: Iterable[Any]) -> None:
    """Add to the help of options what they accept: only where help is asked for, since the lists' modules are slow."""
    for parameter in parameters:
        kind = SETTINGS[parameter.name].kind if parameter.name in SETTINGS else None
        if isinstance(kind, Name):
            parameter.help = f"{parameter.help} One of {', '.join(kind.accepted())}."
        if isinstance(kind, Flag):
            # In a column of its own it would be cut in a narrow terminal.
            parameter.help = f"{parameter.help} Or {parameter.secondary_opts.pop()}."


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.", show_default=False)] = False,
) -> None:
    if show:
        stdout.print(f"metahebb {__version__}")
        raise typer.Exit


@app.command()
@_with_settings
def train(
    task: Annotated[str | None, typer.Argument(help=TASK, show_default=False)] = None,
    run: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The run's folder; default runs/TASK-N.", show_default=False)
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Continue this run as if it had never stopped.", show_default=False),
    ] = None,
    preset: Annotated[str | None, typer.Option(metavar="NAME", help=PRESET, show_default=False)] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings of another run: its config.json.", show_default=False),
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PATH", help="Start from an agent, a run or a shipped agent.", show_default=False
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES", help="When to end the run, with the generation if that is soon done.", show_default=False
        ),
    ] = None,
    trust_code: TrustCode = False,
    workers: Workers = None,
    cluster: Cluster = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="SEEDS", help="A run for each, such as 1-10, in a folder of them all.", show_default=False
        ),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A run for each combination of the values in a JSON file.", show_default=False
        ),
    ] = None,
    **settings: Any,
) -> None:
    """Evolve plasticity rules for a task, or continue a run, or the runs of a folder.

    Defaults are those of most gymnasium: tasks; other tasks have their own, as have --preset, --config and --from.

    The run's config.json has all settings.
    """
    settings = {name: value for name, value in settings.items() if value is not None}
    generations = settings.pop("generations", None)
    from metahebb import api
    from metahebb.progress import showing, warnings_shown

    if resume is not None:
        given = [f"--{SETTINGS[name].option}" for name in settings]
        given += [name for name, value in (("TASK", task), ("--run", run), ("--preset", preset)) if value is not None]
        given += [name for name, value in (("--config", config), ("--from", start_from)) if value is not None]
        given += [name for name, value in (("--seeds", seeds), ("--grid", grid)) if value is not None]
        if given:
            raise UsageError(f"--resume continues a run with its own settings; leave out {', '.join(given)}.")
    api.check_resources(workers, time_limit)
    from metahebb import sweeps

    many = resume is not None and sweeps.members_of(resume)
    if many or seeds is not None or grid is not None:
        given_seeds = None if seeds is None else sweeps.seeds_of(seeds)
        if given_seeds is not None and "seed" in settings:
            raise UsageError("--seed and --seeds both bring seeds; leave one of them out.")
        combinations = [] if grid is None else sweeps.grid_of(grid)
        with api.on_cluster(cluster):
            if not many:
                with warnings_shown(), _given_up_after(time_limit):
                    many = sweeps.new_members(
                        task,
                        run,
                        given_seeds,
                        combinations,
                        preset=preset,
                        config=config,
                        start_from=start_from,
                        trust_code=trust_code,
                        generations=generations,
                        **{name: SETTINGS[name].parse(value) for name, value in settings.items()},
                    )
            _evolve_many(many, resume, generations, workers, cluster, time_limit, trust_code)
        return
    with api.on_cluster(cluster):
        if resume is None:
            with warnings_shown(), _given_up_after(time_limit):
                made = api.new_run(
                    task,
                    run=run,
                    preset=preset,
                    config=config,
                    start_from=start_from,
                    trust_code=trust_code,
                    generations=generations,
                    workers=None if cluster else workers,
                    **{name: SETTINGS[name].parse(value) for name, value in settings.items()},
                )
        else:
            with _given_up_after(time_limit):
                made = api.run_to_continue(resume, generations, None if cluster else workers, trust_code=trust_code)
        with showing(made, time_limit) as observer:
            ending = api.evolve_run(made, workers=workers, cluster=cluster, time_limit=time_limit, observer=observer)
    reasons = {
        "generations": f"All {made.configuration.generations} generations are done",
        "target": f"The validation reached the target of {made.configuration.target:g}"
        if made.configuration.target is not None
        else "",
        "time": "The time limit has passed",
    }
    stdout.print(f"{reasons[ending.reason]} (generation {ending.generation}).")
    if ending.best is not None:
        stdout.print(
            f"Best validation score: {ending.best:.2f} ({made.configuration.validation_lives} lives of the mean genome)"
        )
    stdout.print(f"Run: {made.folder}")
    if ending.generation:
        stdout.print(f"Fitness curve: {made.curve}")
    if ending.best is not None:
        stdout.print(f"Evaluate it: metahebb evaluate {made.folder}")
    if ending.reason == "time":
        stdout.print(f"Continue it: metahebb train --resume {made.folder}")


def _evolve_many(
    members: Sequence[Member],
    resume: Path | None,
    generations: int | None,
    workers: int | None,
    cluster: str | None,
    time_limit: float | None,
    trust_code: bool,
) -> None:
    from metahebb import sweeps
    from metahebb.progress import showing_many, table_of

    folder = members[0].folder.parent
    with showing_many(members, f"metahebb train --resume {folder}") as told:
        sweeps.evolve_members(
            members,
            generations=None if resume is None else generations,
            workers=workers,
            cluster=cluster,
            time_limit=time_limit,
            # What was made just now is the user's own.
            trust_code=trust_code or resume is None,
            told=told,
        )
    stdout.print(table_of(members))
    stdout.print(f"Runs: {folder}")
    if any(member.state == "time" for member in members):
        stdout.print(f"Continue them: metahebb train --resume {folder}")
    sweeps.check_all_done(members)


@app.command()
def evaluate(
    agent: Annotated[Path, typer.Argument(help=AGENT)],
    lives: Annotated[int, typer.Option(metavar="NUMBER", help="How many fresh lives.")] = 100,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", help="Which lives: the same seed gives every agent the same.")
    ] = 0,
    beside_random: Annotated[
        bool,
        typer.Option(
            "--beside-random", help="Beside the evolved rules, score random ones in the same lives.", show_default=False
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the scores as JSON and nothing else.", show_default=False)
    ] = False,
    morphology: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help=SETTINGS["morphologies"].help, show_default=False),
    ] = None,
    simulator: Annotated[str | None, typer.Option(metavar="TEXT", help=SIMULATOR, show_default=False)] = None,
    perturb: Perturb = None,
    imports: Imports = None,
    trust_code: TrustCode = False,
    workers: Workers = None,
) -> None:
    """Score an agent on fresh lives that no training has used."""
    # Before anything of the user's can print.
    out = _claim_standard_output() if as_json else None
    from metahebb import api
    from metahebb.experiments.cells import simulator_for
    from metahebb.progress import counting, warnings_shown

    api.check_resources(workers, None)
    with warnings_shown():
        loaded = api.load(agent, imports=imports or (), trust_code=trust_code)
    simulator = simulator_for(loaded, simulator)
    # Checked before any life is lived: one of the bodies may be unknown. A body that is given twice is lived in once.
    given: list[str | None] = [*morphology] if morphology else [None]
    bodies = {there.body: there for there in (loaded.living_in(body, simulator) for body in given)}

    def lived(there: Agent, random_rules: bool) -> Evaluation:
        with counting(lives, "random" if random_rules else "evolved") as count:
            return api.evaluate(
                there,
                lives,
                seed=seed,
                random_rules=random_rules,
                perturb=perturb or (),
                workers=workers,
                lived=count,
            )

    what = "weights" if loaded.configuration.static else "rules"
    rows: dict[str, tuple[str, Evaluation]] = {}
    for body, there in bodies.items():
        where = f", {body}" if body else ""
        rows[f"evolved {what}{where}"] = body, lived(there, False)
        if beside_random:
            rows[f"random {what}{where}"] = body, lived(there, True)
    if out is not None:
        disturbed = {"perturb": perturb} if perturb else {}
        described = {
            name: {"simulator": simulator, "body": body or None, **disturbed, **e.to_json()}
            for name, (body, e) in rows.items()
        }
        print(json_text(described if len(rows) > 1 else described.popitem()[1]), file=out)
        out.finish()
        return
    where = f", simulator {simulator}" if simulator else ""
    under = f" under {' '.join(perturb)}" if perturb else ""
    table = Table(title=f"{loaded.configuration.task}{where}: {lives} fresh lives{under}", title_justify="left")
    for column in ("", "mean ± deviation", "median", "range", "lives/s", "diverged"):
        table.add_column(column, justify="left" if not column else "right")
    for name, (_, e) in rows.items():
        table.add_row(
            name,
            f"{e.mean:.1f} ± {e.deviation:.1f}",
            f"{e.median:.1f}",
            f"{e.min:.1f} … {e.max:.1f}",
            f"{e.lives_per_second:.1f}",
            str(e.diverged),
        )
    stdout.print(table)


@app.command()
def watch(
    agents: Annotated[
        list[Path],
        typer.Argument(
            metavar="AGENT...", help="Agents' files, runs' folders (their best agents) or names, side by side."
        ),
    ],
    video: Annotated[Path, typer.Option(metavar="FILE", help="The film to make: .mp4, .gif or .webp.")] = Path(
        "life.mp4"
    ),
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", help="Which life: the first that `evaluate` lives with this seed.")
    ] = 0,
    perturb: Perturb = None,
    morphology: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="The body to live in, where the task has bodies; several are filmed side by side.",
            show_default=False,
        ),
    ] = None,
    simulator: Annotated[str | None, typer.Option(metavar="TEXT", help=SIMULATOR, show_default=False)] = None,
    imports: Imports = None,
    trust_code: TrustCode = False,
    overwrite: Overwrite = False,
) -> None:
    """Film lives: the world as it renders itself, the plastic weights, changing, activities and reward."""
    from metahebb import api
    from metahebb.analysis.video import film_beside
    from metahebb.progress import warnings_shown

    with warnings_shown():
        loaded = [api.load(agent, imports=imports or (), trust_code=trust_code) for agent in agents]
    bodies: list[str | None] = [*morphology] if morphology else [None]
    # Where `evaluate` lives, too.
    there = [agent.living_in(body, simulator or agent.task.measured_in) for agent in loaded for body in bodies]
    outcomes = film_beside(there, video, seed=seed, perturb=perturb or (), overwrite=overwrite)
    for agent, outcome in zip(there, outcomes, strict=True):
        body = f" ({agent.body})" if agent.body else ""
        stdout.print(f"A life of {outcome.steps} steps, fitness {outcome.fitness:.1f}{body}: {video}")


@app.command()
def record(
    agent: Annotated[Path, typer.Argument(help=AGENT)],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The recording to make, in zarr's format.")] = Path(
        "life.zarr"
    ),
    lives: Annotated[int, typer.Option(metavar="NUMBER", help="How many: the first that `evaluate` lives.")] = 10,
    every: Annotated[int, typer.Option(metavar="STEPS", help="Keep the weights every so many steps.")] = 10,
    float16: Annotated[
        bool, typer.Option("--float16", help="Round weights and activities: half of the disk.", show_default=False)
    ] = False,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Which lives, as in `evaluate`.")] = 0,
    perturb: Perturb = None,
    random_rules: Annotated[
        bool, typer.Option("--random-rules", help="Record random rules in place of the evolved.", show_default=False)
    ] = False,
    morphology: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The body to live in, where the task has bodies.", show_default=False),
    ] = None,
    simulator: Annotated[str | None, typer.Option(metavar="TEXT", help=SIMULATOR, show_default=False)] = None,
    imports: Imports = None,
    trust_code: TrustCode = False,
    workers: Workers = None,
) -> None:
    """Record lives: observations, actions, rewards, activities and weights, for `metahebb plot` and tools of yours."""
    from metahebb import api
    from metahebb.analysis import recordings
    from metahebb.progress import counting, warnings_shown

    api.check_resources(workers, None)
    with warnings_shown():
        loaded = api.load(agent, imports=imports or (), trust_code=trust_code)
    with counting(lives, "recorded") as count:
        made = recordings.record(
            loaded,
            out,
            lives,
            every=every,
            float16=float16,
            seed=seed,
            morphology=morphology,
            simulator=simulator or loaded.task.measured_in,
            random_rules=random_rules,
            perturb=perturb or (),
            workers=workers,
            lived=count,
        )
    steps = f"{made.length.min()} to {made.length.max()} steps"
    stdout.print(f"{lives} lives of {steps}, mean fitness {made.fitness.mean():.1f}: {out}")


@app.command()
def plot(
    kind: Annotated[str, typer.Argument(help="The kind of figure (see below).", show_default=False)],
    made_of: Annotated[list[Path], typer.Argument(metavar="PATH...", help="What it is made of.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The figure: .png, .svg or .pdf.")] = Path("figure.png"),
    life: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="weights: which life; default 0.", show_default=False)
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(metavar="STEPS", help="weights: at which steps, such as 0,10,300.", show_default=False),
    ] = None,
    dimensions: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="attractor: 2 or 3; default 2.", show_default=False)
    ] = None,
    lives: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="attractor: lives of each recording; default all.", show_default=False),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(metavar="STEPS", help="recovery: steps of the moving mean; default 25.", show_default=False),
    ] = None,
    around: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS", help="recovery: steps before and after the perturbation; default all.", show_default=False
        ),
    ] = None,
    trust_code: TrustCode = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw a figure. Of recordings: weights, attractor, recovery; of an agent: coefficients, changes; of runs: curves;
    of results of `evaluate --json` or recordings: bars.
    """
    from metahebb.analysis.figures.style import check_figure, save_figure
    from metahebb.analysis.plotting import plot as drawn
    from metahebb.settings import Whole

    check_figure(out, overwrite)
    numbers = {"life": life, "dimensions": dimensions, "lives": lives, "window": window, "around": around}
    for name, value in numbers.items():
        if value is not None:
            Whole(0 if name == "life" else 1).read(name, value)
    chosen = None
    if steps is not None:
        words = steps.split(",")
        if not all(word.strip().isdecimal() for word in words):
            raise UsageError(f"--steps is {steps!r}; it must be steps such as 0,10,300.")
        chosen = [int(word) for word in words]
    axes = drawn(kind, made_of, trust_code, steps=chosen, **numbers)
    save_figure(axes, out, overwrite=overwrite)
    stdout.print(f"The figure: {out}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run's folder, or the name of a shipped agent.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HTML file to write.")] = Path("report.html"),
    lives: Annotated[int, typer.Option(metavar="NUMBER", help="Lives of each row of scores.")] = 30,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Which lives, as in `evaluate`.")] = 0,
    perturb: Perturb = None,
    imports: Imports = None,
    trust_code: TrustCode = False,
    workers: Workers = None,
    overwrite: Overwrite = False,
) -> None:
    """Write what a run came to into one HTML file: scores, also under perturbations, figures and a film."""
    from metahebb.analysis.report import write_report
    from metahebb.progress import warnings_shown

    with warnings_shown():
        made = write_report(
            run,
            out,
            lives=lives,
            seed=seed,
            perturb=perturb or (),
            imports=imports or (),
            trust_code=trust_code,
            workers=workers,
            overwrite=overwrite,
            progress=lambda doing: stderr.print(f"{doing} …"),
        )
    stdout.print(f"The report: {made} ({made.stat().st_size / 1e6:.1f} MB)")


@app.command()
def compare(
    agents: Annotated[list[Path], typer.Argument(help="Agents' files, runs' folders or names, all of one task.")],
    perturb: Perturb = None,
    lives: Annotated[int, typer.Option(metavar="NUMBER", help="How many fresh lives, the same for all.")] = 100,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Which lives: those of `evaluate`.")] = 0,
    morphology: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The body of all, where the task has bodies.", show_default=False),
    ] = None,
    simulator: Annotated[str | None, typer.Option(metavar="TEXT", help=SIMULATOR, show_default=False)] = None,
    frozen_from: FrozenFrom = None,
    random_rules: RandomControl = False,
    shuffled_rules: ShuffledControl = False,
    initial_weights: InitialControl = None,
    out: Out = None,
    overwrite: Overwrite = False,
    imports: Imports = None,
    trust_code: TrustCode = False,
    workers: Workers = None,
) -> None:
    """Compare agents in the same lives, undisturbed and under perturbations, beside controls."""
    from metahebb.experiments.comparison import compare
    from metahebb.experiments.tables import check_outputs, write_table
    from metahebb.progress import counting

    files = check_outputs(out or (), overwrite)
    with counting(None, "lives") as count:
        result = compare(
            *agents,
            perturb=perturb or (),
            lives=lives,
            seed=seed,
            morphology=morphology,
            simulator=simulator,
            frozen_from=frozen_from or (),
            random_rules=random_rules,
            shuffled_rules=shuffled_rules,
            initial_weights=initial_weights or (),
            imports=imports or (),
            trust_code=trust_code,
            workers=workers,
            lived=count,
            begun=count.of,
        )
    for file in files:
        write_table(result, file)
    where = "".join(f", {what}" for what in (result.body, result.simulator and f"simulator {result.simulator}") if what)
    title = f"{result.task}{where}: {result.lives} lives, the same for all"
    under = {"no": "", "yes": f", under {' '.join(result.perturbations)}"}
    for disturbed, words in under.items() if result.perturbations else [(None, "")]:
        rows = [row for row in result.to_table() if row.pop("disturbed", None) == disturbed]
        # A column that says nothing in half of the rows is left out of their table.
        said = [name for name in rows[0] if any(row[name] != "–" for row in rows)]
        _show(title + words, [{name: row[name] for name in said} for row in rows])


@app.command()
def sweep(
    agents: Annotated[list[Path], typer.Argument(help=f"{AGENT} Others are compared with the first.")],
    morphology: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Bodies: a range as in front-left=1.0,0.25..1.5:6, or several.",
            show_default=False,
        ),
    ] = None,
    perturb: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Disturb lives, with ranges: noise-weights:0..1:5@300, zero-weights@100..900:5; may be repeated.",
            show_default=False,
        ),
    ] = None,
    bodies: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A named set of bodies: kandel (a leg's lower segment at 25%), legs (at 25, 50 and 75%) or unseen "
            "(30 slightly changed ones).",
            show_default=False,
        ),
    ] = None,
    lives: Annotated[int, typer.Option(metavar="NUMBER", help="How many fresh lives at each place, the same.")] = 20,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Which lives: those of `evaluate`.")] = 0,
    simulator: Annotated[str | None, typer.Option(metavar="TEXT", help=SIMULATOR, show_default=False)] = None,
    frozen_from: FrozenFrom = None,
    random_rules: RandomControl = False,
    shuffled_rules: ShuffledControl = False,
    initial_weights: InitialControl = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Write the result: .md, .csv or .json, or as a figure .png, .svg or .pdf; may be repeated.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    imports: Imports = None,
    trust_code: TrustCode = False,
    workers: Workers = None,
) -> None:
    """Score agents over a grid of bodies, strengths or onsets: FIRST..LAST:COUNT in place of a number."""
    from metahebb.analysis.sweep_figure import FIGURES, write_figure
    from metahebb.experiments.sweep import sweep
    from metahebb.experiments.tables import check_outputs, write_table
    from metahebb.progress import counting

    files = check_outputs(out or (), overwrite, FIGURES)
    with counting(None, "lives") as count:
        result = sweep(
            *agents,
            morphology=morphology or (),
            perturb=perturb or (),
            bodies=bodies,
            lives=lives,
            seed=seed,
            simulator=simulator,
            frozen_from=frozen_from or (),
            random_rules=random_rules,
            shuffled_rules=shuffled_rules,
            initial_weights=initial_weights or (),
            imports=imports or (),
            trust_code=trust_code,
            workers=workers,
            lived=count,
            begun=count.of,
        )
    for file in files:
        write_figure(result, file) if file.suffix.lower() in FIGURES else write_table(result, file)
    where = f", simulator {result.simulator}" if result.simulator else ""
    _show(f"{result.task}{where}: {result.lives} lives at each place", result.to_table())
    means = [(result.agent, result.mean), *((other.name, other.mean) for other in result.others if not other.control)]
    for name, mean in means:
        stdout.print(f"Mean of all {len(result.cells)} places{f', {name}' if name else ''}: {mean:.1f}")


@app.command("agents")
def list_agents() -> None:
    """List the agents that come with metahebb: their names are taken wherever an agent or a run is."""
    from metahebb.shipped import FOLDER, shipped_agents

    table = Table("agent", "task", "score", "lives", "steps of evolution", "minutes", "size")
    for column in table.columns[2:]:
        column.justify = "right"
    for its in shipped_agents():
        evaluation, record = its.record["evaluation"], its.record
        body = f" ({evaluation['body']})" if evaluation["body"] else ""
        table.add_row(
            its.name,
            its.configuration.task,
            f"{evaluation['mean']:.0f} ± {evaluation['deviation']:.0f}{body}",
            f"{evaluation['lives']}",
            f"{record['steps'] / 1e6:.1f} million",
            f"{record['minutes']:.0f}",
            f"{its.size / 1e6:.2f} MB",
        )
    stdout.print(table)
    stdout.print("A folder or a file of such a name comes first. How one was made: record.json in its folder, in")
    stdout.print(f"{FOLDER}")


@paper.command("table1")
def table1(
    lives: PaperLives = 100,
    seed: LivesSeed = 0,
    retrain: Retrain = None,
    time_limit: RetrainLimit = None,
    out: Out = None,
    overwrite: Overwrite = False,
    workers: Workers = None,
) -> None:
    """CarRacing, in our simulator and in Gymnasium's, beside the published scores; some ten minutes on two cores."""
    _paper_table("table1", lives, seed, retrain, time_limit, out, overwrite, workers)


@paper.command("table2")
def table2(
    lives: PaperLives = 100,
    seed: LivesSeed = 0,
    retrain: Retrain = None,
    time_limit: RetrainLimit = None,
    out: Out = None,
    overwrite: Overwrite = False,
    workers: Workers = None,
) -> None:
    """The quadruped, whole and with either front leg damaged, in MuJoCo and in Bullet, beside the published scores."""
    _paper_table("table2", lives, seed, retrain, time_limit, out, overwrite, workers)


def _paper_table(
    name: str,
    lives: int,
    seed: int,
    retrain: Path | None,
    time_limit: float | None,
    out: Sequence[Path] | None,
    overwrite: bool,
    workers: int | None,
) -> None:
    from metahebb import api, sweeps
    from metahebb.experiments.tables import check_outputs, write_table
    from metahebb.paper import tables
    from metahebb.progress import counting, showing_many, table_of, warnings_shown

    files = check_outputs(out or (), overwrite)
    api.check_resources(workers, time_limit)
    members: list[Member] = []
    if retrain is not None:
        with warnings_shown():
            members = tables.members_anew(name, retrain)
        again = f"metahebb paper {name} --retrain {retrain}"
        with showing_many(members, again) as told:
            sweeps.evolve_members(members, workers=workers, time_limit=time_limit, told=told)
        stdout.print(table_of(members))
    elif time_limit is not None:
        raise UsageError("--time-limit is for --retrain; leave it out.")
    with counting(None, "lives") as count:
        result = tables.make_table(
            name, folder=retrain, lives=lives, seed=seed, workers=workers, lived=count, begun=count.of
        )
    for file in files:
        write_table(result, file)
    _show(f"{result.title}: {result.lives} lives, the same for all", result.to_table())
    for note in result.notes:
        stdout.print(note)
    if any(member.state == "time" for member in members):
        stdout.print(f"The time limit has passed; the agents above are unfinished. Continue: {again}")
    sweeps.check_all_done(members)


@paper.command("ablation")
def ablation(
    task: Annotated[str, typer.Argument(help="The task that all are evolved for.")] = "car-racing",
    retrain: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where the runs are; those that are there go on (necessary).", show_default=False
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(metavar="MINUTES", help="Of all workers, for the evolution of each run.")
    ] = 10.0,
    seeds: Annotated[str, typer.Option(metavar="SEEDS", help="Of the runs, such as 1-3.")] = "1-3",
    lives: PaperLives = 100,
    seed: LivesSeed = 0,
    out: Out = None,
    overwrite: Overwrite = False,
    workers: Workers = None,
) -> None:
    """The nine rules and static weights, each from several seeds, for equal times: a table and a figure at the end.

    It takes hours, and can be ended at any moment: the same command goes on.
    """
    from metahebb import api, sweeps
    from metahebb.experiments.tables import check_outputs, write_table
    from metahebb.paper import ablation as ablations
    from metahebb.progress import counting, showing_many, warnings_shown
    from metahebb.settings import Number

    if retrain is None:
        raise UsageError(
            "No runs of an ablation come with metahebb; evolve them with --retrain FOLDER, which takes hours."
        )
    files = check_outputs(out or (), overwrite)
    workers, _ = api.check_resources(workers, None)
    minutes = Number(above=0, unit="minutes").read("minutes", minutes)
    with warnings_shown():
        members = ablations.ablation_members(task, retrain, sweeps.seeds_of(seeds))
    with showing_many(members, "the same command") as told:
        ablations.evolve_each(members, minutes, workers=workers, told=told)
    with counting(None, "lives") as count:
        result = ablations.ablation_of(members, lives, seed, workers, lived=count, begun=count.of)
    figure = retrain / "curves.png"
    ablations.draw_ablation(members, figure)
    for file in files:
        write_table(result, file)
    _show(f"{result.task}, {minutes:g} minutes each: {result.lives} lives, the same for all", result.to_table())
    if result.missing:
        stdout.print(f"Without an agent, and so missing: {', '.join(result.missing)}")
    stdout.print(f"Curves: {figure}")
    sweeps.check_all_done(members)


@app.command("perturbations")
def list_perturbations(
    task: Annotated[
        str | None, typer.Argument(help="A task, for what can be changed in its world.", show_default=False)
    ] = None,
    simulator: Annotated[str | None, typer.Option(metavar="TEXT", help=SIMULATOR, show_default=False)] = None,
    imports: Imports = None,
) -> None:
    """List the perturbations of lives, and those of a task's world."""
    from metahebb.perturbations.kinds import KINDS
    from metahebb.perturbations.perturbation import condition_kind

    kinds = dict(KINDS)
    if task is not None:
        from metahebb.perturbations import conditions_of
        from metahebb.tasks import Options, make_task

        conditions = conditions_of(make_task(task, Options(simulator=simulator), imports or ()))
        kinds |= {name: condition_kind(name, condition) for name, condition in conditions.items()}
    table = Table("perturbation", "what happens", "limited to")
    for name, kind in kinds.items():
        strengths = (f":{s.upper()}" if default is None else f"[:{default:g}]" for s, default in kind.strengths.items())
        table.add_row(f"{name}{''.join(strengths)}", kind.text, ", ".join(kind.targets))
    stdout.print(table)
    stdout.print("When: zero-weights@300 is a step, @500-550 from one step to before another, @500- to the end;")
    stdout.print("without @ from the start. Limited: noise-weights:0.5:layer=1:fraction=0.3@300.")
    if task is None:
        stdout.print("What can be changed in a task's world: metahebb perturbations TASK, such as car-racing.")
    stdout.print("One of your own: a function (key, step, weights, …) in a file, --perturb my_file.py:my_function@300")


@app.command("rules")
def list_rules() -> None:
    """List the plasticity rules and their formulas."""
    from metahebb.rules import RULES

    table = Table("rule", "Δw", "coefficients per synapse")
    for name, rule in RULES.items():
        table.add_row(name, rule.formula, f"{len(rule.coefficients)}: {', '.join(rule.coefficients)}")
    stdout.print(table)
    stdout.print("A rule of your own: a function (pre, post, weight, …) in a file, --rule my_rules.py:my_rule")


@app.command("tasks")
def list_tasks(imports: Imports = None) -> None:
    """List the tasks that there are."""
    from metahebb.tasks import describe_tasks

    table = Table(Column("task", overflow="fold", min_width=36), "observation", "action", "bodies", "target")
    rows = describe_tasks(tuple(imports or ()))
    for row in (row for row in rows if len(row) > 2):
        table.add_row(*row)
    stdout.print(table)
    stdout.print("Not available here:")
    for name, reason in (row for row in rows if len(row) == 2):
        stdout.print(f"  {name}: {reason}")
    stdout.print("Tasks and environments (gymnasium:<id>) of your own: --import FILE, which registers them.")
    stdout.print("Atari: gymnasium:ALE/<game>-v5, such as gymnasium:ALE/Breakout-v5.")


@app.command("strategies")
def list_strategies() -> None:
    """List the search strategies."""
    from metahebb.evolution.evosax_strategies import strategy_names

    for name in ("openai-es", *strategy_names()):
        stdout.print(name)


@app.command("import-reference")
def import_reference(
    files: Annotated[list[Path], typer.Argument(help="The files that the reference implementation wrote.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The agent's file to write.")] = Path("agent.safetensors"),
    rule: Annotated[
        str | None, typer.Option(metavar="NAME", help="The rule, where no file's name tells it.", show_default=False)
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="The task, where no file's name tells it.", show_default=False)
    ] = None,
    initial_weights: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The initial weights, where no file's name tells them.", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make an agent of files that the published reference implementation wrote."""
    from metahebb.files import check_new_file
    from metahebb.paper import reference_files

    check_new_file("--out", out, overwrite)
    agent = reference_files.import_reference(files, task=task, rule=rule, initial_weights=initial_weights)
    agent.save(out)
    stdout.print(
        f"{agent.configuration.task}, rule {agent.configuration.rule}, {len(agent.genome):,} parameters: {out}"
    )


if __name__ == "__main__":
    with catching_signals():
        main()
