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
from importlib.machinery import ModuleSpec
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


# Modules of version 0.1, which its pickles name and which are not there any more.
_OLD = (
    "_apply _augment _base _batches _build _centrobind _device _docstrings _embedding _fitted "
    "_fixed_anchor _gcca _gramian _initial _inputs _items _layers _layout _loading "
    "_modalities _module _net _onnx _output _pairwise _parameters _per_modality _plain "
    "_principal _saving _serving _sparse_rows _spectral _split _symile _validation _values "
    "_whitening anchors._aggregators losses._anchor losses._functional losses._separated "
    "losses._temperature "
)


class _OldModules:
    """Finder of last resort, and loader that says what to do about a pickle of version 0.1."""

    names = frozenset(f"{__package__}.{name}" for name in _OLD.split())

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find modules of version 0.1, and nothing else."""
        return ModuleSpec(fullname, cls) if fullname in cls.names else None  # type: ignore[arg-type]  # a class loads as well as an instance

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Raise instead of making a module."""
        raise ModuleNotFoundError(
            f"There is no module {spec.name!r} any more. If a pickle names it, skcentrobind 0.1 "
            "wrote that pickle, and pickles are read by the version that wrote them: load it "
            "there, save estimators with estimator.save(path), which skcentrobind.load reads in "
            "later versions, and data as plain arrays.",
            name=spec.name,
        )

    exec_module = None


def explain_old_pickles() -> None:
    """Let pickles of version 0.1, whose modules have moved, fail with an error that helps."""
    if _OldModules not in sys.meta_path:
        sys.meta_path.append(_OldModules)
