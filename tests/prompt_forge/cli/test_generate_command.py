"""`prompt-forge generate` as it is typed: the embedded model, servers, and being stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from descriptions.format.schema import DescriptionFile
from descriptions.lint import lint
from descriptions.store import Store
from prompt_forge.cli.app import app
from prompt_forge.generation.catalog import load_catalog
from prompt_forge.llm.local import MODEL_NAME, model_file, start_server
from tests.support.answers import GOOD, answer
from tests.support.servers import Reply, chat, error, serve

KNOWN = load_catalog()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def embedded() -> None:
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    model_file()


def test_a_dry_run_shows_the_prompts_and_asks_nobody(project: Path) -> None:
    shown = CliRunner().invoke(app, ["generate", "--category", "capsule", "--dry-run"])
    assert shown.exit_code == 0
    assert "Defect type: crack" in shown.stdout
    assert "8 more prompts like it" in shown.stdout
    listed = json.loads(CliRunner().invoke(app, ["generate", "--all", "--dry-run", "--json"]).stdout)
    assert [one["category"] for one in listed] == list(KNOWN)
    assert all(one["tokens"] > 0 and len(one["prompts"]) == one["requests"] for one in listed)
    assert not (project / "descriptions").exists()


def test_a_dry_run_asks_with_the_words_of_the_latest_version(project: Path) -> None:
    Store(project / "descriptions").save(DescriptionFile(category="capsule", object_name="gel capsule", parts=("lid",)))
    shown = CliRunner().invoke(app, ["generate", "--category", "capsule", "--dry-run"]).stdout
    assert "gel capsule" in shown
    assert "lid" in shown


def test_a_near_miss_of_a_known_product_is_told_before_any_model(project: Path) -> None:
    result = CliRunner().invoke(app, ["generate", "--category", "capsul", "--offline"])
    assert "did you mean capsule?" in result.stderr.splitlines()[0]
    assert "did you mean" not in CliRunner().invoke(app, ["generate", "--category", "capsule", "--offline"]).stderr
    assert not (project / "descriptions").exists()


def test_offline_with_an_empty_cache_says_what_to_do(project: Path) -> None:
    result = CliRunner().invoke(app, ["generate", "--category", "capsule", "--offline"])
    assert result.exit_code == 1
    assert "run once without --offline" in result.stderr
    assert not (project / "descriptions").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("embedded")
def test_the_embedded_model_describes_a_capsule(project: Path) -> None:
    invoke = CliRunner().invoke
    command = ["generate", "--category", "capsule", "--count", "4"]
    first = invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "no model configured" in first.stderr
    saved = Store(project / "descriptions").load("capsule")
    assert len(saved.enabled_texts) >= 3
    assert lint(saved) == []
    assert "present" in invoke(app, command).stdout
    again = json.loads(invoke(app, [*command, "--force", "--offline", "--json"]).stdout)
    assert (again["calls"], again["results"][0]["status"]) == (0, "unchanged")
    afresh = json.loads(invoke(app, [*command, "--force", "--no-cache", "--json"]).stdout)
    assert (afresh["calls"] > 0, afresh["results"][0]["status"]) == (True, "unchanged")


@pytest.mark.slow
@pytest.mark.usefixtures("embedded")
def test_a_run_killed_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    products = list(KNOWN)[:5]
    listed = tmp_path / "products.txt"
    listed.write_text("\n".join(products))
    program = "from prompt_forge.cli.app import main; main()"
    command = [sys.executable, "-c", program, "generate", "--from-file", str(listed), "--count", "2"]
    command += ["--descriptions-dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    victim = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store, patience = Store(tmp_path), time.monotonic() + 240
    enough = random.randint(1, 3)
    while len(store.categories()) < enough and time.monotonic() < patience:
        time.sleep(0.1)
    time.sleep(random.random())
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    before = {name: store.path(name, 1).read_bytes() for name in store.categories()}
    assert enough <= len(before) < len(products)
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["results"]
    written = [one for one in told if one["status"] == "written"]
    asked = [one for one in written if one["seconds"] > 0 and one["tokens"] > 0]
    assert len(written) - len(asked) <= 1, "only what the victim was busy with may come whole from the cache"
    results = {one["category"]: one["status"] for one in told}
    assert {name for name, status in results.items() if status == "present"} == set(before)
    assert all(store.path(name, 1).read_bytes() == content for name, content in before.items())
    assert store.categories() == sorted(products)
    assert [finding for name in products for finding in lint(store.load(name)) if finding.level == "error"] == []


SHOWN = """---
id: shown
purpose: The whole answer as JSON from a very small model, which is shown what such phrases look like.
answer: json
variables: [object_name, count]
---
{% block user -%}
Defects of a mug: deep crack in the handle, brown stain on the wall, long scratch on the base, chipped rim.
Write {{ count }} defects of a {{ object_name }} as JSON.
{%- endblock %}
"""


@pytest.mark.slow
@pytest.mark.usefixtures("embedded")
def test_the_same_command_asks_a_real_server_for_json(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "templates").mkdir()
    (project / "templates" / "shown.j2").write_text(SHOWN)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = start_server(model_file(), threads=1, context=1024, token=KEY)
    endpoint = f"{server.listening_address}/v1"
    result = generate(
        "--category", "capsule", "--base-url", endpoint, "--model", MODEL_NAME, "--template", "shown", "--count", "4"
    )
    assert result.exit_code == 0, result.output
    saved = Store(project / "descriptions").load("capsule")
    assert saved.enabled_texts
    assert saved.provenance is not None
    assert (saved.provenance.endpoint, saved.provenance.mode) == (endpoint, "json_schema")
    assert saved.provenance.usage.completion_tokens > 0
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another-key-87654321")
    refused = generate("--category", "pill", "--base-url", endpoint, "--model", MODEL_NAME, "--no-cache")
    assert (refused.exit_code, KEY in refused.output, "87654321" in refused.output) == (1, False, False)
    assert "key" in refused.stderr


KEY = "sk-secret-abcdefgh12345678"


@pytest.fixture
def keyed(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return project


def generate(*arguments: str) -> object:
    return CliRunner().invoke(app, ["generate", *arguments])


def slowly(text: str) -> Reply:
    reply = chat(text)
    reply.delay = 0.3
    return reply


def test_an_endpoint_that_refuses_schemas_still_serves(keyed: Path) -> None:
    def obey(body: dict) -> Reply:
        return error(500, "Input should be 'text' or 'json_object'") if "response_format" in body else chat(GOOD)

    with serve(obey) as server:
        asked = ["--category", "capsule", "--base-url", server.url, "--model", "m"]
        result, again = generate(*asked), generate(*asked)
        assert len(server.requests) == 3  # refused twice, then answered; the second run asks nothing
    assert result.exit_code == 0, result.output
    assert "present" in again.stdout
    saved = Store(Path("descriptions")).load("capsule")
    assert saved.provenance is not None
    assert (saved.provenance.model, saved.provenance.mode, saved.provenance.template) == ("m", "text", "structured")
    everything = b"".join(path.read_bytes() for path in keyed.rglob("*") if path.is_file())
    assert KEY.encode() not in everything
    assert KEY not in result.output


@pytest.mark.usefixtures("keyed")
def test_an_ensemble_over_one_endpoint() -> None:
    with serve(lambda body: chat(GOOD if body["model"] == "a" else answer("brown stains", "deep crack"))) as server:
        asked = ["--category", "pill", "--base-url", server.url, "--model", "a", "--model", "b", "--json"]
        result = json.loads(generate(*asked).stdout)
    assert result["calls"] == 2
    support = {entry.text: entry.support for entry in Store(Path("descriptions")).load("pill").anomalies}
    assert support == {"brown stain": 2, "long dark scratch": 1, "round dent": 1, "deep crack": 1}


@pytest.mark.usefixtures("keyed")
def test_a_wrong_key_and_a_spent_budget_end_the_run() -> None:
    with serve(lambda _: error(401, "bad key")) as server:
        refused = generate("--all", "--base-url", server.url, "--model", "m", "--concurrency", "1")
        assert (refused.exit_code, len(server.requests)) == (1, 1)
    with serve(lambda _: chat(GOOD)) as server:
        asked = ["--category", "pill", "--category", "screw", "--base-url", server.url, "--model", "m"]
        spent = generate(*asked, "--concurrency", "1", "--max-tokens-total", "500")
    assert spent.exit_code == 1
    assert "raise --max-tokens-total" in spent.stderr
    assert KEY not in refused.output + spent.output


@pytest.mark.usefixtures("keyed")
def test_ctrl_c_leaves_whole_files_and_says_so() -> None:
    # A shell that starts the tests in the background hands down an ignored SIGINT; a terminal never does.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{listen}; from prompt_forge.cli.app import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    with serve(lambda _: slowly(GOOD)) as server:
        command = [sys.executable, "-c", program, "generate", "--all", "--base-url", server.url, "--model", "m"]
        going = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert going.stdout is not None
        going.stdout.readline()
        going.send_signal(signal.SIGINT)
        _, said = going.communicate(timeout=60)
    assert (going.returncode, said) == (130, "interrupted\n")
    store = Store(Path("descriptions"))
    assert 1 <= len(store.categories()) < 27
    assert all(store.load(name).enabled_texts for name in store.categories())
