"""A plan as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from skcentrobind._training.plan import ModalitySpec, Plan, each_of


def plan_to_json(plan: Plan) -> dict:
    """Return what `json.dumps` takes; a user's own code becomes ``{"$code": type}``."""
    stored = {f.name: getattr(plan, f.name) for f in fields(plan)}
    return stored | {
        "modalities": [
            {f.name: _stored(getattr(spec, f.name)) for f in fields(spec)}
            for spec in plan.modalities
        ]
    }


def plan_from_json(stored: Mapping[str, Any], code: Mapping[str, Any] | None = None) -> Plan:
    """Make a plan from the result of `plan_to_json`, also after it has been JSON.

    Parameters
    ----------
    stored : dict
        The fields; tuples may be lists.
    code : dict of str to object, default=None
        Parameters `encoder` and `augmentation`, if they held code.

    Returns
    -------
    plan : Plan
    """
    known = {f.name for f in fields(Plan)}
    stored = {"shrinkage": None, "tried": (), "is_open": False, **stored}  # older files lack them
    if set(stored) != known:
        raise ValueError(f"the plan has the fields {sorted(stored)}, expected {sorted(known)}")
    names = [spec["name"] for spec in stored["modalities"]]
    given = {
        key: each_of(value, names, key)
        for key, value in (code or {}).items()
        if key in ("encoder", "augmentation")
    }
    modalities = []
    for m, entry in enumerate(stored["modalities"]):
        own = {key: given[key][m] for key in given if isinstance(entry[key], dict)}
        spec = ModalitySpec(**entry | own)
        if not isinstance(spec.encoder, str) and isinstance(spec.encoder, dict):
            raise ValueError(f"the encoder of '{spec.name}' is code that is not given")
        modalities.append(replace(spec, row_shape=tuple(map(int, spec.row_shape))))
    temperature = stored["temperature"]
    return Plan(
        **{
            **stored,
            "modalities": tuple(modalities),
            "hidden_layer_sizes": tuple(stored["hidden_layer_sizes"]),
            "tried": tuple(stored["tried"]),
            "regularizers": tuple((str(k), float(v)) for k, v in stored["regularizers"]),
            "temperature": tuple(temperature) if isinstance(temperature, list) else temperature,
        }
    )


def _stored(value: Any) -> Any:
    is_plain = value is None or isinstance(value, str | bool | int | float | tuple)
    return value if is_plain else {"$code": type(value).__name__}
