"""The table of public names, `skcentrobind/__init__.pyi`, says what there is at run time."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import skcentrobind

PACKAGE = Path(skcentrobind.__file__).parent

SUBPACKAGES = sorted(
    path.parent.name for path in PACKAGE.glob("*/__init__.py") if path.parent.name[0] != "_"
)


def rows_of(path):
    """Module, name and alias of everything that a file imports at its top level."""
    return [
        (f"skcentrobind.{path.parent.name}.{node.module}" if node.level else node.module, alias)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


STUB = [(module, alias.name, alias.asname) for module, alias in rows_of(PACKAGE / "__init__.pyi")]


def test_a_row_of_the_stub_is_an_explicit_export_and_stands_once():
    names = [name for _, name, _ in STUB]
    assert len(names) == len(set(names)) > 10
    # To type checkers `import x` in a stub is private, `import x as x` is public.
    assert [alias for _, _, alias in STUB] == names


def test_the_stub_holds_nothing_but_these_rows():
    body = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8")).body
    assert {type(node) for node in body} == {ast.ImportFrom}


@pytest.mark.parametrize(("module", "name"), [row[:2] for row in STUB])
def test_a_name_of_the_stub_is_the_object_that_its_module_holds(module, name):
    found = getattr(skcentrobind, name)
    if module == "skcentrobind":
        assert found is sys.modules[f"skcentrobind.{name}"]
    else:
        assert found is getattr(import_module(module), name)


def test_all_and_dir_are_the_names_of_the_stub():
    names = {name for _, name, _ in STUB}
    assert {name for module, name, _ in STUB if module == "skcentrobind"} == set(SUBPACKAGES)
    assert dir(skcentrobind) == sorted(names)
    assert skcentrobind.__all__ == sorted(names - set(SUBPACKAGES))


def test_star_imports_bring_the_names_of_all():
    namespace = {}
    exec("from skcentrobind import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(skcentrobind.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        skcentrobind.nothing  # noqa: B018


@pytest.mark.parametrize("subpackage", SUBPACKAGES)
def test_all_of_a_subpackage_is_what_its_init_imports_or_defines(subpackage):
    path = PACKAGE / subpackage / "__init__.py"
    module = import_module(f"skcentrobind.{subpackage}")
    defined = [
        target.id
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
        for target in node.targets
    ]
    imported = {alias.asname or alias.name: source for source, alias in rows_of(path)}
    public = [name for name in [*imported, *defined] if name[0] != "_"]
    assert sorted(module.__all__) == sorted(public)
    for name in module.__all__:
        holder = import_module(imported[name]) if name in imported else module
        assert getattr(module, name) is getattr(holder, name)


SNIPPET = """\
from skcentrobind import CentroBindTransformer, Modalities
reveal_type(CentroBindTransformer)
reveal_type(Modalities)
from skcentrobind import CentroBindTransformr
"""


@pytest.mark.slow
def test_mypy_sees_the_names(tmp_path):
    pytest.importorskip("mypy")
    path = tmp_path / "snippet.py"
    path.write_text(SNIPPET)
    # The package has no stubs of the libraries that it uses, and is not what is checked here.
    settings = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *settings, "--cache-dir", tmp_path / "cache", path],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
    )
    found = re.findall(r"snippet\.py:(\d): (\w+): (.*)", done.stdout)
    assert [(line, kind) for line, kind, _ in found] == [
        ("2", "note"),
        ("3", "note"),
        ("4", "error"),
    ], done.stdout + done.stderr
    estimator, container, misspelt = (message for _, _, message in found)
    assert "-> skcentrobind._estimators.centrobind.CentroBindTransformer" in estimator
    assert "-> skcentrobind._data.modalities.Modalities" in container
    assert 'has no attribute "CentroBindTransformr"' in misspelt
