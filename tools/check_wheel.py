"""Build the wheel, install it into a new environment and run the quick demo there.

`make wheel-check` runs this with pip's arguments, if there are any.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "skcentrobind"
#: The package would be imported without these, and fail later or lose its types.
NEEDED = {
    f"{PACKAGE}/py.typed",
    *(
        f"{PACKAGE}/datasets/data/{name}"
        for name in ("multiple_features.npz", "emoji/emoji.npz", "emoji/pictures.webp")
    ),
}


def main(pip_args):
    with tempfile.TemporaryDirectory() as folder:
        # Resolved, as the environment reports its own path resolved.
        folder = Path(folder).resolve()
        source = copy_source(folder / "source")
        venv.create(folder / "env", with_pip=True)
        print("building the wheel", flush=True)
        pip(folder, "wheel", "--no-deps", "-w", "wheels", *pip_args, str(source))
        (wheel,) = (folder / "wheels").glob("*.whl")
        check_files(wheel, source)
        print("installing it into a new environment", flush=True)
        pip(folder, "install", *pip_args, "-c", str(ROOT / "constraints.txt"), str(wheel))
        code = f"import {PACKAGE}; print({PACKAGE}.__file__)"
        imported = Path(run(folder, "-c", code, stdout=subprocess.PIPE).stdout.strip())
        if not imported.is_relative_to(folder / "env"):
            raise SystemExit(f"python imports {imported}, not what the wheel installed")
        print("running its demo", flush=True)
        run(folder, "-m", PACKAGE, "--quick", stdout=subprocess.DEVNULL)
    print(f"{wheel.name} is complete, and its demo runs")


def copy_source(target):
    """Copy what the wheel is made of, so that an old folder `build` adds nothing to it."""
    target.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target)
    caches = shutil.ignore_patterns("__pycache__", "*.py[cod]", ".*")
    shutil.copytree(ROOT / PACKAGE, target / PACKAGE, ignore=caches)
    return target


def check_files(wheel, source):
    """Compare the package in the wheel with the sources, file by file."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith(f"{PACKAGE}/")}
    files = (path for path in (source / PACKAGE).rglob("*") if path.is_file())
    names = {path.relative_to(source).as_posix() for path in files}
    if missing := sorted((names | NEEDED) - packed):
        raise SystemExit(f"{wheel.name} lacks {', '.join(missing)}: see package_data in setup.cfg")
    stubs = sum(name.endswith(".pyi") for name in packed)
    print(f"{wheel.name}: {len(packed)} files of the package, with py.typed and {stubs} stubs")


def pip(folder, command, *arguments):
    run(folder, "-m", "pip", command, "-q", "--disable-pip-version-check", *arguments)


def run(folder, *arguments, **options):
    """Run the environment's Python outside the sources."""
    python = folder / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(python), *arguments], cwd=folder, env=outside, check=True, text=True, **options
    )


if __name__ == "__main__":
    main(sys.argv[1:])
