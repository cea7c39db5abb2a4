"""Build the same sources as machine code into build/native/.

    native.py           bring the build up to date
    native.py --whole   with tests, benchmarks and documents beside the program, to be run there

What stands there is a copy of the program, with the modules of COMPILED also as extension modules beside their sources;
Python prefers those. A checkout holds none, so that nothing compiled can hide a source that has changed. mypyc compiles
all of them as one, so that they call each other without a detour; when one has changed all are compiled again.
"""

# ruff: noqa: INP001, S603, T201  a script, which runs the compiler and tells what it does
from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "native"
STAMP = BUILD / ".made-with"
PROGRAM = ("engine", "server.py", "schema")
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")

# What runs for each request, event and record. What runs once, at a start or reload, stays Python: reading, checking
# and linting rules, the tools, the systems behind sinks and stores. Leaving a module out costs nothing but its speed.
COMPILED = {
    ".": "server",
    "engine/document": "*",
    "engine/language": "closures condition_several condition_tree expression folding fused globs "
    "patterns_checks regex values windows*",
    "engine/rules": "compile index index_text models networks program stream_rules",
    "engine/runtime": "executor metrics moderation outcomes record redaction seldom stream*",
    "engine/ports": "asking caching context limits line_files patience prices prompt_text rates record* sink_backlog "
    "sink_queue verdicts",
    "engine/proxy": "admission again arrivals aside attempts bodies body cache cache_key cache_notes claims coding "
    "entry* fields gateway health intake itinerary kept lean* limit_answers log_phase model_prompt passing receive "
    "relay reply ruling send serving stream_usage taking url ways",
}
# What the list names and yet stays Python. Python ends a function that calls itself too often with RecursionError, the
# compiled one overflows the stack and kills the process; so what follows a value as deep as it goes is not compiled.
DEEP = {
    "engine/document/assemble.py",
    "engine/document/dialect_generic.py",
    "engine/language/values.py",
    "engine/ports/context.py",
    "engine/runtime/redaction.py",
}
# mypyc loses an exception whose handler waits for something, also one of an `async with`, and has no asynchronous
# generators; what does either stands in modules of its own. A test finds more.
WAITING = {"engine/proxy/lean_chunks.py", "engine/proxy/serving.py", "engine/runtime/moderation.py"}
# Plain classes derive from theirs; or msgspec reads the types of their fields, of which mypyc keeps only half.
OPEN = {"engine/document/answers.py", "engine/document/stream_quick.py", "engine/document/uploads.py"}
PLAIN = DEEP | WAITING | OPEN

# As Python itself is built: overflow wraps, headers assert nothing. What only the library itself calls is hidden, which
# is 5 % of a request; -O3 and -Os are slower.
FLAGS = ("-O2", "-fvisibility=hidden", "-fno-semantic-interposition", "-g0", "-fwrapv", "-DNDEBUG", "-w")
GROUP = "pointsman"  # what the library that holds all of them is named by
ADVICE = """The compiled build needs a C compiler and Python's headers:
  Debian, Ubuntu   sudo apt install gcc python3-dev
  Fedora           sudo dnf install gcc python3-devel
  macOS            xcode-select --install
  Windows          is not supported
Everything works without it: `make serve`, `make test`."""


class Unable(Exception):
    """Why there can be no build."""


def main() -> int:
    """Bring the build up to date: 0, or 1 after saying why it cannot be made."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--whole", action="store_true", help="copy the rest of the checkout too")
    options.add_argument("--python", metavar="FILE", default=str(ROOT / ".venv/bin/python"), help=_PYTHON)
    chosen = options.parse_args()
    try:
        copy([*PROGRAM, *(rest() if chosen.whole else ())])
        stamp = made_with(chosen.python)
        if not STAMP.is_file() or STAMP.read_text(encoding="utf-8") != stamp:
            clear()
            build(chosen.python)
            STAMP.write_text(stamp, encoding="utf-8")
    except Unable as cause:
        print(cause, file=sys.stderr)
        return 1
    return 0


_PACKAGES = "from importlib.metadata import *; print(sorted((d.name, d.version) for d in distributions()))"
_PYTHON = "an interpreter of the same version that has what the program imports; default that of .venv"


def made_with(python: str) -> str:
    """What a build depends on, in a text: tools, what is imported, sources."""
    packages = run([python, "-c", _PACKAGES])
    texts = [f"{source.relative_to(BUILD)}\0{source.read_text(encoding='utf-8')}" for source in sorted(sources())]
    summed = hashlib.sha256("\0".join([packages, *texts]).encode()).hexdigest()
    return f"{sys.version}\nmypyc {mypyc()}\n{compiler()}\n{FLAGS}\n{summed}\n"


def mypyc() -> str:
    """Its version, which is mypy's."""
    try:
        from mypy.version import __version__
    except ImportError:
        raise Unable("The compiled build needs mypy in the Python that makes it; `make native` installs it.") from None
    return str(__version__)


def compiler() -> str:
    """What the compiler says of itself, once it has been seen to find Python's headers."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe.c")
            probe.write_text("#include <Python.h>\n", encoding="utf-8")
            run([*command(), "-c", str(probe), "-o", str(Path(folder, "probe.o"))])
        return run([command()[0], "--version"])
    except Unable as cause:
        raise Unable(f"{cause}\n{ADVICE}") from None


def command() -> list[str]:
    """The compiler that Python was built with, or that CC names, and what it is told."""
    chosen = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    shared = shlex.split(sysconfig.get_config_var("CCSHARED") or "")
    return [*shlex.split(chosen), *shared, *FLAGS, f"-I{sysconfig.get_paths()['include']}"]


def run(words: list[str]) -> str:
    """What a command prints; Unable with what it complains of."""
    try:
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout
    except OSError as cause:
        raise Unable(f"{words[0]}: {cause.strerror}") from None
    except subprocess.CalledProcessError as failed:
        raise Unable(f"{shlex.join(words)}\n{failed.stderr}") from None


def copy(names: list[str]) -> None:
    """Make the copies like the sources."""
    for name in names:
        wanted = {file.relative_to(ROOT) for file in files(ROOT / name)}
        for gone in {file.relative_to(BUILD) for file in files(BUILD / name)} - wanted:
            (BUILD / gone).unlink()
        for file in wanted:
            ours, theirs = BUILD / file, ROOT / file
            if not ours.is_file() or ours.read_bytes() != theirs.read_bytes():
                ours.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(theirs, ours)


def rest() -> list[str]:
    """What else belongs to a checkout, at its top: no environment, nothing built, none of the tools' folders."""
    hidden = {file.name for file in ROOT.glob(".*") if file.is_dir()} - {".ci"}
    return sorted({file.name for file in ROOT.iterdir()} - hidden - {"build", "dist", *PROGRAM})


def sources() -> set[Path]:
    """The copies that are compiled. A package's own file is empty, and those that start it look for it as source."""
    named = {
        file
        for folder, names in COMPILED.items()
        for name in names.split()
        for file in (BUILD / folder).glob(f"{name}.py")
    }
    return {file for file in named if file.name != "__init__.py"} - {BUILD / name for name in PLAIN}


def files(place: Path) -> list[Path]:
    """What stands there, without what Python and this script add, and without hidden folders within."""
    if place.is_file():
        return [place]
    found = []
    for folder, within, names in os.walk(place):
        within[:] = [name for name in within if name != "__pycache__" and not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.endswith(".so")]
    return found


def clear() -> None:
    """Take away all that was compiled, and what says of which sources it was."""
    STAMP.unlink(missing_ok=True)
    for old in BUILD.rglob("*.so"):  # also for another Python, of sources that have changed since
        old.unlink()


def build(python: str) -> None:
    """Compile what is to be compiled."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        parts = translated(sorted(str(source.relative_to(BUILD)) for source in sources()), Path(folder), python)
        print(f"compiling {len(parts) - 1} modules", file=sys.stderr)
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            jobs = [(part, source) for part in parts for source in part.sources]
            objects = list(workers.map(lambda job: compiled(Path(job[1]), job[0].include_dirs), jobs))
        made = iter(objects)
        for part in parts:
            link([next(made) for _ in part.sources], BUILD / (part.name.replace(".", "/") + SUFFIX))
    print(f"done in {time.perf_counter() - began:.0f} s", file=sys.stderr)


def translated(names: list[str], folder: Path, python: str) -> list[Any]:
    """The modules in C, as extensions: one that holds them all, and one for each name that points there."""
    from mypyc.build import mypycify

    config = folder / "mypy.ini"
    config.write_text("[mypy]\nignore_missing_imports = True\n", encoding="utf-8")
    given = ["--config-file", str(config), "--python-executable", python, "--cache-dir", str(folder / "cache")]
    told, before = io.StringIO(), Path.cwd()
    os.chdir(BUILD)
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            parts = mypycify([*given, *names], multi_file=True, target_dir=str(folder / "c"), group_name=GROUP)
    except SystemExit:
        refused = [line for line in told.getvalue().splitlines() if ": warning: " not in line]
        raise Unable("\n".join(["mypyc refuses these sources:", *refused])) from None
    finally:
        os.chdir(before)
    return list(parts)


def compiled(source: Path, include: list[str]) -> str:
    """An object file."""
    made = source.with_suffix(".o")
    run([*command(), *(f"-I{folder}" for folder in include), "-c", str(source), "-o", str(made)])
    return str(made)


def link(objects: list[str], target: Path) -> None:
    """Make an extension module of object files."""
    words = shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared")[1:]
    run([*command(), *words, *objects, "-o", str(target)])


if __name__ == "__main__":
    sys.exit(main())
