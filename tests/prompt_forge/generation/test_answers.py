"""`prompt-forge generate` against servers that answer as people report it: what is saved and what is said."""

import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from descriptions.store import Store
from prompt_forge.cli.app import app
from prompt_forge.generation.catalog import load_catalog
from prompt_forge.generation.generate import Asker, Run
from prompt_forge.generation.strategies import Recipe
from prompt_forge.llm.log import ExchangeLog, Logged, read_log
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.scripted import Scripted
from prompt_forge.llm.types import Completion, Request
from prompt_forge.templating.templates import Templates
from tests.support.answers import GOOD, answer
from tests.support.servers import Reply, chat, error, serve

KNOWN = load_catalog()
TEXTS = ("long dark scratch", "round dent", "brown stain")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FILO_FORGE_RETRIES", "0")


def generate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["generate", *arguments])


def ask(url: str, *more: str) -> Result:
    return generate("--category", "capsule", "--model", "m", "--base-url", url, *more)


def saved(ref: str = "capsule") -> tuple[str, ...]:
    return Store(Path("descriptions")).load(ref).enabled_texts


def test_the_thoughts_of_a_list_are_not_saved() -> None:
    thought = (
        "<think>\n- user likes short phrases\n- maybe cracks first\n</think>\n- thin crack in the rim\n- dented side"
    )
    with serve(lambda _: chat(thought)) as server:
        assert ask(server.url, "--template", "filo-question").exit_code == 0
    assert saved() == ("thin crack in the rim", "dented side")


def test_thoughts_before_a_phrase_are_not_saved() -> None:
    with serve(lambda _: chat("<think>a capsule has a cap</think>\ndeep crack in the cap")) as server:
        result = ask(server.url, "--strategy", "family", "--count", "1")
    assert result.exit_code == 0, result.output
    assert saved() == ("deep crack in the cap",)


def test_bad_entries_are_left_out_counted_and_named() -> None:
    entries = json.loads(GOOD)["anomalies"]
    bad = [{"text": "a " + "very " * 60 + "long crack"}, {"text": "half \ud83d dent"}, {"text": "ring\x07 mark"}, 5]
    more = [{"text": "round dents"}, {"text": "capsule broken"}, {"text": "other damage"}]
    text = json.dumps({"anomalies": [*entries, *bad, *more]})
    with serve(lambda _: chat(text)) as server:
        result = ask(server.url, "--json")
        assert len(server.requests) == 1
    (told,) = json.loads(result.stdout)["results"]
    reasons = [one["reason"] for one in told["dropped"]]
    assert told["rejected"] == len(reasons) == 7
    for reason, words in zip(
        reasons,
        [
            "characters",
            "surrogate",
            "U+0007",
            "is a number",
            "near-duplicate of 'round dent'",
            "names the product",
            "generic",
        ],
        strict=True,
    ):
        assert words in reason
        assert reason in result.stderr
    assert saved() == TEXTS
    origin = Store(Path("descriptions")).load("capsule").provenance
    assert origin is not None
    assert [one.reason for one in origin.dropped] == reasons


def test_entries_over_the_count_and_decided_ones_are_named_too() -> None:
    store = Store(Path("descriptions"))
    with serve(lambda _: chat(answer("deep crack", "round dent", "brown stain"))) as server:
        told = json.loads(ask(server.url, "--count", "2", "--json").stdout)["results"][0]
        assert told["dropped"] == [{"text": "brown stain", "reason": "more than the 2 wanted"}]
        first = store.load("capsule")
        mine = (first.anomalies[0].model_copy(update={"locked": True}), first.anomalies[1])
        store.save(first.revised(anomalies=mine, parent=1))
        told = json.loads(ask(server.url, "--count", "2", "--json", "--force").stdout)["results"][0]
    assert [one["reason"] for one in told["dropped"]] == [
        "more than the 2 wanted",
        "near-duplicate of crack-1, which a person decided on",
    ]


def test_a_useless_answer_says_why_every_entry_is() -> None:
    with serve(lambda _: chat(answer("capsule broken", "other damage"))) as server:
        said = ask(server.url).stderr
    assert "capsule broken: names the product" in said
    assert "other damage: generic" in said


def test_a_refused_parameter_is_said_on_the_screen_and_in_the_file() -> None:
    refusal = error(400, "'temperature' does not support 0.0 with this model", param="temperature")
    with serve(lambda body: refusal if "temperature" in body else chat(GOOD)) as server:
        result = ask(server.url)
        again = ask(server.url)
        forced = json.loads(ask(server.url, "--force", "--json").stdout)
    assert "asked without temperature, which the server refuses" in result.stderr
    assert "present" in again.stdout
    assert (forced["calls"], forced["results"][0]["left_out"]) == (0, ["temperature"])
    origin = Store(Path("descriptions")).load("capsule").provenance
    assert origin is not None
    assert (origin.left_out, origin.mode) == (("temperature",), "json_schema")
    assert "left_out:\n    - temperature" in Path("descriptions/capsule/v1.yaml").read_text()


def test_a_file_of_an_ordinary_server_says_nothing_of_it() -> None:
    with serve(lambda _: chat(GOOD)) as server:
        ask(server.url)
    text = Path("descriptions/capsule/v1.yaml").read_text()
    assert "left_out" not in text
    assert "dropped" not in text


def test_a_limit_that_thoughts_use_up_grows_and_the_rerun_knows_the_version() -> None:
    def reply(body: dict[str, object]) -> Reply:
        return chat(GOOD) if int(str(body["max_tokens"])) >= 8192 else chat("", "length")

    with serve(reply) as server:
        first, again = ask(server.url), ask(server.url)
        offline = ask(server.url, "--force", "--offline")
        assert [body["max_tokens"] for body in server.requests] == [920, 8192]
    assert (first.exit_code, "thinks for longer than 920 tokens" in first.stderr) == (0, True)
    assert "present" in again.stdout
    assert "all from the cache" in offline.stdout or "unchanged" in offline.stdout


@pytest.mark.parametrize("how", ["option", "model", "llm"])
def test_the_limit_is_an_option_and_a_setting(how: str) -> None:
    if how != "option":
        Path("filo-forge.toml").write_text(f"[{how}]\nmax_tokens = 3000\n")
    with serve(lambda _: chat(GOOD)) as server:
        ask(server.url, *(["--max-tokens", "3000"] if how == "option" else []))
        assert server.requests[0]["max_tokens"] == 3000
    origin = Store(Path("descriptions")).load("capsule").provenance
    assert origin is not None
    assert origin.parameters.max_tokens == 3000


class Broken(Scripted):
    """A model with a fault of its own for one product."""

    def complete(self, request: Request) -> Completion:
        if "screw" in request.messages[-1].content:
            raise KeyError("choices")
        return super().complete(request)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_an_unforeseen_fault_is_one_products_failure(tmp_path: Path, concurrency: int) -> None:
    log = ExchangeLog(tmp_path / "log.jsonl", Redactor())
    asker = Asker(Logged(Broken([GOOD] * 3), log), Recipe(template=Templates.find().get("structured")))
    run = Run([asker], Store(tmp_path / "library"))
    results = {
        one.category: one for one in run.over([KNOWN[name] for name in ("pill", "screw", "capsule")], concurrency)
    }
    assert {name: one.status for name, one in results.items()} == {
        "pill": "written",
        "screw": "failed",
        "capsule": "written",
    }
    assert "unforeseen KeyError in test_answers.py" in (results["screw"].error or "")
    assert [one["error"]["kind"] for one in read_log(log.path).records if "error" in one] == ["KeyError"]


# whom to ask


def test_every_model_may_have_its_own_address() -> None:
    with serve(lambda _: chat(answer("deep crack", "round dent"))) as one, serve(lambda _: chat(GOOD)) as two:
        asked = ["--category", "pill", "--model", "m", "--base-url", one.url, "--model", "m", "--base-url", two.url]
        assert generate(*asked).exit_code == 0
        assert (len(one.requests), len(two.requests)) == (1, 1)
        support = {entry.text: entry.support for entry in Store(Path("descriptions")).load("pill").anomalies}
        assert support == {"round dent": 2, "deep crack": 1, "long dark scratch": 1, "brown stain": 1}
        wrong = CliRunner().invoke(app, ["generate", *asked, "--base-url", one.url])
        assert "3 --base-url for 2 --model" in str(wrong.exception)
        single = generate("--category", "pill", "--base-url", one.url, "--base-url", two.url)
        assert "2 --base-url for 0 --model" in str(single.exception)


def test_a_key_with_a_line_break_works_and_one_with_a_blank_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda _: chat(GOOD)) as server:
        for key in (
            "sk-test-0000000000000000\n",
            "sk-test-0000000000000000\r\n",
            "\u201csk-test-0000000000000000\u201d",
        ):
            monkeypatch.setenv("OPENAI_API_KEY", key)
            assert ask(server.url, "--no-cache", "--force").exit_code == 0
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0000\n0000")
        assert "OPENAI_API_KEY holds a line break" in str(ask(server.url).exception)
        doctor = CliRunner().invoke(app, ["doctor", "--model", "m", "--base-url", server.url])
    assert (doctor.exit_code, "OPENAI_API_KEY holds a line break" in doctor.stdout) == (1, True)


def test_doctor_recognises_addresses_that_are_not_quite_right() -> None:
    def doctor(url: str) -> str:
        return CliRunner().invoke(app, ["doctor", "--model", "m", "--base-url", url]).stdout.splitlines()[0]

    with serve(lambda _: chat(GOOD)) as server:
        bare = server.url.removesuffix("/v1")
        assert doctor(bare) == f"unclear  endpoint: {bare} has no /v1 at its end; type --base-url {server.url}"
        assert f"names a single call; using {server.url}" in doctor(f"{server.url}/chat/completions")
        assert doctor(f" {server.url} ") == f"ok       endpoint: {server.url} serves m"
        assert "holds a blank" in doctor(f"{bare} /v1")
        assert f"using {server.url}" in ask(f"{server.url}/chat/completions").stderr


@pytest.mark.parametrize("length", [61, 64])
def test_a_long_category_is_asked_about(length: int) -> None:
    name = "a" * length
    Path("names.txt").write_text(f"{name}\n")
    with serve(lambda _: chat(GOOD)) as server:
        whom = ["--model", "m", "--base-url", server.url]
        assert generate("--category", name, *whom).exit_code == 0
        assert generate("--from-file", "names.txt", "--force", *whom).exit_code == 0
        assert generate("--category", name, "--object-name", "nut", "--force", *whom).exit_code == 0
        longer = generate("--category", "a" * 65, *whom)
    assert "at most 64" in str(longer.exception)
    assert Store(Path("descriptions")).load(name).object_name == "nut"


# beside the bar


def screen(written: bytes, width: int = 80) -> str:
    """What a terminal of `width` columns shows in the end, lines that it had to break joined again."""
    rows: list[str] = [""]
    broken: set[int] = set()
    row = column = 0
    for match in re.finditer(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b.|[^\x1b]", written.decode()):
        sign, amount = match[0], match[1]
        if match[2] == "A":
            row = max(0, row - int(amount or 1))
        elif match[2] == "K":
            rows[row] = "" if amount == "2" else rows[row][:column]
        elif sign == "\r":
            column = 0
        elif sign == "\n" or (len(sign) == 1 and column == width):
            row, column = row + 1, (0 if sign != "\n" else column)
            broken |= {row} if sign != "\n" else set()
            rows += [""] * (row + 1 - len(rows))
        if len(sign) == 1 and sign not in "\r\n":
            rows[row] = rows[row].ljust(column)[:column] + sign + rows[row][column + 1 :]
            column += 1
    return "".join(text if at in broken else f"\n{text}" for at, text in enumerate(rows))


def on_a_terminal(url: str, *, stop: bool = False) -> tuple[str, int]:
    """What a terminal of 80 columns shows of a run over three products, and the exit code."""
    import fcntl
    import termios

    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from prompt_forge.cli.app import main; main()"
    command = [sys.executable, "-c", program, "generate", "--model", "m", "--base-url", url]
    command += [word for name in ("pill", "screw", "capsule") for word in ("--category", name)]
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    going = subprocess.Popen(
        command, env=environment, stdout=theirs, stderr=theirs, stdin=theirs, start_new_session=True
    )
    os.close(theirs)
    written, patience = b"", time.monotonic() + 60
    while time.monotonic() < patience:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                written += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        if stop and b"products" in written:
            going.send_signal(2)
            stop = False
    code = going.wait(60)
    os.close(ours)
    return screen(written), code


def test_errors_and_hints_stand_whole_beside_the_bar() -> None:
    words = "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) is supported."

    def reply(_: dict[str, object]) -> Reply:
        time.sleep(0.3)
        return error(400, words, param="temperature")

    with serve(reply) as server:
        shown, code = on_a_terminal(server.url)
    assert code == 1
    for name in ("pill", "screw", "capsule"):
        line = f"failed {name}: {server.url} answered HTTP 400: {words}; type --temperature 1, which such models take"
        assert line in shown.splitlines()
    assert "3 of 3 products failed; the same command tries only these again" in shown.splitlines()
    assert "products  " not in shown


def test_notes_of_several_threads_stand_whole_beside_the_bar() -> None:
    def reply(body: dict[str, object]) -> Reply:
        time.sleep(0.3)
        return chat("", "length") if body["max_tokens"] == 920 else chat(answer("round dent", "round dents"))

    with serve(reply) as server:
        shown, code = on_a_terminal(server.url)
    assert code == 0
    lines = shown.splitlines()
    assert "m thinks for longer than 920 tokens: asking with 8192" in lines
    for name in ("pill", "screw", "capsule"):
        assert f"{name}: left out 'round dents': near-duplicate of 'round dent'" in lines
        assert any(line.startswith(f"written descriptions/{name}/v1.yaml: 1 of 1 entries enabled") for line in lines)


def test_ctrl_c_beside_the_bar_is_one_line() -> None:
    def reply(_: dict[str, object]) -> Reply:
        time.sleep(1)
        return chat(GOOD)

    with serve(reply) as server:
        shown, code = on_a_terminal(server.url, stop=True)
    assert code == 130
    assert shown.split() == ["interrupted"]


def test_in_a_log_every_line_is_whole() -> None:
    with serve(lambda _: error(400, "no " * 60)) as server:
        said = ask(server.url).stderr.splitlines()
    assert said[0] == f"failed capsule: {server.url} answered HTTP 400: {('no ' * 60).strip()}"
    assert not any("\x1b" in line for line in said)
