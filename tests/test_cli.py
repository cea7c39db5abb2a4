"""The command line: exit codes, what goes to stdout and what to stderr, and what is not imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from engine.tools.cli import commands, main

ROOT = Path(__file__).parent.parent
GOOD = "rules:\n  - name: first\n    match: request.model == 'a'\n    actions:\n      - set_model: b\n"
BAD = GOOD.replace("set_model", "set_modle")
WARNED = GOOD.replace("    match:", "    expires: 2020-01-31\n    match:")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Files by name, in the folder in which the command runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def written(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")

    return written


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say what to do: "),
        (["valdate", "x"], "unknown command `valdate`; did you mean `validate`?"),
        (["validate"], "FILE"),
        (["validate", "--format", "xml", "x"], "invalid choice"),
        (["schema", "actoin"], "no kind or section `actoin`; did you mean `action`?"),
        (["schema", "action", "set_modle"], "no action `set_modle`; did you mean `set_model`?"),
        (["schema", "validate"], "say which files"),
        (["schema", "--write", "action"], "leave the name away"),
        (["schema", "action", "--format", "json"], "--format belongs to"),
        (["serve"], "FILE"),
        (["test"], "FILE"),
        (["--verson"], "COMMAND"),
    ],
)
def test_wrong_use_is_2_and_says_what_to_write(words, said, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err


def test_help_lists_every_command_but_hidden_ones(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, command in commands().items():
        assert (f"    {name} " in out) is not getattr(command, "HIDDEN", False)


def test_every_command_has_help(capsys):
    for name, command in commands().items():
        assert main([name, "--help"]) == 0
        assert command.SUMMARY.split()[0] in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pointsman {engine.__version__}\n"


def test_a_good_file_is_0_and_one_line(write, capsys):
    write(good=GOOD)
    assert main(["validate", "good.yaml"]) == 0
    assert capsys.readouterr() == ("good.yaml: 1 rule, no problems\n", "")


def test_problems_are_1_and_all_files_are_told(write, capsys):
    write(bad=BAD, good=GOOD, worse=BAD.replace("first", "First"))
    assert main(["validate", "worse.yaml", "good.yaml", "bad.yaml"]) == 1
    out = capsys.readouterr().out
    assert out.index("bad.yaml:5:9: error[unknown-action]") < out.index("worse.yaml:")
    assert "did you mean `set_model`?" in out
    assert "good.yaml: 1 rule, no problems" in out


def test_warnings_do_not_fail(write, capsys):
    write(warned=WARNED)
    assert main(["validate", "warned.yaml"]) == 0
    assert "warning[expired]" in capsys.readouterr().out


def test_a_missing_file_is_a_problem(write, capsys):
    write()
    assert main(["validate", "nowhere.yaml"]) == 1
    assert "nowhere.yaml" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["validate", "--json"],
        ["validate", "--format", "json"],
        ["schema", "validate", "--json"],
        ["schema", "validate", "--format=json"],
    ],
)
def test_machines_read_json(words, write, capsys):
    write(bad=BAD)
    assert main([*words, "bad.yaml"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [(each["code"], each["line"], each["column"], each["end_column"]) for each in told["problems"]] == [
        ("unknown-action", 5, 9, 18)
    ]


def test_json_of_a_good_file_has_no_problems(write, capsys):
    write(good=GOOD)
    assert main(["validate", "--json", "good.yaml"]) == 0
    assert json.loads(capsys.readouterr().out) == {"problems": []}


def test_problems_of_tests_are_told_by_validate(write, capsys):
    write(odd=GOOD + "tests:\n  - name: t\n    request: {bdoy: {}}\n    expect: {matched: []}\n")
    assert main(["validate", "odd.yaml"]) == 1
    assert "did you mean `body`?" in capsys.readouterr().out


def test_colour_only_when_wanted(write, capsys, monkeypatch):
    write(bad=BAD)
    main(["validate", "bad.yaml"])
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    main(["validate", "bad.yaml"])
    assert "\x1b" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["validate", "bad.yaml"])
    assert "\x1b" not in capsys.readouterr().out


def test_validate_imports_no_http_library(write, tmp_path):
    write(good=GOOD)
    script = (
        "import sys\nfrom engine.tools.cli import main\ncode = main(['validate', sys.argv[1]])\n"
        "loaded = {'aiohttp', 'httpx', 'server', 'openai', 'anthropic'} & set(sys.modules)\n"
        "sys.exit(f'imported {loaded}' if loaded else code)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "good.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_module_is_the_command(write, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "engine.tools.cli", "schema", "phase"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0
    assert [line.split()[0] for line in ran.stdout.splitlines()] == [
        "request",
        "attempt",
        "moderation",
        "response",
        "stream",
        "failure",
        "log",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["action", "set"],
        ["operator", "contains"],
        ["phase", "stream"],
        ["server"],
        ["section", "upstreams"],
        ["function", "sha256"],
        ["pattern", "pii.email"],
        ["sink", "file"],
    ],
)
def test_one_thing_is_described(words, capsys):
    assert main(["schema", *words]) == 0
    text = capsys.readouterr().out
    assert words[-1] in text.splitlines()[0]
    assert main(["schema", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].endswith("draft-07/schema#")


def test_a_page_has_options_defaults_and_an_example(capsys):
    main(["schema", "action", "reject"])
    text = capsys.readouterr().out
    assert "phases: request" in text
    assert "status: a whole number" in text
    assert "default 400" in text
    assert "example: " in text


def test_defaults_are_written_as_authors_write_them(capsys):
    main(["schema", "server"])
    text = capsys.readouterr().out
    assert "default 32MiB" in text
    assert "default 30s" in text
    assert "default 4000" in text
    assert "default false" in text


def test_names_are_listed(capsys):
    assert main(["schema", "operator"]) == 0
    assert any(line.startswith("starts_with") for line in capsys.readouterr().out.splitlines())
    assert main(["schema", "operator", "--json"]) == 0
    assert "starts_with" in json.loads(capsys.readouterr().out)


def test_the_schema_is_written(write, tmp_path, capsys):
    write()
    assert main(["schema", "--write"]) == 0
    written = (tmp_path / "schema" / "rules.schema.json").read_text(encoding="utf-8")
    assert main(["schema"]) == 0
    assert capsys.readouterr().out.endswith(written)
