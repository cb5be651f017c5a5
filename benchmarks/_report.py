"""Tables, paired tests and claims of the reproduction."""

import io
from csv import writer
from dataclasses import dataclass

import numpy as np
from scipy import stats

#: Below this a claim counts as shown.
LEVEL = 0.05


@dataclass
class Table:
    """Rows of strings, to be shown on a terminal, in Markdown or in reStructuredText.

    The name distinguishes it from the other tables of its benchmark.
    """

    title: str
    header: list
    rows: list
    name: str = ""

    def _cells(self):
        return [[str(cell) for cell in row] for row in [self.header, *self.rows]]

    def text(self):
        """Return columns of equal width."""
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
        return "\n".join([self.title, "-" * len(self.title), *lines])

    def markdown(self):
        """Return a table of GitHub's Markdown."""
        lines = ["| " + " | ".join(row) + " |" for row in self._cells()]
        lines.insert(1, "|" + " --- |" * len(self.header))
        return "\n".join([f"**{self.title}**", "", *lines])

    def rst(self):
        """Return a csv-table directive."""
        buffer = io.StringIO()
        writer(buffer, lineterminator="\n").writerows(self._cells())
        lines = [f"   {line}" for line in buffer.getvalue().splitlines()]
        return "\n".join([f".. csv-table:: {self.title}", "   :header-rows: 1", "", *lines])


def number(value, digits=3, sign=False):
    """Format with fixed digits, and no minus before a zero."""
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    zeros = text.lstrip("+-")
    return zeros if float(text) == 0 else text


def spread(values, digits=3):
    """Format mean and standard deviation over the draws."""
    sd = f" ({np.std(values, ddof=1):.{digits}f})" if len(values) > 1 else ""
    return number(np.mean(values), digits) + sd


def p_value(p):
    """Format with two significant digits."""
    return "n/a" if np.isnan(p) else "<0.0001" if p < 1e-4 else f"{p:.2g}"


def series(runs, row, column):
    """Return one cell over the draws of a case; a column may be a function of the row."""
    if callable(column):
        return np.array([column(run[row]) for run in runs.values()])
    return np.array([run[row][column] for run in runs.values()])


@dataclass
class Comparison:
    """Outcome of a paired test over the draws."""

    what: str
    mean: float
    sd: float
    p: float
    p_wilcoxon: float
    n: int

    @property
    def holds(self):
        """Whether it is shown at the level of 5 %."""
        return bool(self.p < LEVEL)


def signed_ranks(differences):
    """Return the exact one-sided p-value of Wilcoxon's test; scipy's handling of ties changed."""
    differences = differences[differences != 0]
    doubled = (2 * stats.rankdata(np.abs(differences))).astype(int)  # whole numbers despite ties
    chances = np.ones(1)  # of each sum of those that a coin picks
    for rank in doubled:
        chances = np.convolve(chances, np.bincount([0, rank]) / 2)
    return chances[doubled[differences > 0].sum() :].sum()


def greater(a, b, what="", margin=0.0):
    """Test whether a exceeds b by more than a margin, draw by draw; one-sided.

    Parameters
    ----------
    a, b : array-like of shape (n_draws,)
        Paired figures; b may be one number.
    what : str, default=""
        Label in the table.
    margin : float, default=0.0
    """
    a = np.asarray(a, dtype=float)
    b = np.broadcast_to(np.asarray(b, dtype=float), a.shape)
    shifted = b + margin
    p = p_wilcoxon = float("nan")
    if len(a) > 1:
        if np.ptp(a - shifted) > 1e-9:
            p = stats.ttest_rel(a, shifted, alternative="greater").pvalue
        else:  # no spread: the test has nothing to divide by
            p = float(np.mean(a - shifted) <= 0)
        p_wilcoxon = signed_ranks(a - shifted)
    sd = np.std(a - b, ddof=1) if len(a) > 1 else float("nan")
    return Comparison(what, np.mean(a - b), sd, float(p), float(p_wilcoxon), len(a))


def within(a, b, bound, what=""):
    """Test whether a and b differ by less than a bound: two one-sided paired tests."""
    up, down = greater(a, b, what, -bound), greater(b, a, what, -bound)
    p, p_wilcoxon = max(up.p, down.p), max(up.p_wilcoxon, down.p_wilcoxon)
    return Comparison(what, up.mean, up.sd, p, p_wilcoxon, up.n)


def claims_table(claims, title="Claims"):
    """Judge claims; one with several parts holds if all of them do.

    Parameters
    ----------
    claims : list of (str, list of Comparison)
    """
    rows = []
    for claim, parts in claims:
        verdict = "holds" if all(part.holds for part in parts) else "does not hold"
        p, p_wilcoxon = max(part.p for part in parts), max(part.p_wilcoxon for part in parts)
        many = len(parts) > 1
        total = ["all parts", ""] if many else [parts[0].what, _difference(parts[0])]
        rows.append([claim, *total, p_value(p), p_value(p_wilcoxon), verdict])
        for part in parts if many else ():
            figures = [_difference(part), p_value(part.p), p_value(part.p_wilcoxon)]
            rows.append(["", part.what, *figures, "yes" if part.holds else "no"])
    header = ["claim", "compared", "difference (s.d.)", "p, t-test", "p, Wilcoxon", "verdict"]
    return Table(title, header, rows, "claims")


def _difference(part):
    sd = "" if np.isnan(part.sd) else f" ({part.sd:.3f})"
    return number(part.mean, 3, sign=True) + sd


def beside_paper(runs, paper, columns, row_name="{backbone}/{method}"):
    """Make rows ours, paper, difference for each backbone and method.

    Parameters
    ----------
    runs : dict of seed to dict
    paper : dict of backbone to dict of method to tuple of float
    columns : list of str

    Returns
    -------
    rows : list of list of str
    differences : dict of (backbone, method, column) to float
    """
    rows, differences = [], {}
    for backbone, methods in paper.items():
        for method, cells in methods.items():
            row = row_name.format(backbone=backbone, method=method)
            values = [series(runs, row, column) for column in columns]
            offsets = [np.mean(v) - cell for v, cell in zip(values, cells, strict=True)]
            differences |= {(backbone, method, c): x for c, x in zip(columns, offsets, strict=True)}
            rows.append([backbone, method, "ours (s.d.)", *map(spread, values)])
            rows.append(["", "", "paper", *(number(cell) for cell in cells)])
            rows.append(["", "", "difference", *(number(x, 3, sign=True) for x in offsets)])
    return rows, differences


def agreement_row(label, differences):
    """Give mean absolute and largest difference from the paper, with the cell of the latter."""
    sizes = {cell: abs(x) for cell, x in differences.items()}
    worst = max(sizes, key=sizes.get)
    mean = np.mean(list(sizes.values()))
    return [label, str(len(sizes)), number(mean, 4), number(sizes[worst]), ", ".join(worst)]
