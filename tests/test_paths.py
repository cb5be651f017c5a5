"""The samples pass few files, and the estimator does not travel with them."""

import ast
import re
import sys
from pathlib import Path

import pytest

import skcentrobind
from skcentrobind import CentroBindTransformer
from skcentrobind.datasets import make_multimodal_gmm

PACKAGE = Path(skcentrobind.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ESTIMATORS = PACKAGE / "_estimators"

#: Measures and pictures are about estimators: they take them.
ABOUT_ESTIMATORS = {"metrics", "plotting"}


def visits_of(run, until=None):
    """Names of the package's files whose functions are entered, in turn, up to one of `until`."""
    visits, done = [], False
    unnamed = {"<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>", "<lambda>", "<module>"}

    def on_event(frame, event, arg):
        nonlocal done
        code = frame.f_code
        if done or event != "call" or code.co_name in unnamed:
            return
        if not code.co_filename.startswith(str(PACKAGE)):
            return
        name = str(Path(code.co_filename).relative_to(PACKAGE))
        if not visits or visits[-1] != name:
            visits.append(name)
        done = name == until and code.co_name != "__init__"

    sys.setprofile(on_event)
    try:
        run()
    finally:
        sys.setprofile(None)
    return visits


@pytest.fixture(scope="module")
def fitted():
    X, _ = make_multimodal_gmm(100, random_state=0)
    options = {"n_components": 8, "random_state": 0, "device": "cpu", "max_epochs": 1}
    options |= {"encoder": "residual", "shrinkage": "oas"}
    return CentroBindTransformer(**options).fit(list(X.arrays)), list(X.arrays)


def test_way_to_the_loss(fitted):
    bind, arrays = fitted
    visits = visits_of(lambda: bind.fit(arrays), until="losses/_info_nce.py")
    assert visits[-1] == "losses/_info_nce.py"
    assert len(set(visits)) <= 14, sorted(set(visits))
    assert len(visits) - 1 <= 45, visits


def test_way_to_the_embedding(fitted):
    bind, arrays = fitted
    visits = visits_of(lambda: bind.transform(arrays))
    assert len(set(visits)) <= 9, sorted(set(visits))
    assert len(visits) - 1 <= 25, visits


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_free_function_takes_an_estimator(path):
    if path.relative_to(PACKAGE).parts[0] in ABOUT_ESTIMATORS:
        return
    tree = ast.parse(path.read_text())
    methods = {f for c in ast.walk(tree) if isinstance(c, ast.ClassDef) for f in ast.walk(c)}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function not in methods:
            names = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
            assert "estimator" not in names, function.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_state_of_estimators_stays_with_them(path):
    if ESTIMATORS not in path.parents:
        assert not re.search(r"\b(estimator|bind)\._[a-z]", path.read_text())


def test_little_has_to_be_listed_for_saving(fitted):
    # All that fit sets beside what it computes from the schema, the plan and the net.
    bind, _ = fitted
    set_in_fit = set(vars(bind)) - set(bind.get_params(deep=False))
    assert set_in_fit == {"_schema", "_plan", "scalers_", "net_"}
