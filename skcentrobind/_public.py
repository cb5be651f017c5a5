"""The version and the public names of the package, which are listed in one table, `__init__.pyi`.

Type checkers read this stub as it is. Lazy loading, `__all__`, the classes that `load` may name,
the API pages and the common tests are derived from it, as SPEC 1 of Scientific Python proposes.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

__version__ = "0.2.0.dev0"

_ESTIMATORS = "skcentrobind._estimators."


@cache
def table() -> dict[str, str]:
    """Return the module of every public name, "" for the subpackages."""
    stub = ast.parse((files("skcentrobind") / "__init__.pyi").read_text(encoding="utf-8"))
    return {
        alias.name: "" if node.module == "skcentrobind" else node.module or ""
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def estimator_modules() -> dict[str, str]:
    """Return the module of every estimator."""
    return {
        name: module
        for name, module in table().items()
        if module.startswith(_ESTIMATORS) and name[0].isupper()
    }


def estimator_classes() -> dict[str, type]:
    """Return the estimators by public name, the classes that files may name."""
    return {
        name: getattr(import_module(module), name) for name, module in estimator_modules().items()
    }


def attach(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of the package.

    Parameters
    ----------
    package : str
        Its name.
    """
    names = table()

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = names[name]
        if not module:
            return import_module(f"{package}.{name}")
        return getattr(import_module(module), name)

    def __dir__() -> list[str]:
        return sorted(names)

    return __getattr__, __dir__, sorted(name for name, module in names.items() if module)


class _OldModules:
    """Import finder that explains what to do if a pickle names a module that has moved."""

    names = (
        "_centrobind",
        "_fixed_anchor",
        "_gramian",
        "_modalities",
        "_pairwise",
        "_per_modality",
        "_principal",
        "_symile",
        "_whitening",
    )

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> None:
        """Raise for a module of version 0.1, and return None for all others."""
        if fullname.removeprefix(f"{__package__}.") in cls.names:
            raise ModuleNotFoundError(
                f"There is no module {fullname!r} any more. If this comes from a pickle, it was "
                "written by skcentrobind 0.1, and pickles are read by the version that wrote "
                "them: load it there, save it with estimator.save(path), and read that file with "
                "skcentrobind.load.",
                name=fullname,
            )


def explain_old_pickles() -> None:
    """Make pickles of version 0.1, whose modules have moved, fail with a helpful error."""
    if _OldModules not in sys.meta_path:
        sys.meta_path.append(_OldModules)
