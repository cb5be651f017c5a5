"""Names: of modalities and their positions, of parameters per modality, of optional libraries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from operator import index
from typing import Any


def is_integer(value: object) -> bool:
    """Return whether a value is one whole number, of Python or of numpy; True and False are not."""
    # numpy's bool has an index in old releases; its kind of dtype is "b".
    if isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b":
        return False
    try:
        index(value)  # type: ignore[arg-type]  # what has no __index__ raises, as wanted
    except TypeError:
        return False
    return True


def did_you_mean(word: object, candidates: Iterable[object]) -> str:
    """Return a hint for an error message about an unknown word.

    Parameters
    ----------
    word : object
        What was given. Only a str can be misspelt: anything else gets no hint.
    candidates : iterable of object
        Valid words.

    Returns
    -------
    hint : str
        " Did you mean 'x'?", or "" if no candidate is close.
    """
    if not isinstance(word, str):
        return ""
    close = get_close_matches(word, [str(candidate) for candidate in candidates], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def distinct_names(names: Any, n_modalities: int) -> tuple[str, ...]:
    """Return names of modalities as distinct str.

    Parameters
    ----------
    names : sequence of length n_modalities
        Anything that `str` turns into names.
    n_modalities : int
        How many there must be.

    Returns
    -------
    names : tuple of str
    """
    if not isinstance(names, Collection) or isinstance(names, str | bytes | set | frozenset):
        raise TypeError(f"Got names={names!r}, expected a list of {n_modalities} string(s).")
    names = tuple(map(str, names))
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if len(names) != n_modalities:
        raise ValueError(
            f"Got {len(names)} names {names} for {n_modalities} arrays, expected one per array."
        )
    if repeated or "" in names:
        wrong = f"duplicate names: {repeated}" if repeated else "an empty name"
        raise ValueError(f"Got {wrong}, in {names}. Give each array a name of its own.")
    return names


def position_of(modality: Any, names: Sequence[str]) -> int | None:
    """Return the position of a modality, or None if it is unknown.

    Parameters
    ----------
    modality : str or int
        Its name or position, the latter also from the end. An int that is a name, as in
        ``{1: image, 0: text}``, means that name.
    names : sequence of str
        The modalities.

    Returns
    -------
    position : int or None
        From 0 on.
    """
    if isinstance(modality, str):
        return list(names).index(modality) if modality in names else None
    if not is_integer(modality):
        return None
    position = index(modality)
    if str(position) in names:
        return list(names).index(str(position))
    return range(len(names))[position] if -len(names) <= position < len(names) else None


def per_modality(value: Any, names: Sequence[str], parameter: str) -> list:
    """Resolve a list or a dict to one value per modality.

    Parameters
    ----------
    value : list, tuple or dict
        One value per modality, in their order or by name.
    names : sequence of str
        The modalities.
    parameter : str
        Name of the parameter, for messages.

    Returns
    -------
    values : list
        One per modality.

    Raises
    ------
    ValueError
        If a list or dict does not have one entry per modality.
    """
    names = list(names)
    if isinstance(value, Mapping):
        # Names of modalities are str, too.
        value = dict(zip(distinct_names(value, len(value)), value.values(), strict=True))
        missing = [name for name in names if name not in value]
        unknown = [key for key in value if key not in names]
        if missing or unknown:
            raise ValueError(
                f"{parameter} must have one entry for each of the modalities {names}: "
                f"{missing} have none, and {unknown} are no modalities."
            )
        return [value[name] for name in names]
    if len(value) != len(names):
        raise ValueError(
            f"{parameter} has {len(value)} entries for the {len(names)} modalities {names}; "
            "give one for each, or a single value for all."
        )
    return list(value)


def refuse_equal_columns(names: Sequence[str]) -> None:
    """Refuse modalities whose output with both heads would have columns of the same name.

    Parameters
    ----------
    names : sequence of str
        The modalities.

    Raises
    ------
    ValueError
        If one is called like the second head of another.
    """
    for name in names:
        if f"{name}_specific" in names:
            raise ValueError(
                f"output='all' would give the second head of modality {name!r} and the modality "
                f"'{name}_specific' columns of the same name, '{name}_specific_0': rename one of "
                "the modalities."
            )


def optional(module: str, what: str, extra: str = "", package: str = "") -> Any:
    """Return a module of an optional library.

    Parameters
    ----------
    module : str
        Its full name.
    what : str
        What needs it, the start of a sentence.
    extra : str, default=""
        The extra of this package that installs it.
    package : str, default=""
        Name under which it is installed if no extra does.

    Returns
    -------
    module : module

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as exc:
        name = package or module.partition(".")[0]
        source = f", which comes with the extra `{extra}`" if extra else ", which is not installed"
        target = f"'skcentrobind[{extra}]'" if extra else name
        raise ImportError(f"{what} needs {name}{source}: pip install {target}") from exc
