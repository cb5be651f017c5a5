"""Tables of the library's own benchmarks, which are not about the paper."""

import importlib

from _report import Table, number


def fit_tables(content):
    """Make the tables of bench_fit."""
    header = ["threads", "batch", "hand-written, s", "skorch default, s", "skcentrobind, s"]
    header += ["hand-written / ours", "skorch / ours", "losses differ by"]
    rows = []
    for fit in content["fit"]:
        seconds = [fit["seconds"][k] for k in ("hand-written", "skorch default", "skcentrobind")]
        ratios = [fit["ratio_hand_written"], fit["ratio_skorch_default"]]
        figures = [number(v, 2) for v in (*seconds, *ratios)]
        sizes = [fit["threads"], fit["batch_size"]]
        rows.append([*sizes, *figures, f"{fit['loss_relative_difference']:.1g}"])
    title = f"fit, {content['epochs']} epochs, medians of {content['repeats']} repeats"
    yield Table(title, header, rows)
    header = ["threads", "batch", "hand-written, ms", "ours, ms", "hand-written / ours"]
    header += ["hand-written, MB", "ours, MB"]
    rows = []
    for loss in content["loss"]:
        ms, mb = loss["milliseconds"], loss["memory_MB"]
        figures = [ms["hand-written"], ms["skcentrobind"], loss["ratio"]]
        figures += [mb["hand-written"], mb["skcentrobind"]]
        rows.append([loss["threads"], loss["batch_size"], *(number(v, 2) for v in figures)])
    yield Table("loss and gradient alone, medians", header, rows)


def digits_tables(content):
    """Make the tables of bench_digits."""
    for modalities, methods in content["results"].items():
        columns = list(next(iter(methods.values())))
        rows = [
            [method, *(f"{mean:.3f} ({sd:.3f})" for mean, sd in figures.values())]
            for method, figures in methods.items()
        ]
        title = f"{modalities}, {content['splits']} splits, mean (s.d.)"
        name = "five" if modalities.startswith("5") else "six"
        yield Table(title, ["method", *columns], rows, name)


def scaling_tables(content):
    """Make the tables of bench_scaling."""
    columns = ["n_samples", "dtype", "data_MB", "seconds", "us_per_sample_and_epoch"]
    columns.append("added_memory_over_data")
    rows = [
        [row[c] if c != "data_MB" else f"{row[c]:.0f}" for c in columns] for row in content["rows"]
    ]
    title = f"fit, {content['epochs']} epochs, medians of {content['repeats']} repeats"
    yield Table(title, [c.replace("_", " ") for c in columns], rows)


def retrieval_tables(content):
    """Make the tables of bench_retrieval."""
    header = ["samples", "modalities", "components", "queries, galleries", "seconds"]
    header += ["seconds of cores", "peak MB"]
    rows = []
    for row in content["rows"]:
        sizes = [row[c] for c in ("n_samples", "n_modalities", "n_components", "rows")]
        rows.append([*sizes, *(number(row[c], 1) for c in ("seconds", "cpu_seconds"))])
        rows[-1].append(f"{row['peak_MB']:.0f}")
    title = f"retrieval_report, {content['threads']} threads, medians of {content['repeats']} runs"
    yield Table(title, header, rows)


def memory_tables(content):
    """Make the tables of bench_memory."""
    header = ["data", "samples", "columns", "stored, MB", "as dense float32, MB"]
    header += ["weights, MB", "fit adds, MB", "fit, s", "transform adds, MB", "transform, s"]
    kinds = {"sparse": "sparse matrix and a table", "mapped": "two memory maps"}
    keys = ["stored_MB", "dense_MB", "parameters_MB", "fit_added_MB", "fit_seconds"]
    keys += ["transform_added_MB", "transform_seconds"]
    rows = [
        [kinds[row["kind"]], row["n_samples"], row["width"], *(f"{row[k]:,.0f}" for k in keys)]
        for row in content["rows"]
    ]
    yield Table("One epoch of fit, and transform into a memory map", header, rows, "all")


def choice_tables(content):
    """Make the table of bench_choice."""
    header = ["data", "default, s", "former default, s", "ratio", "choice, s", "of the fit"]
    header += ["takes a kernel", "KGCCA search, s", "ratio to the default"]
    rows = []
    for name, row in content["rows"].items():
        seconds = [number(row[c], 2) for c in ("default", "former default")]
        share = f"{row['choice as a share of the fit']:.0%}"
        cells = [name, *seconds, number(row["times the former default"], 1)]
        cells += [number(row["choice"], 2), share, "yes" if row["takes a kernel"] else "no"]
        search = ["", ""]
        if "KGCCA search" in row:
            search = [number(row["KGCCA search"], 1), number(row["default within KGCCA search"], 1)]
        rows.append([*cells, *search])
    title = f"Seconds of CPU, medians of {content['repeats']} runs"
    yield Table(title, header, rows, "seconds")


def _reported_by(name):
    """Return a function that makes the tables which the benchmark itself prints."""

    def tables(content):
        return importlib.import_module(name).BENCHMARK.report(content["results"])

    return tables


OWN = {
    "bench_emoji": _reported_by("bench_emoji"),
    "bench_stamps": _reported_by("bench_stamps"),
    "bench_omics": _reported_by("bench_omics"),
    "bench_ablation": _reported_by("bench_ablation"),
    "bench_objectives": _reported_by("bench_objectives"),
    "bench_signs": _reported_by("bench_signs"),
    "bench_methods": _reported_by("bench_methods"),
    "bench_digits": digits_tables,
    "bench_missing": _reported_by("bench_missing"),
    "bench_groups": _reported_by("bench_groups"),
    "bench_duplicates": _reported_by("bench_duplicates"),
    "bench_tuning": _reported_by("bench_tuning"),
    "bench_fit": fit_tables,
    "bench_choice": choice_tables,
    "bench_memory": memory_tables,
    "bench_retrieval": retrieval_tables,
    "bench_scaling": scaling_tables,
}
