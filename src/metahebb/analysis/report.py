"""``metahebb report``: what a run came to, in one HTML file that needs nothing else.

It lives the agent anew: an evaluation, beside random rules and under perturbations, all in the same lives; a recording
of a few, from which the figures are drawn; and a film. Pictures and film are in the file itself.
"""

from __future__ import annotations

import base64
import html
import io
import platform
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np

from metahebb import api
from metahebb.agents import Agent
from metahebb.analysis import figures
from metahebb.analysis.intervals import bootstrap_interval
from metahebb.analysis.measures import BEFORE, COMPETENCE_WINDOW, RECOVERY_WINDOW, SHARE
from metahebb.analysis.recordings import record
from metahebb.analysis.video import film
from metahebb.configuration import SETTINGS
from metahebb.errors import RunError
from metahebb.evolution.runs import RECORDED_VERSIONS, Run, open_run
from metahebb.experiments.cells import Cell, live_cells
from metahebb.experiments.controls import controls_of
from metahebb.experiments.scores import Scores, scores_of, strike_of
from metahebb.files import check_new_file, write_file
from metahebb.perturbations import perturbations_for

__all__ = ["write_report"]

UNDISTURBED = "undisturbed"
"""the row that others are compared with"""
RECORDED_LIVES = 4
EVERY = 10
"""steps between their weights"""
FILM_BYTES = 7 * 2**20
"""of the film at most, so that the file stays below 15 MB"""
QUALITIES = (28, 32, 36, 40, 45)
"""x264's constant rate factors, from the first that makes the film small enough"""


def write_report(
    run: str | Path,
    out: str | Path,
    *,
    lives: int = 30,
    seed: int = 0,
    perturb: Sequence[str] = (),
    imports: Sequence[str] = (),
    trust_code: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda doing: None,
) -> Path:
    """Write a run's report into an HTML file, which appears whole.

    Args:
        run: the run's folder; its best agent is lived.
        out: the file.
        lives: of each row of scores.
        seed: of the lives, as in ``evaluate``.
        perturb: what disturbs lives, each in a row of its own; the film and the figures show the first. By default all
            weights become zero a third of the way through the longest life, and the rule is frozen from the start.
        progress: is told what is done next.

    Raises UsageError, with nothing written, for what cannot be lived so; RunError for a failure at work.
    """
    path = check_new_file("The report", out, overwrite)
    lives, seed, workers = api.check_lives(lives, seed, workers)
    opened = open_run(run, trust_code=trust_code)
    agent = api.agent_of(opened, imports, trust_code)
    agent = agent.living_in(None, agent.task.measured_in)
    texts = list(perturb) or _usual(agent)
    for text in texts:
        perturbations_for([text], agent.task, agent.network)

    rows = _lived(agent, texts, lives, seed, workers, progress)
    with tempfile.TemporaryDirectory() as folder:
        pictures, pieces = _drawn(opened, agent, rows, texts, Path(folder), seed, workers, progress)
        content = _page(opened, agent, rows, lives, seed, pictures, pieces)
    write_file("The report", path, content.encode())
    return path


def _lived(
    agent: Agent,
    texts: Sequence[str],
    lives: int,
    seed: int,
    workers: int | None,
    progress: Callable[[str], None],
) -> dict[str, Scores]:
    """What the lives of each row come to, all of them lived side by side."""
    plain = Cell(agent)
    cells = {UNDISTURBED: plain}
    cells |= {text: Cell(agent, perturbations_for([text], agent.task, agent.network)) for text in texts}
    if not agent.configuration.static:
        for control in controls_of(seed, random_rules=True):
            if (cell := control.cell_of(plain)) is not None:
                cells[control.name] = cell
    progress(f"living {lives} lives each: {', '.join(cells)}")
    outcomes = live_cells(list(cells.values()), lives, seed, workers).outcomes
    strikes = [strike_of(cell.perturbations) for cell in cells.values()]
    return dict(zip(cells, scores_of(outcomes, strikes, [strike is None for strike in strikes]), strict=True))


def _usual(agent: Agent) -> list[str]:
    if agent.configuration.static:
        return ["zero-sensors:fraction=0.3@0-"]
    # When the recording keeps the weights.
    third = (agent.task.longest or 300) // (3 * EVERY) * EVERY
    return [f"zero-weights@{third}", "freeze@0-"]


def _drawn(
    run: Run,
    agent: Agent,
    rows: Mapping[str, Scores],
    texts: Sequence[str],
    folder: Path,
    seed: int,
    workers: int | None,
    progress: Callable[[str], None],
) -> tuple[dict[str, str], str]:
    """The figures by their captions, and the film, each as HTML."""
    progress(f"recording {RECORDED_LIVES} lives")
    how = {"every": EVERY, "float16": True, "seed": seed, "workers": workers}
    evolved = record(agent, folder / "evolved.zarr", RECORDED_LIVES, perturb=texts[:1], **how)  # type: ignore[arg-type]
    recordings = [evolved]
    static = agent.configuration.static
    if not static:
        recordings.append(record(agent, folder / "random.zarr", RECORDED_LIVES, random_rules=True, **how))  # type: ignore[arg-type]
    progress("drawing")
    pictures = {}
    if run.metrics():
        pictures["Fitness over generations"] = _png(figures.draw_curves([run]))
    pictures["Scores"] = _png(figures.draw_bars({name: its.scores for name, its in rows.items()}))
    pictures["Reward and activity in recorded lives"] = _png(figures.draw_recovery([evolved]))
    if not static:
        pictures["The weights' way through life, from random starts"] = _png(figures.draw_attractor(recordings))
        pictures["Weights in the first recorded life"] = _png(figures.draw_weights(evolved))
        pictures["Coefficients before and after evolution"] = _png(figures.draw_coefficients(agent))
        pictures["What the rules change"] = _png(figures.draw_changes(agent))
    if agent.task.frames_per_second is None:
        return pictures, ""
    progress("filming a life")
    made = folder / "life.mp4"
    film(agent, made, seed=seed, perturb=texts[:1])
    coded = base64.b64encode(_small(made, folder)).decode()
    return pictures, f'<video controls muted loop playsinline src="data:video/mp4;base64,{coded}"></video>'


def _png(axes: Any) -> str:
    figure = np.ravel(np.asarray(axes))[0].figure
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return f'<img loading="lazy" alt="" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}">'


def _small(made: Path, folder: Path) -> bytes:
    """The film in fewer bytes."""
    for quality in QUALITIES:
        smaller = folder / f"{quality}.mp4"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", "-i", str(made), "-vf", "scale=960:-2"]
        command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(quality), "-pix_fmt", "yuv420p"]
        done = subprocess.run([*command, "-movflags", "+faststart", str(smaller)], capture_output=True, check=False)
        if done.returncode:
            raise RunError("The report's film could not be made smaller: ffmpeg failed.")
        if smaller.stat().st_size <= FILM_BYTES:
            break
    return smaller.read_bytes()


def _page(
    run: Run,
    agent: Agent,
    rows: Mapping[str, Scores],
    lives: int,
    seed: int,
    pictures: Mapping[str, str],
    film_html: str,
) -> str:
    c = agent.configuration
    plain = rows[UNDISTURBED]
    rule = "static weights" if agent.network.rule is None else f"rule {c.rule.rpartition(':')[2]}"
    metrics = run.metrics()
    facts = {
        "score": f"{plain.mean:.1f} ± {plain.deviation:.1f}",
        "steps to competence": str(plain.competence),
        "lives": f"{lives} fresh, seed {seed}",
        "parameters": f"{agent.network.parameters:,}",
        "synapses": f"{agent.network.synapses:,}",
        "generations": f"{len(metrics):,}",
        "best of generation": str(agent.record.get("generation", "–")),
    }
    cards = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts.items())
    shown = "".join(
        f"<figure>{picture}<figcaption>{_text(name)}</figcaption></figure>" for name, picture in pictures.items()
    )
    film_part = f"<h2>A life</h2><figure>{film_html}</figure>" if film_html else ""
    settings = {SETTINGS[name].label: value for name, value in c.to_json().items() if name in SETTINGS}
    versions = {"python": platform.python_version(), **{name: version(name) for name in RECORDED_VERSIONS}}
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(c.task)} · metahebb</title><style>{STYLE}</style></head><body><main>
<h1>{_text(c.task)}</h1><p class="under">{_text(rule)} · {_text(run.folder.name)}</p>
<dl class="cards">{cards}</dl>
{film_part}
<h2>Scores</h2>
<p>The same {lives} lives (worlds and initial weights) in each row; the difference to the undisturbed ones is paired,
life by life, with its bootstrap 95% interval.</p>
{_scores(rows)}
<h2>How soon, and what a perturbation does</h2>
{_times(rows)}
<p class="note">{MEASURES}</p>
<h2>Figures</h2><div class="figures">{shown}</div>
<h2>Configuration</h2>{_table(settings)}
<h2>Versions</h2>{_table(versions)}
</main></body></html>
"""


def _scores(rows: Mapping[str, Scores]) -> str:
    plain = rows[UNDISTURBED]
    table = {}
    for name, its in rows.items():
        difference = ""
        if its is not plain:
            mean, low, high = bootstrap_interval(its.scores - plain.scores)
            difference = f"{mean:+.1f} ({low:+.1f} … {high:+.1f})"
        table[name] = {
            "mean ± deviation": f"{its.mean:.1f} ± {its.deviation:.1f}",
            "median": f"{np.median(its.scores):.1f}",
            "range": f"{its.scores.min():.1f} … {its.scores.max():.1f}",
            "difference": difference,
            "diverged": str(its.diverged),
        }
    return _numbers(table)


def _times(rows: Mapping[str, Scores]) -> str:
    table = {}
    for name, its in rows.items():
        measured: dict[str, object] = {"reaches its level": its.reached, "stays from": its.competence}
        if any(other.responses is not None for other in rows.values()):
            measured |= {"depth": None if its.depth is None else f"{its.depth:.0%}", "recovered after": its.recovery}
        table[name] = {what: "–" if value is None else str(value) for what, value in measured.items()}
    return _numbers(table)


def _numbers(rows: Mapping[str, Mapping[str, str]]) -> str:
    """A table of rows by their names, each with the same columns."""
    head = "".join(f"<th>{_text(name)}</th>" for name in ("", *next(iter(rows.values()))))
    body = []
    for name, its in rows.items():
        cells = "".join(f"<td>{_text(cell.replace('-', '−'))}</td>" for cell in its.values())
        body.append(f"<tr><th>{_text(name)}</th>{cells}</tr>")
    return f'<div class="wide"><table class="numbers"><tr>{head}</tr>{"".join(body)}</table></div>'


def _table(values: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in values.items())
    return f'<div class="wide"><table>{rows}</table></div>'


def _text(value: Any) -> str:
    return html.escape("–" if value in (None, [], {}) else str(value))


MEASURES = f"""Times are medians over lives, in steps; how many lives never get there stands in brackets. A life reaches
its level with the first step from which the reward, the mean of {COMPETENCE_WINDOW} steps, is at least {SHARE:.0%} of
what the life earns from there on. It stays there from the time to competence, when that is so of all later steps, too.
Depth is the share of what {BEFORE} steps earned before a perturbation that is lost at the worst; a life has recovered
when the reward, the mean of {RECOVERY_WINDOW} steps, is back at {SHARE:.0%} of it."""
"""what the columns of the table of scores mean (``analysis.measures``)"""

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2328;--faint:#5c6670;--line:#d9dee3;--card:#f4f6f8;--accent:#0072b2}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--ink:#e6eaee;--faint:#9aa6b2;--line:#333b44;--card:#1e242a;
--accent:#56b4e9}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:2rem;line-height:1.2;margin:0}h2{font-size:1.25rem;margin:2.4rem 0 .8rem}
.note{color:var(--faint);font-size:.85rem}
.under{color:var(--faint);margin:.3rem 0 1.4rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:0}
.cards div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
dt{color:var(--faint);font-size:.8rem}dd{margin:0;font-size:1.15rem;font-weight:600}
.cards div:first-child dd{color:var(--accent)}
figure{margin:0;background:#fff;border:1px solid var(--line);border-radius:8px;overflow:hidden}
figure img,video{display:block;width:100%;height:auto}
figcaption{background:var(--card);color:var(--ink);padding:8px 14px;font-size:.9rem;border-top:1px solid var(--line)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:16px;align-items:start}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:6px 12px;border-bottom:1px solid var(--line);font-weight:400}
th{color:var(--faint)}tr:last-child>*{border-bottom:0}
.numbers th,.numbers td{white-space:nowrap}.numbers td{text-align:right;font-variant-numeric:tabular-nums}
.numbers tr:first-child th{text-align:right}
@media (prefers-color-scheme:dark){figure img{filter:brightness(.92)}}
@media (max-width:600px){main{padding:20px 12px 48px}h1{font-size:1.5rem}}
"""
