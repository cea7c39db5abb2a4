"""Build the same sources as machine code into build/native/.

    native.py           bring the build up to date
    native.py --whole   with tests, benchmarks and documents beside the program, to be run there

What stands there is a copy of the program, with the modules of COMPILED also as extension modules beside their sources;
Python prefers those. A checkout holds none, so that nothing compiled can hide a source that has changed. Only what
differs from its copy is compiled again; with another Cython, compiler or Python everything is.
"""

# ruff: noqa: INP001, S603, T201  a script, which runs the compiler and tells what it does
from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "native"
STAMP = BUILD / ".made-with"
PROGRAM = ("engine", "server.py", "schema")

# What runs for each request, event and record. What runs once, at a start or reload, stays Python: reading, checking
# and linting rules, the tools, the systems behind sinks and stores. Leaving a module out costs nothing but its speed.
COMPILED = {
    ".": "server",
    "engine/document": "*",
    "engine/language": "calls closures expression findings folding functions* fused globs operators* patterns "
    "patterns_checks regex template values windows*",
    "engine/actions": "*",
    "engine/rules": "compile index index_text models networks program stream_rules",
    "engine/runtime": "executor metrics moderation outcomes record redaction seldom stream*",
    "engine/ports": "asking caching context limits line_files patience price* prompt_text rates record* sink_backlog "
    "sink_file sink_queue store_counts store_memory store_returns stores translation* verdicts wire",
    "engine/proxy": "admission again arrivals aside attempts bodies body cache* claims coding entry* fields gateway "
    "health intake itinerary kept lean* limit_answers log_phase model_prompt passing receive relay* reply ruled ruling "
    "send serving stream_usage taking translated upstream url ways",
}
# What the list names and yet stays Python. Python ends a function that calls itself too often with RecursionError, the
# compiled one overflows the stack and kills the process; so what follows a value as deep as it goes is not compiled.
PLAIN = {
    "engine/document/assemble.py",
    "engine/document/dialect_generic.py",
    "engine/language/operators.py",
    "engine/language/values.py",
    "engine/ports/context.py",
    "engine/ports/translation_messages.py",
    "engine/runtime/redaction.py",
}

DIRECTIVES = {
    "annotation_typing": False,  # annotations are for mypy; as C types they would refuse what Python accepts
    "binding": True,  # functions that `inspect` and classes treat like Python's own
}
FLAGS = ("-O2", "-g0", "-fwrapv", "-DNDEBUG")  # as Python itself is built: overflow wraps, headers assert nothing
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
    whole = options.parse_args().whole
    try:
        begin()
        copy([*PROGRAM, *(rest() if whole else ())])
        build()
    except Unable as cause:
        print(cause, file=sys.stderr)
        return 1
    return 0


def begin() -> None:
    """Remove a build that other tools have made."""
    tools = f"{sys.version}\n{cython()}\n{compiler()}\n{DIRECTIVES} {FLAGS}\n"
    if not STAMP.is_file() or STAMP.read_text(encoding="utf-8") != tools:
        shutil.rmtree(BUILD, ignore_errors=True)
        BUILD.mkdir(parents=True)
        STAMP.write_text(tools, encoding="utf-8")


def cython() -> str:
    """Its version."""
    try:
        from Cython import __version__
    except ImportError:
        raise Unable(
            "The compiled build needs Cython in the Python that makes it; `make native` installs it."
        ) from None
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
    """Make the copies like the sources; what was compiled from a source that changed goes."""
    for name in names:
        wanted = {file.relative_to(ROOT) for file in files(ROOT / name)}
        for gone in {file.relative_to(BUILD) for file in files(BUILD / name)} - wanted:
            remove(BUILD / gone)
        for file in wanted:
            ours, theirs = BUILD / file, ROOT / file
            if not ours.is_file() or ours.read_bytes() != theirs.read_bytes():
                remove(ours)
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
    """What stands there, without what Python and this script add."""
    found = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
    return [file for file in found if file.parent.name != "__pycache__" and file.suffix != ".so"]


def remove(copied: Path) -> None:
    """A copy, and what was compiled from it."""
    copied.unlink(missing_ok=True)
    extension(copied).unlink(missing_ok=True)


def extension(source: Path) -> Path:
    """Where the extension module of a source stands."""
    return source.with_name(source.stem + sysconfig.get_config_var("EXT_SUFFIX"))


def build() -> None:
    """Compile what is not there, or no longer; take away what is no longer to be compiled."""
    chosen = sources()
    for old in BUILD.rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"):
        if old not in {extension(source) for source in chosen}:
            old.unlink()
    missing = sorted(source for source in chosen if not extension(source).exists())
    if not missing:
        return
    began = time.perf_counter()
    print(f"compiling {len(missing)} modules", file=sys.stderr)
    with ProcessPoolExecutor() as workers:
        list(workers.map(compiled, missing))
    print(f"done in {time.perf_counter() - began:.0f} s", file=sys.stderr)


def compiled(source: Path) -> None:
    """Make the extension module of a source."""
    from Cython.Compiler.Errors import CompileError
    from Cython.Compiler.Main import CompilationOptions, compile_single

    name = ".".join(source.relative_to(BUILD).with_suffix("").parts)
    with tempfile.TemporaryDirectory() as folder:
        c, so = Path(folder, f"{source.stem}.c"), Path(folder, f"{source.stem}.so")
        options = CompilationOptions(output_file=str(c), language_level=3, compiler_directives=DIRECTIVES)
        try:
            result = compile_single(str(source), options, name)
        except CompileError as cause:
            raise Unable(f"{source}: {cause}") from None
        if result.num_errors:
            raise Unable(f"Cython refused {source}; what it says stands above.")
        link = shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared")[1:]
        run([*command(), *link, str(c), "-o", str(so)])
        shutil.move(so, extension(source))


if __name__ == "__main__":
    sys.exit(main())
