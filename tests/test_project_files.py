"""Files for services and tools agree with the Makefile, setup.cfg and constraints.txt."""

import configparser
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "skcentrobind"
YAML_FILES = [
    *ROOT.glob(".github/**/*.yml"),
    ROOT / ".pre-commit-config.yaml",
    ROOT / ".readthedocs.yaml",
    ROOT / "CITATION.cff",
]


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text())


@pytest.fixture(scope="module")
def setup_cfg():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings


@pytest.fixture(scope="module")
def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


@pytest.fixture(scope="module")
def workflow():
    return read_yaml(".github/workflows/ci.yml")


@pytest.fixture(scope="module")
def targets():
    """Map each target of the Makefile to its recipe, with $(BIN) expanded."""
    found = re.findall(r"^([a-z-]+):(?!=).*\n((?:\t.*\n)*)", (ROOT / "Makefile").read_text(), re.M)
    return {
        target: [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
        for target, recipe in found
    }


def requirements(setup_cfg, extra=None):
    """Map the names of what setup.cfg requires to the lines that require it."""
    section = setup_cfg["options.extras_require"] if extra else setup_cfg["options"]
    lines = section[extra or "install_requires"].split()
    return {re.match(r"[\w-]+", line).group(): line for line in lines}


def python_versions(setup_cfg):
    return re.findall(r"Python :: (\d\.\d+)", setup_cfg["metadata"]["classifiers"])


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_yaml_files_parse(path):
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_the_hooks_are_the_commands_of_make_lint(targets):
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    hooks = repository["hooks"]
    assert [hook["entry"] for hook in hooks] == targets["lint"]
    # From .venv and on the whole tree, so that commits get the same checks as `make lint`.
    assert {(hook["language"], hook["pass_filenames"]) for hook in hooks} == {("system", False)}


@pytest.mark.parametrize("extra", [None, "plot", "test"])
def test_constraints_pin_what_the_environment_holds(extra, setup_cfg, pins):
    assert sorted(set(requirements(setup_cfg, extra)) - set(pins)) == []


def test_every_tool_of_make_lint_is_in_the_extra_test(targets, setup_cfg):
    tools = {re.match(r"\.venv/bin/(\w+)", line).group(1) for line in targets["lint"]}
    assert tools == {"ruff", "codespell", "mypy"}
    assert tools <= set(requirements(setup_cfg, "test"))


def test_the_workflow_runs_on_the_python_versions_of_the_classifiers(workflow, setup_cfg):
    matrix = workflow["jobs"]["check"]["strategy"]["matrix"]
    assert matrix["python"] == python_versions(setup_cfg)
    assert setup_cfg["options"]["python_requires"] == f">={matrix['python'][0]}"


@pytest.mark.parametrize("job", ["oldest", "docs", "wheel"])
def test_other_jobs_run_on_a_supported_python(job, workflow, setup_cfg):
    (used,) = [
        step["with"]["python-version"]
        for step in workflow["jobs"][job]["steps"]
        if "setup-python" in step.get("uses", "")
    ]
    supported = python_versions(setup_cfg)
    assert used in (supported[:1] if job == "oldest" else supported)


def test_commands_of_the_workflow_exist(workflow, targets):
    steps = [step for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    commands = [step["run"] for step in steps]
    assert commands == ["bash .ci/run", "make test-oldest", "make docs", "make wheel-check"]
    commands += (ROOT / ".ci" / "run").read_text().splitlines()
    used = re.findall(r"^make ([a-z-]+)$", "\n".join(commands), re.MULTILINE)
    assert {"lint", "test"} < set(used) <= set(targets)


def test_every_target_has_a_line_in_make_help():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split()
    explained = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert sorted(explained) == sorted(phony)


def test_workflow_reads_only_and_ends(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request" in workflow["concurrency"]["cancel-in-progress"]
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())


def test_read_the_docs_builds_as_make_docs_does(setup_cfg):
    settings = read_yaml(".readthedocs.yaml")
    assert settings["build"]["tools"]["python"] in python_versions(setup_cfg)
    assert (ROOT / settings["sphinx"]["configuration"]).exists()
    assert settings["sphinx"]["fail_on_warning"] is True
    (install,) = settings["build"]["jobs"]["install"]
    assert "-c constraints.txt" in install
    assert "docs" in setup_cfg["options.extras_require"]


def test_setup_cfg_has_fields_for_the_addresses():
    # They are comments until the owner of the project fills them in.
    block = re.search(
        r"^(?:# )?project_urls =\n((?:(?:# )?    .*\n)+)",
        (ROOT / "setup.cfg").read_text(),
        re.MULTILINE,
    ).group(1)
    names = re.findall(r"(\w+) =", block)
    assert names == ["Homepage", "Documentation", "Source", "Issues", "Changelog"]


def test_package_data_names_every_file_that_is_not_code(setup_cfg):
    patterns = {
        (package, pattern)
        for package, lines in setup_cfg["options.package_data"].items()
        for pattern in lines.split()
    }
    left_out = []
    for path in PACKAGE.rglob("*"):
        if path.is_dir() or path.suffix in {".py", ".pyc"}:
            continue
        homes = [home for home in path.parents if (home / "__init__.py").exists()]
        names = [
            (package, path.relative_to(home).as_posix())
            for home in homes
            for package in ("*", ".".join(home.relative_to(ROOT).parts))
        ]
        if not any(
            package == where and fnmatch(name, pattern)
            for package, name in names
            for where, pattern in patterns
        ):
            left_out.append(path.relative_to(ROOT).as_posix())
    assert left_out == []
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "benchmarks" / "results").iterdir()), ids=lambda path: path.name
)
def test_stored_results_name_no_folder_of_a_machine(path):
    assert not re.findall(r"/(?:tmp|home|root|work|Users|var)/\S*", path.read_text())
