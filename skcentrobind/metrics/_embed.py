"""Embed samples with a binding transformer, a pipeline, a search or another library."""

from typing import Any

from sklearn.exceptions import NotFittedError

from skcentrobind._data.modalities import Modalities
from skcentrobind.metrics._inputs import EmbeddingsLike, unpack


def embed(estimator: Any, X: Any) -> EmbeddingsLike:
    """Embed samples with any fitted estimator.

    Parameters
    ----------
    estimator : estimator or None
        A binding transformer, that is an estimator with `transform_modalities`; a pipeline with
        one as a step, after which nothing is applied; a search over one of these; a model whose
        `transform` takes and returns a list of arrays, one per modality, as in cca-zoo; or None
        if X already holds embeddings.
    X : Modalities, list, dict or any input of the estimator
        Samples.

    Returns
    -------
    Z : Modalities, list or dict of arrays of shape (n_samples, n_components)
        Embeddings.

    Raises
    ------
    TypeError
        If the estimator cannot embed modalities.
    NotFittedError
        If the estimator is not fitted, or is a search without a refitted estimator.
    """
    if estimator is None:
        return X
    if hasattr(estimator, "transform_modalities"):
        return estimator.transform_modalities(X)
    if _is_search(estimator):
        return embed(_best_estimator(estimator), X)
    if hasattr(estimator, "steps"):
        return _embed_with_steps(estimator, X)
    return _embed_with_transform(estimator, X)


def binding_step(estimator: Any) -> Any:
    """Find the binding transformer in a pipeline or search.

    Parameters
    ----------
    estimator : object
        A binding transformer, a pipeline or search that contains one, or anything else.

    Returns
    -------
    binding : estimator or None
        The first estimator with `transform_modalities`; None if there is none.

    Raises
    ------
    NotFittedError
        If a search has no refitted estimator.
    """
    if hasattr(estimator, "transform_modalities"):
        return estimator
    if _is_search(estimator):
        return binding_step(_best_estimator(estimator))
    found = (binding_step(step) for _, step in getattr(estimator, "steps", []))
    return next((step for step in found if step is not None), None)


def _is_search(estimator: object) -> bool:
    # Some estimators other than searches, such as LogisticRegressionCV, have `refit` as well.
    return hasattr(estimator, "refit") and hasattr(estimator, "estimator")


def _best_estimator(search: Any) -> Any:
    if not hasattr(search, "best_estimator_"):
        raise NotFittedError(
            f"This {type(search).__name__} has no best_estimator_; fit it with refit=True, or with "
            "the name of a scorer if it has several."
        )
    return search.best_estimator_


def _embed_with_steps(pipeline: Any, X: Any) -> EmbeddingsLike:
    for _, step in pipeline.steps:
        if step is None or step == "passthrough":
            continue
        if binding_step(step) is not None:
            return embed(step, X)
        if not hasattr(step, "transform"):
            break
        X = step.transform(X)
    names = [name for name, _ in pipeline.steps]
    raise TypeError(
        f"No step of the pipeline has transform_modalities, got the steps {names}; one of them "
        "must be a binding transformer such as CentroBindTransformer."
    )


def _embed_with_transform(model: Any, X: Any) -> Modalities:
    """Embed with a model of another library, whose `transform` maps a list to a list."""
    kind = type(model).__name__
    if not hasattr(model, "transform"):
        raise TypeError(
            f"{kind} has neither transform_modalities nor transform; pass a fitted binding "
            "transformer, a pipeline or search with one, or None with embeddings instead of the "
            "samples."
        )
    names, arrays = unpack(X)
    embedded = model.transform(arrays)
    is_list = isinstance(embedded, list | tuple)
    if not is_list or len(embedded) != len(arrays):
        got = f"{len(embedded)} arrays" if is_list else type(embedded).__name__
        raise TypeError(
            f"{kind}.transform was given {len(arrays)} modalities and returned {got}, expected a "
            "list of as many arrays. A binding transformer has transform_modalities; its output "
            "can be passed with estimator=None."
        )
    return Modalities(list(embedded), names)
