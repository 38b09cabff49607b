"""Misbehaving servers, through the real openai client."""

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from descriptions.common.errors import SettingsError
from prompt_forge.errors import AuthenticationError, ContextTooLongError, EndpointError, IncompleteError, ModelError
from prompt_forge.llm.budget import Budget, Budgeted
from prompt_forge.llm.ladder import DAY, Ladder
from prompt_forge.llm.openai_chat import OpenAIChat, address
from prompt_forge.llm.retry import RetryPolicy
from prompt_forge.llm.types import Message, Request, Sampling
from tests.support.servers import Reply, chat, error, serve

KEY = "sk-abcdefgh12345678"


OPENED: list[OpenAIChat] = []


@pytest.fixture(autouse=True)
def closed_clients():
    yield
    while OPENED:
        OPENED.pop().close()


def client(url, *, waits=None, retries=2, **more):
    waits = [] if waits is None else waits
    retry = RetryPolicy(retries, sleep=waits.append)
    OPENED.append(OpenAIChat(url, "m", api_key=SecretStr(KEY), retry=retry, **{"timeout": 5.0, **more}))
    return OPENED[-1]


def request(schema=False, **sampling):
    return Request(
        model="m",
        messages=(Message(role="user", content="Defects?"),),
        json_schema={"type": "object"} if schema else None,
        sampling=Sampling(**sampling),
    )


def test_plain_answer_sends_max_tokens_and_reports_usage():
    with serve(lambda _: chat("hello")) as server:
        answer = client(server.url).complete(request(max_tokens=9, stop=("\n",)))
    assert (answer.text, answer.usage.total, answer.mode, answer.model) == ("hello", 12, "text", "alias")
    assert server.requests[0]["max_tokens"] == 9
    assert server.requests[0]["stop"] == ["\n"]


def test_500_on_json_schema_steps_down_without_retry_and_is_remembered(tmp_path):
    def answer(body):
        kind = body.get("response_format", {}).get("type")
        return error(500, "Input should be 'text' or 'json_object'") if kind == "json_schema" else chat("{}")

    with serve(answer) as server:
        waits = []
        assert (
            client(server.url, waits=waits, ladder=Ladder(tmp_path / "l")).complete(request(True)).mode == "json_object"
        )
        assert waits == []
        assert client(server.url, ladder=Ladder(tmp_path / "l")).complete(request(True)).mode == "json_object"
    assert [body["response_format"]["type"] for body in server.requests] == [
        "json_schema",
        "json_object",
        "json_object",
    ]


def test_every_response_format_refused_ends_in_text_with_the_schema_in_words():
    with serve(lambda body: error(400) if "response_format" in body else chat("{}")) as server:
        assert client(server.url).complete(request(True)).mode == "text"
    assert "JSON schema" in server.requests[-1]["messages"][-1]["content"]


def test_a_server_that_takes_no_rung_of_a_short_ladder_is_told():
    class Short(Ladder):
        def rungs(self, *_):
            return ("json_schema",)

    with serve(lambda _: chat("no JSON")) as server, pytest.raises(EndpointError, match="took none of json_schema"):
        client(server.url, ladder=Short()).complete(request(schema=True))


def test_ignored_json_schema_is_noticed():
    with serve(lambda body: chat("{}" if body["response_format"]["type"] == "json_object" else "Sure!")) as server:
        answer = client(server.url).complete(request(True))
    assert (answer.mode, answer.usage.total) == ("json_object", 24)


@pytest.mark.parametrize(("text", "finish"), [("cut", "length"), ("cut", "abort"), ("", "stop"), (None, "stop")])
def test_incomplete_answers_are_never_parsed(text, finish):
    with serve(lambda _: chat(text, finish)) as server, pytest.raises(IncompleteError) as caught:
        client(server.url).complete(request())
    assert caught.value.usage.total == 12


def test_429_waits_as_long_as_asked():
    replies = iter([error(429, headers={"retry-after": "7"}), chat("ok")])
    waits = []
    with serve(lambda _: next(replies)) as server:
        assert client(server.url, waits=waits).complete(request()).text == "ok"
    assert waits == [7.0]


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (422, 1), (408, 3), (429, 3), (500, 3), (503, 3)])
def test_only_passing_failures_are_retried(status, tries):
    with serve(lambda _: error(status)) as server, pytest.raises(EndpointError, match=str(status)):
        client(server.url).complete(request())
    assert len(server.requests) == tries


def test_a_server_killed_during_the_request_is_asked_again():
    replies = iter([Reply(drop=True), chat("ok")])
    with serve(lambda _: next(replies)) as server:
        assert client(server.url).complete(request()).text == "ok"


def test_no_server_and_timeout_say_so():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(EndpointError, match="no connection"):
        client(url).complete(request())
    with serve(lambda _: Reply(body={}, delay=0.5)) as server, pytest.raises(EndpointError, match="within"):
        client(server.url, retries=0, timeout=0.1).complete(request())


def test_wrong_model_name_offers_the_nearest():
    with serve(lambda _: error(404), models=("mm", "x")) as server, pytest.raises(EndpointError, match="--model mm"):
        client(server.url).complete(request())


def test_wrong_model_name_that_is_ignored_shows_in_the_answer():
    with serve(lambda _: chat("ok")) as server:
        assert client(server.url).complete(request()).model == "alias"


def test_context_overflow_does_not_step_down():
    overflow = error(400, "too long", type="exceed_context_size_error")
    with serve(lambda _: overflow) as server, pytest.raises(ContextTooLongError):
        client(server.url).complete(request(True))
    assert len(server.requests) == 1


def test_refused_key_is_never_shown():
    with serve(lambda _: error(401, f"bad {KEY}")) as server, pytest.raises(AuthenticationError) as caught:
        client(server.url).complete(request())
    assert KEY not in f"{caught.value!r}"
    with serve(lambda _: error(400, f"bad {KEY}")) as server, pytest.raises(EndpointError) as told:
        client(server.url).complete(request())
    assert KEY not in f"{told.value!r}"
    assert KEY not in repr(client("http://127.0.0.1:1/v1"))


def test_openai_is_not_asked_without_a_key():
    keyless = OpenAIChat("https://api.openai.com/v1", "gpt-5")
    for attempt in (lambda: keyless.complete(request()), keyless.served_models):
        with pytest.raises(AuthenticationError, match=r"no key for https://api.openai.com/v1; set OPENAI_API_KEY"):
            attempt()


def test_no_chat_completion():
    with serve(lambda _: Reply(body={"choices": []})) as server, pytest.raises(EndpointError, match="no chat"):
        client(server.url).complete(request())


def test_a_body_that_is_no_json_is_named():
    with serve(lambda _: Reply(raw=b'{"choices": [')) as server, pytest.raises(EndpointError, match="no JSON"):
        client(server.url).complete(request())
    page = Reply(raw=b"<html>Welcome", headers={"content-type": "text/html"})
    with serve(lambda _: page) as server, pytest.raises(EndpointError, match=r"no chat completion.*/v1"):
        client(server.url).complete(request())


def test_429_may_name_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    replies = iter(
        [error(429, headers={"retry-after": later}), error(429, headers={"retry-after": "soon"}), chat("ok")]
    )
    waits = []
    with serve(lambda _: next(replies)) as server:
        client(server.url, waits=waits).complete(request())
    assert 30 < waits[0] <= 40
    assert 0 < waits[1] <= 1


def test_a_wait_that_is_too_long_is_not_begun():
    with serve(lambda _: error(429, headers={"retry-after": "3600"})) as server:
        waits = []
        with pytest.raises(EndpointError, match="429"):
            client(server.url, waits=waits).complete(request())
    assert waits == []


def test_newer_models_get_the_limit_by_its_new_name():
    turns = []
    with serve(lambda body: error(400, param="max_tokens") if "max_tokens" in body else chat("ok")) as server:
        newer = client(server.url, pause=lambda: turns.append(1))
        assert newer.complete(request()).text == "ok"
        assert len(turns) == 2  # asking again is a request like any other
        newer.complete(request())
    assert ["max_completion_tokens" in body for body in server.requests] == [False, True, True]


def test_a_failure_that_passed_does_not_lower_the_structure_for_ever(tmp_path):
    now = [1e9]

    def ladder():
        return Ladder(tmp_path / "l", clock=lambda: now[0])

    replies = iter([error(500, "busy"), chat("{}"), chat("{}"), chat("{}"), chat("{}")])
    with serve(lambda _: next(replies)) as server:
        known = ladder()
        assert client(server.url, ladder=known).complete(request(True)).mode == "json_object"
        now[0] += DAY - 1
        assert client(server.url, ladder=known).complete(request(True)).mode == "json_object"
        now[0] += 2
        assert client(server.url, ladder=ladder()).complete(request(True)).mode == "json_schema"
        assert client(server.url, ladder=known).complete(request(True)).mode == "json_schema"


def test_nothing_is_learned_from_a_server_that_only_fails(tmp_path):
    with serve(lambda _: error(500)) as server:
        ladder = Ladder(tmp_path / "l")
        with pytest.raises(EndpointError):
            client(server.url, ladder=ladder, retries=0).complete(request(True))
        assert ladder.remembered(server.url, "m") is None
    assert not (tmp_path / "l").exists()


@pytest.mark.parametrize("last", [chat("cut", "length"), error(503), Reply(raw=b"{")])
def test_tokens_of_an_ignored_schema_are_counted_although_the_next_rung_fails(last):
    replies = iter([chat("Sure!"), last])
    budget = Budget()
    with serve(lambda _: next(replies)) as server, pytest.raises(ModelError) as caught:
        Budgeted(client(server.url, retries=0), budget).complete(request(True))
    assert budget.spent.total == caught.value.usage.total == (24 if last.status == 200 and last.body else 12)
    assert budget.calls == 0


@pytest.mark.parametrize("kept", ["[]", "{", '{"e m": "text"}', '{"e m": ["prose", 1]}', '{"e m": ["text", 5e9]}'])
def test_a_ladder_file_that_makes_no_sense_is_as_good_as_absent(tmp_path, kept):
    (tmp_path / "l").write_text(kept)
    assert Ladder(tmp_path / "l").remembered("e", "m") is None


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://u:p@x/v1", "http://x:abc/v1"])
def test_addresses_that_cannot_be_used(url):
    with pytest.raises(SettingsError):
        address(url)


def test_a_missing_model_is_named_also_when_nothing_is_listed():
    nothing = serve(lambda _: error(404), listing=error(500))
    with nothing as server, pytest.raises(EndpointError, match=r"has no model m; check --model") as caught:
        client(server.url).complete(request())
    assert caught.value.status == 404


def test_mean_logprob_of_the_answer():
    tokens = [
        {"token": word, "logprob": value, "bytes": None, "top_logprobs": []} for word, value in (("a", -1), ("b", -2))
    ]
    body = chat("ab").body
    body["choices"][0]["logprobs"] = {"content": tokens, "refusal": None}
    with serve(lambda _: Reply(body=body)) as server:
        asked = request().model_copy(update={"logprobs": True})
        assert client(server.url).complete(asked).mean_logprob == -1.5
    assert server.requests[0]["logprobs"] is True


@pytest.mark.parametrize("body", [None, "plain words", ["list"], {"error": "words"}, {"detail": [{"msg": "no"}]}])
def test_errors_in_any_shape_end_as_one_line(body):
    with serve(lambda _: Reply(418, body)) as server, pytest.raises(EndpointError, match="HTTP 418") as caught:
        client(server.url).complete(request())
    assert "\n" not in str(caught.value)


def test_a_page_of_html_is_cut_short():
    with serve(lambda _: Reply(503, raw=b"<p>" * 2000)) as server, pytest.raises(EndpointError) as caught:
        client(server.url, retries=0).complete(request())
    assert len(str(caught.value)) < 400


def test_a_server_that_counts_no_tokens():
    with serve(lambda _: chat("ok", usage=None)) as server:
        assert client(server.url).complete(request()).usage.total == 0
