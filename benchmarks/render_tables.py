"""Write the stored results into benchmarks/README.md and docs/rendered/benchmarks; draw figures.

    python benchmarks/render_tables.py           # write the tables, draw the figures
    python benchmarks/render_tables.py --check   # change nothing; fail if a table is out of date

No benchmark is run: all numbers come from results/*.json, through the report that the benchmark
itself prints.
"""

import argparse
import ast
import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
from _common import RESULTS, machine
from _figures import IMAGES, OWN_FIGURES, REPRODUCTION
from _own_tables import OWN
from _paper import DESCRIBED
from _report import Table, number

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
TABLES = HERE.parent / "docs" / "rendered" / "benchmarks"
PAGES = [HERE.parent / "docs" / f"{name}.rst" for name in ("paper", "real_data", "results")]
START, END = "<!-- results:start -->", "<!-- results:end -->"


def load(name):
    """Return the content of results/<name>.json, None if it has not been run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def question(name):
    """Return the first sentence of the script's docstring."""
    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text()))
    return " ".join(text.split("\n\n")[0].split())


# -------------------------------------------------------------- the reproduction of the paper


def reproduction():
    """Return name -> (stored content, tables) of benchmarks with a draw of each case."""
    found = {}
    for name in REPRODUCTION:
        content = load(name)
        benchmark = importlib.import_module(name).BENCHMARK
        if content and set(benchmark.cases) <= set(content["results"]):
            found[name] = content, list(benchmark.report(content["results"]))
    return found


def draws(content):
    """Return the fewest and the most draws of a case, as text."""
    counts = [len(runs) for runs in content["results"].values()]
    return str(min(counts)) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"


def core_minutes(content):
    """Return the minutes of one core for all draws, scaled up from the timed ones."""
    seconds = 0.0
    for case, runs in content["results"].items():
        timed = list(content.get("cpu_seconds", {}).get(case, {}).values())
        if not timed:
            return float("nan")
        seconds += len(runs) * sum(timed) / len(timed)
    return seconds / 60


def verdicts(found):
    """Make one row per claim or bound, over all benchmarks."""
    rows = []
    for name, (_, tables) in found.items():
        for table in tables:
            if table.header[-1] == "verdict":
                rows += [[name, *_headline(table, row)] for row in table.rows if row[0]]
    header = ["benchmark", "claim or goal", "found", "p, t-test", "verdict"]
    return Table("What holds and what does not", header, rows, "claims")


def _headline(table, row):
    if "p, t-test" in table.header:
        p = row[table.header.index("p, t-test")]
        return [row[0], row[2], p, row[-1]]
    if table.name == "verdicts":  # of the bounds
        return [f"{row[0]}, {row[1]}, {row[2]}", f"{row[4]} of {row[3]} violated", "", row[-1]]
    return [row[0], row[1], "", row[-1]]


def runs_table(found):
    """List draws and times."""
    rows, total = [], np.zeros(2)
    for name, (content, _) in found.items():
        minutes = core_minutes(content), content["wall_minutes"]
        total += minutes
        n_cases = len(content["results"])
        rows.append([name, str(n_cases), draws(content), *(number(m, 1) for m in minutes)])
    rows.append(["all", "", "", *(number(m, 1) for m in total)])
    header = ["benchmark", "cases", "draws", "minutes of one core", "minutes waited"]
    return Table("What was run", header, rows, "runs")


def settings_table(settings):
    """List the settings and whether the paper states them."""
    rows = []
    for path, (what, stated) in DESCRIBED.items():
        value = settings
        for key in path.split("."):
            value = value[key]
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append([what, text, stated])
    return Table("Settings", ["setting", "value here", "in the paper"], rows, "settings")


# -------------------------------------------------------------- output


def rendered_docs(found):
    """Return path -> text of every table and figure of the documentation."""
    tables = {name: tables_ for name, (_, tables_) in found.items()}
    if found:
        first, _ = next(iter(found.values()))
        tables["summary"] = [verdicts(found), runs_table(found), settings_table(first["settings"])]
    texts = {f"{name}_{t.name}": t.rst() for name, some in tables.items() for t in some}
    machines = sorted({machine(content["environment"]) for content, _ in found.values()})
    texts["machine"] = "; ".join(machines) + "."
    for name, figures in REPRODUCTION.items():
        if name in found:
            texts |= {f"figure_{k}": _figure(f"paper/{k}", *words) for k, words in figures.items()}
    for name, make_tables in OWN.items():
        if content := load(name):
            texts |= {f"{name}_{t.name}": t.rst() for t in make_tables(content) if t.name}
            figures = OWN_FIGURES.get(name, {})
            texts |= {f"figure_{k}": _figure(k, *words) for k, words in figures.items()}
    # Tables that the pages include but that have not been run yet.
    shown = "".join(page.read_text() for page in PAGES)
    for wanted in re.findall(r"include:: rendered/benchmarks/(\w+)\.rst", shown):
        texts.setdefault(wanted, f"Not run yet: ``{wanted}``, see ``benchmarks/README.md``.")
    return {TABLES / f"{name}.rst": text + "\n" for name, text in texts.items()}


def _figure(path, alt, caption):
    lines = [f".. figure:: images/{path}.png", f"   :alt: {alt}"]
    return "\n".join(lines + ["", f"   {caption}"] * bool(caption))


def rendered_readme(text, found):
    """Return the README with the results between the markers rendered again."""
    if text.count(START) != 1 or text.count(END) != 1:
        raise SystemExit(f"benchmarks/README.md must hold {START} and {END} once each.")
    lines = []
    if found:
        lines += ["## The paper, reproduced", "", verdicts(found).markdown(), ""]
        lines += [runs_table(found).markdown(), ""]
    for name in REPRODUCTION:
        lines += [*_heading(name, " --jobs 2"), ""]
        if name not in found:
            lines += ["Not run yet.", ""]
            continue
        content, tables = found[name]
        lines += [f"{draws(content)} draws of the data. {machine(content['environment'])}.", ""]
        for table in tables:
            lines += [*_folded(table), ""]
        for figure, (alt, _) in REPRODUCTION[name].items():
            lines += [f"![{alt}](../docs/images/paper/{figure}.png)", ""]
    lines += ["## The library's own benchmarks", ""]
    for name, make_tables in OWN.items():
        content = load(name)
        lines += [*_heading(name), ""]
        if content is None:
            lines += ["Not run yet.", ""]
            continue
        lines += [f"{machine(content['environment'])}.", ""]
        for table in make_tables(content):
            lines += [*_folded(table), ""]
        for figure, (alt, _) in OWN_FIGURES.get(name, {}).items():
            lines += [f"![{alt}](../docs/images/{figure}.png)", ""]
    before, rest = text.split(START)
    return f"{before}{START}\n\n" + "\n".join(lines) + END + rest.split(END)[1]


def _heading(name, options=""):
    command = f"`python benchmarks/{name}.py{options}`"
    return [f"### {name}", "", f"**{question(name)}** {command}"]


def _folded(table):
    """Fold long tables and the parts of claims; the summary holds the claims."""
    if len(table.rows) <= 26 and table.name != "claims":
        return [table.markdown()]
    title, _, *lines = table.markdown().split("\n")
    summary = title.strip("*")
    return [f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"]


def stale(found):
    """List the files that differ from the stored results."""
    text = README.read_text()
    faults = [] if text == rendered_readme(text, found) else [README]
    texts = rendered_docs(found)
    faults += [p for p, t in texts.items() if not p.exists() or p.read_text() != t]
    faults += [p for p in sorted(TABLES.glob("*.rst")) if p not in texts]
    drawn = [IMAGES / f"{figure}.png" for name in found for figure in REPRODUCTION[name]]
    drawn += [
        IMAGES.parent / f"{figure}.png"
        for name, figures in OWN_FIGURES.items()
        if load(name)
        for figure in figures
    ]
    return faults + [p for p in drawn if not p.exists()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if out of date")
    options = parser.parse_args()
    found = reproduction()
    if not options.check:
        README.write_text(rendered_readme(README.read_text(), found))
        TABLES.mkdir(parents=True, exist_ok=True)
        texts = rendered_docs(found)
        for path in TABLES.glob("*.rst"):
            if path not in texts:
                path.unlink()
        for path, text in texts.items():
            path.write_text(text)
        contents = {name: content for name, (content, _) in found.items()}
        contents |= {name: load(name) for name in OWN_FIGURES if load(name)}
        for name, content in contents.items():
            benchmark = importlib.import_module(name).BENCHMARK
            if benchmark.figures:
                benchmark.figures(content["results"])
    faults = [str(path.relative_to(HERE.parent)) for path in stale(found)]
    if faults:
        print(f"Out of date: {', '.join(faults)}. Run python benchmarks/render_tables.py")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
