"""What scikit-learn demands of every transformer, without a single exception."""

import inspect
from collections import Counter

import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator
from sklearn.utils.fixes import parse_version

CONFIGURATIONS = {
    "two heads": {"n_specific_components": 2, "output": "all"},
    "concat": {"output": "concat"},
    "mean": {"output": "mean"},
    "mlp": {"encoder": "mlp"},
    "linear": {"encoder": "linear"},
    "pretrained": {"pretrain_epochs": 1},
    "plain": {"augmentation": None, "standardize": False},
    # The checks bring matrices of many widths; each is cut into its last column and all others.
    "cut": {"modalities": [slice(-1, None), slice(0, -1)]},
    "named cut": {"modalities": {"a": slice(-1, None), "b": slice(0, -1)}, "output": "mean"},
}

# Public checks that `check_estimator` leaves out, and why they apply: `set_output` and
# `get_feature_names_out` are supported, and nothing is changed in place.
FURTHER_CHECKS = [
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
]


class PlainTransformer(TransformerMixin, BaseEstimator):
    """A transformer with default tags: scikit-learn skips no check."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


def names_of_checks(estimator):
    checks = [check for _, check in estimator_checks_generator(estimator)]
    return Counter(getattr(check, "func", check).__name__ for check in checks)


def explain(results):
    return "\n".join(
        f"{r['check_name']}: {r['status']} {r['exception']!r}"
        for r in results
        if r["status"] != "passed"
    )


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_check_estimator(binder, configuration):
    estimator = binder(**CONFIGURATIONS[configuration])
    # on_fail=None collects; a check that is skipped (say, for want of SCIPY_ARRAY_API=1, see
    # conftest.py) is a check that did not run.
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert {r["status"] for r in results} == {"passed"}, explain(results)
    assert not any(r["expected_to_fail"] for r in results)
    assert len(results) == names_of_checks(estimator).total()


def test_check_estimator_with_default_parameters(binder):
    # Only the numbers of epochs differ from what a user gets.
    estimator = type(binder())(max_epochs=2, pretrain_epochs=1)
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert {r["status"] for r in results} == {"passed"}, explain(results)


def test_no_check_is_avoided(binder):
    ours = names_of_checks(binder())
    assert ours == names_of_checks(PlainTransformer())
    if parse_version(sklearn.__version__) >= parse_version("1.9"):
        assert ours["check_array_api_input"] >= 1
        assert ours.total() >= 47


# The checks for pandas fit a DataFrame and transform an array, and the other way round, of which
# every transformer warns.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names, but")
@pytest.mark.parametrize("name", FURTHER_CHECKS)
@pytest.mark.parametrize("output", ["concat", "mean"])
def test_further_checks(binder, output, name):
    estimator = binder(output=output)
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)


def test_constructor_only_stores(binder):
    cls = type(binder())
    sentinels = {name: object() for name in inspect.signature(cls).parameters}
    stored = vars(cls(**sentinels))
    assert stored == sentinels
