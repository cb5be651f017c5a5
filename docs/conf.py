# Settings of the documentation; `make docs` builds it.

import re
import sys
from pathlib import Path

import skcentrobind

HERE = Path(__file__).resolve().parent

project = "skcentrobind"
author = copyright = "the skcentrobind developers"
version = release = skcentrobind.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "rendered", "sg_execution_times.rst"]
# CONTRIBUTING.md and CHANGES.md link to headings of their own and to files beside them.
myst_heading_anchors = 2
suppress_warnings = ["myst.xref_missing"]
# Single backticks in docstrings are code.
default_role = "literal"
autosummary_generate = True
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "auto_examples",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skcentrobind"
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages without subpages have nothing to show on the left.
html_sidebars = {
    page: []
    for page in (
        "api",
        "auto_examples/*",
        "changes",
        "coming_from_*",
        "contributing",
        "paper",
        "peers",
        "results",
        "user_guide",
    )
}
html_show_sourcelink = False


def escape_shapes(app, what, name, obj, options, lines):
    """Keep docutils from reading `(n_features_in_,)` as a link; runs behind numpydoc."""
    lines[:] = [re.sub(r"\((\w+)_,", r"(\1\_,", line) for line in lines]


def setup(app):
    sys.path.insert(0, str(HERE))
    from api_page import write

    write(HERE / "api.rst")
    app.connect("autodoc-process-docstring", escape_shapes, priority=900)
