"""Which modality a name, a position, or an entry of a list or dict belongs to."""

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral


def is_integer(value: object) -> bool:
    """Return whether a value is a whole number, of Python or numpy; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def did_you_mean(word: object, candidates: Iterable[object]) -> str:
    """Return the end of an error message about a word that is none of the candidates.

    Parameters
    ----------
    word : object
        What was given. Only a str can be misspelt: anything else gets no hint.
    candidates : iterable of object
        What is possible.

    Returns
    -------
    hint : str
        " Did you mean 'x'?", or "" if no candidate is close.
    """
    if not isinstance(word, str):
        return ""
    close = get_close_matches(word, [str(candidate) for candidate in candidates], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def is_index(value):
    """Whether a value can stand for a position."""
    # Arrays have __index__, too, of whatever length they are.
    is_number = hasattr(value, "__index__") and not getattr(value, "shape", ())
    return is_number and not isinstance(value, bool)


def position_of(modality, names):
    """Return the position of a modality, or None if there is no such one.

    Parameters
    ----------
    modality : str or int
        Its name or position, the latter also from the end.
    names : list of str
        The modalities.

    Returns
    -------
    position : int or None
        From 0 on.
    """
    if isinstance(modality, str):
        return names.index(modality) if modality in names else None
    if is_index(modality) and -len(names) <= modality < len(names):
        return range(len(names))[modality]
    return None


def per_modality(value, names, parameter):
    """Spread a parameter that may be one value, a list or a dict over the modalities.

    Parameters
    ----------
    value : object, list, tuple or dict
        One value for all, one a modality in their order, or one by name.
    names : list of str
        The modalities.
    parameter : str
        Name of the parameter, for messages.

    Returns
    -------
    values : list
        One a modality.

    Raises
    ------
    ValueError
        If a list or dict does not have one entry for each modality.
    """
    if isinstance(value, dict):
        value = {str(key): entry for key, entry in value.items()}  # as names of modalities are
        missing = [name for name in names if name not in value]
        unknown = [key for key in value if key not in names]
        if missing or unknown:
            raise ValueError(
                f"{parameter} must have one entry for each of the modalities {names}: "
                f"{missing} have none, and {unknown} are no modalities."
            )
        return [value[name] for name in names]
    if isinstance(value, list | tuple):
        if len(value) != len(names):
            raise ValueError(
                f"{parameter} has {len(value)} entries for the {len(names)} modalities {names}; "
                "give one for each, or a single value for all."
            )
        return list(value)
    return [value] * len(names)
