"""Embeddings from whatever can make them: a binding transformer, a pipeline, another library."""

from skcentrobind._data.modalities import Modalities
from skcentrobind.metrics._inputs import unpack


def embed(estimator, X):
    """Embed samples with any fitted estimator.

    Parameters
    ----------
    estimator : estimator or None
        With `transform_modalities`; a pipeline in which a step has it, after which nothing is
        applied; a search over one of these; a model whose `transform` takes and returns a list of
        arrays, one a modality, as in cca-zoo; or None if X already holds embeddings.
    X : Modalities, list, dict or whatever the estimator takes
        Samples.

    Returns
    -------
    Z : Modalities, list or dict
        Embeddings.
    """
    if estimator is None:
        return X
    if hasattr(estimator, "transform_modalities"):
        return estimator.transform_modalities(X)
    if hasattr(estimator, "best_estimator_"):
        return embed(estimator.best_estimator_, X)
    if hasattr(estimator, "steps"):
        return _embed_with_steps(estimator, X)
    kind = type(estimator).__name__
    if not hasattr(estimator, "transform"):
        raise TypeError(
            f"{kind} has neither transform_modalities nor transform; pass a fitted binding "
            "transformer, a pipeline with one, or None with embeddings in place of the samples."
        )
    names, arrays = unpack(X)
    views = estimator.transform(arrays)
    if not isinstance(views, list | tuple) or len(views) != len(arrays):
        got = f"{len(views)} arrays" if isinstance(views, list | tuple) else type(views).__name__
        raise TypeError(
            f"{kind}.transform was given {len(arrays)} modalities and returned {got}, expected a "
            "list of as many arrays. A binding transformer has transform_modalities; its output "
            "can be passed with estimator=None."
        )
    return Modalities(list(views), names)


def _embed_with_steps(pipeline, X):
    for _, step in pipeline.steps:
        if step is None or step == "passthrough":
            continue
        if _can_embed(step):
            return embed(step, X)
        if not hasattr(step, "transform"):
            break
        X = step.transform(X)
    names = [name for name, _ in pipeline.steps]
    raise TypeError(
        f"No step of the pipeline has transform_modalities, got the steps {names}; one of them "
        "must be a binding transformer such as CentroBindTransformer."
    )


def _can_embed(step):
    steps = [part for _, part in getattr(step, "steps", [])]
    return hasattr(step, "transform_modalities") or any(map(_can_embed, steps))
