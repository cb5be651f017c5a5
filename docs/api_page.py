"""Write `api.rst`, the reference of all public names; `conf.py` calls this before each build.

The prose is in `_templates/api.rst`. The lists are derived from the table of public names and the
`__all__` of the packages, so that a new name appears without a change here.
"""

import importlib
import inspect
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from skcentrobind._public import estimator_modules, table

HERE = Path(__file__).resolve().parent

#: Packages whose functions are listed by file: `metrics/_probes.py` makes a list "Probes".
BY_FILE = {"metrics"}


def write(path):
    """Write the page unless it is up to date, since Sphinx reads again what has changed."""
    text = render()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def render():
    """Return the text of the page."""
    names = [name for name, module in table().items() if module and not name.startswith("__")]
    rooms = {module.rpartition(".")[0] for module in estimator_modules().values()}
    beside = [name for name in names if table()[name].rpartition(".")[0] in rooms]
    source = (HERE / "_templates" / "api.rst").read_text(encoding="utf-8")
    options = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    return (
        Environment(undefined=StrictUndefined, **options)
        .from_string(source)
        .render(
            estimators=sorted(beside, key=lambda name: name not in estimator_modules()),
            others=[name for name in names if name not in beside],
            packages=[describe(name) for name, module in table().items() if not module],
        )
    )


def describe(package):
    """Return what the template needs to know about a package.

    Parameters
    ----------
    package : str
        Its name below `skcentrobind`.

    Returns
    -------
    package : dict
        "name", "title", "lists" (pairs of a caption and names) and "data" (names of constants).
    """
    module = importlib.import_module(f"skcentrobind.{package}")
    public = {name: getattr(module, name) for name in module.__all__}
    classes = {name: thing for name, thing in public.items() if inspect.isclass(thing)}
    functions = {name: thing for name, thing in public.items() if inspect.isfunction(thing)}
    bases = tuple(cls for name, cls in classes.items() if name.startswith("Base"))
    ready = [
        name
        for name, cls in classes.items()
        if not bases or (issubclass(cls, bases) and cls not in bases)
    ]
    lists = {"Classes": ready}
    if package in BY_FILE:
        for name, function in functions.items():
            caption = function.__module__.rpartition("._")[2].capitalize()
            lists.setdefault(caption, []).append(name)
    else:
        lists["Functions"] = list(functions)
    lists["To write your own"] = [name for name in classes if name not in ready]
    filled = [(caption, names) for caption, names in lists.items() if names]
    return {
        "name": package,
        "title": package.replace("_", " ").capitalize(),
        "lists": [
            (caption if len(filled) > 1 else "", [f"{package}.{name}" for name in names])
            for caption, names in filled
        ],
        "data": [name for name in public if name not in classes and name not in functions],
    }
