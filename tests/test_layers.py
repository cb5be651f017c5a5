"""The folders of CONTRIBUTING.md: imports point one way, files are short."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skcentrobind

PACKAGE = Path(skcentrobind.__file__).parent

#: From bottom to top: folder or file -> (other libraries, own rows) that it may import. Own rows
#: are further up in this table, so that imports cannot form a circle.
TABLE = {
    "_public": ("", ""),
    "_names": ("", ""),
    "_ops": ("torch", ""),
    "_data": ("numpy pandas scipy sklearn threadpoolctl", "_names"),
    "datasets": ("numpy sklearn", "_names _data"),
    "metrics": ("numpy pandas sklearn", "_names _data"),
    "plotting": ("numpy pandas sklearn matplotlib umap", "_names _data metrics"),
    "anchors": ("torch", "_names _ops"),
    "losses": ("torch", "_names _ops"),
    "_encoders": ("numpy scipy torch", "_ops _data"),
    "_training": (
        "numpy scipy sklearn skorch torch tqdm",
        "_names _ops _data _encoders metrics anchors losses",
    ),
    "model_selection": ("numpy pandas scipy sklearn threadpoolctl", "_names _data"),
    "_report": ("numpy pandas scipy", "_names _data"),
    "_persistence": (
        "numpy scipy sklearn torch",
        "_public _names _data _encoders anchors _training",
    ),
    "_estimators": (
        "numpy pandas sklearn torch",
        "_public _names _ops _data metrics anchors losses _encoders _training model_selection "
        "_persistence",
    ),
    "__init__": ("", "_public"),
    "_demo": (
        "joblib numpy sklearn matplotlib PIL",
        "_public _data datasets metrics _estimators",
    ),
    "__main__": ("", "_demo"),
}

WITHOUT_TORCH = [
    "_public",
    "_data",
    "datasets",
    "metrics",
    "plotting",
    "model_selection",
    "_report",
]

FILES = sorted(PACKAGE.rglob("*.py"))


def row_of(path):
    """The entry of the table that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports_of(node, path):
    """Full names of everything in import statements below a node."""
    here = ("skcentrobind", *path.relative_to(PACKAGE).parts)[:-1]
    for statement in ast.walk(node):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            start = here[: len(here) + 1 - statement.level] if statement.level else ()
            module = ".".join([*start, *filter(None, [statement.module])])
            yield module
            # `from skcentrobind import metrics` imports a module as well.
            yield from (f"{module}.{alias.name}" for alias in statement.names)


def split_imports(path):
    """Other libraries and own rows of the table that a file imports."""
    libraries, own = set(), set()
    for name in imports_of(ast.parse(path.read_text()), path):
        top, _, rest = name.partition(".")
        if top != "skcentrobind":
            libraries.add(top)
        elif rest.split(".")[0] in TABLE:
            own.add(rest.split(".")[0])
    return libraries - set(sys.stdlib_module_names) - {"__future__"}, own - {row_of(path)}


def test_every_file_has_a_row():
    assert {row_of(path) for path in FILES} <= set(TABLE)
    assert len(FILES) > 20


def test_rows_come_after_the_rows_they_import():
    rows = list(TABLE)
    for i, (libraries, own) in enumerate(TABLE.values()):
        assert set(own.split()) <= set(rows[:i]), rows[i]
        assert libraries.split() == sorted(set(libraries.split()), key=libraries.split().index)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports(path):
    libraries, own = split_imports(path)
    allowed_libraries, allowed = TABLE[row_of(path)]
    assert libraries <= set(allowed_libraries.split())
    assert own <= set(allowed.split())


def test_no_circles_within_a_subpackage():
    names = {
        path: ".".join(("skcentrobind", *path.relative_to(PACKAGE).parts))[:-3] for path in FILES
    }
    names = {path: name.removesuffix(".__init__") for path, name in names.items()}
    graph = {
        name: set(imports_of(ast.parse(path.read_text()), path)) & set(names.values())
        for path, name in names.items()
    }
    graph["skcentrobind"] = set()  # its imports are lazy
    while graph:
        leaves = {name for name, needs in graph.items() if not needs - {name} & set(graph)}
        assert leaves, f"these import one another: {sorted(graph)}"
        graph = {name: needs - leaves for name, needs in graph.items() if name not in leaves}


def test_only_one_folder_imports_skorch():
    assert {row_of(p) for p in FILES if "skorch" in split_imports(p)[0]} == {"_training"}


def test_there_are_few_rows_and_few_private_files_beside_them():
    assert len(TABLE) <= 18
    assert len([path for path in PACKAGE.glob("_*.py") if path.stem[:2] != "__"]) <= 6


def test_anchors_and_losses_do_not_import_each_other():
    for path in FILES:
        others = {"anchors": "losses", "losses": "anchors"}
        assert others.get(row_of(path)) not in split_imports(path)[1]


@pytest.mark.parametrize("row", WITHOUT_TORCH)
def test_rows_without_torch(row):
    files = [path for path in FILES if row_of(path) == row]
    assert files
    for path in files:
        assert not {"torch", "skorch"} & split_imports(path)[0]


def test_optional_and_slow_libraries_are_imported_inside_functions():
    for path in FILES:
        module = ast.parse(path.read_text())
        at_import = [n for n in module.body if isinstance(n, ast.Import | ast.ImportFrom)]
        tops = {name.split(".")[0] for n in at_import for name in imports_of(n, path)}
        assert not tops & {"matplotlib", "onnx", "pandas", "safetensors", "umap"}, path


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "code",
    [
        "import skcentrobind, skcentrobind.metrics, skcentrobind.datasets",
        "import skcentrobind.plotting",
        "from skcentrobind import Modalities; Modalities([[[1.0], [2.0]]])",
        "import skcentrobind; skcentrobind.metrics, skcentrobind.datasets, dir(skcentrobind)",
        "from skcentrobind.metrics import mean_reciprocal_rank as m; m([[[1.0], [2.0]]] * 2)",
    ],
)
def test_numpy_part_loads_without_torch(code):
    heavy = "{'torch', 'skorch', 'matplotlib'} & set(sys.modules)"
    assert run(f"{code}; import sys; print(*{heavy})") == []


def test_estimators_do_load_torch():
    # ... or the test above would prove nothing.
    code = "from skcentrobind import CentroBindTransformer; import sys; print(*sys.modules)"
    assert {"torch", "skorch"} <= set(run(code))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 500
