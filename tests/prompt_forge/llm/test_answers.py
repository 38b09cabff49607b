"""Answers and refusals of real servers, sibling by sibling, through the real openai client."""

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from descriptions.common.errors import SettingsError
from prompt_forge.errors import (
    AuthenticationError,
    ContextTooLongError,
    EndpointError,
    IncompleteError,
    ModelError,
    ThinkingLimitError,
)
from prompt_forge.llm.address import address, check_key, trimmed
from prompt_forge.llm.growing import Growing, grown
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.log import ExchangeLog, Logged, read_log
from prompt_forge.llm.openai_chat import OpenAIChat
from prompt_forge.llm.parameters import Refused
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.replay import Replay
from prompt_forge.llm.reply import read
from prompt_forge.llm.retry import RetryPolicy
from prompt_forge.llm.types import Message, Request, Sampling
from tests.support.answers import GOOD
from tests.support.servers import Reply, chat, error, serve

OPENED: list[OpenAIChat] = []


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def client(url, *, retries=1, **more):
    OPENED.append(OpenAIChat(url, "m", retry=RetryPolicy(retries, sleep=lambda _: None), timeout=5.0, **more))
    return OPENED[-1]


def request(schema=False, **sampling):
    return Request(
        model="m",
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="Defects?")),
        json_schema={"type": "object"} if schema else None,
        sampling=Sampling(**sampling),
    )


def message(finish="stop", **fields):
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **fields}}
    return Reply(body=chat("").body | {"choices": [choice]})


def told(reply, kind=ModelError, **asked):
    """What is said of a reply, on one line."""
    with serve(lambda _: reply) as server, pytest.raises(kind) as caught:
        client(server.url).complete(request(**asked))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# content in other shapes


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        [{"type": "text", "text": GOOD}],
        [{"type": "text", "text": GOOD[:20]}, {"type": "text", "text": GOOD[20:]}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "{draft}"}]}, {"type": "text", "text": GOOD}],
        [{"type": "reasoning", "text": "{draft}"}, {"type": "output_text", "text": GOOD}, {"type": "image_url"}, None],
        [{"thought": True, "text": "{draft}"}, {"text": GOOD}],
        [GOOD],
        {"type": "text", "text": GOOD},
        {"parts": [{"text": GOOD}]},
        {"type": "text", "text": {"value": GOOD}},
    ],
)
def test_the_text_of_all_parts_is_the_answer(content):
    with serve(lambda _: message(content=content)) as server:
        assert client(server.url).complete(request(True)).text == GOOD
    assert len(server.requests) == 1


@pytest.mark.parametrize("content", [json.loads(GOOD), json.loads(GOOD)["anomalies"]])
def test_an_answer_that_is_json_already_is_read(content):
    with serve(lambda _: message(content=content)) as server:
        assert json.loads(client(server.url).complete(request(True)).text) == content


def test_half_a_character_in_an_answer_is_replaced_and_logged(tmp_path):
    log = ExchangeLog(tmp_path / "log.jsonl", Redactor())
    with serve(lambda _: message(content="a \ud83d crack")) as server:
        assert Logged(client(server.url), log).complete(request()).text == "a \ufffd crack"
    assert read_log(log.path).records[0]["completion"]["text"] == "a \ufffd crack"


@pytest.mark.parametrize("finish", [None, "", "eos", "eos_token", "end_turn", "STOP", "stop_sequence", "completed", 2])
@pytest.mark.parametrize("schema", [True, False])
def test_a_whole_answer_is_used_whatever_ended_it(finish, schema):
    with serve(lambda _: message(finish, content=GOOD)) as server:
        assert client(server.url).complete(request(schema)).text == GOOD


def test_a_missing_finish_reason_and_usage_of_any_shape():
    body = chat(GOOD).body | {"usage": {"prompt_tokens": "many", "completion_tokens": 2.0}}
    del body["choices"][0]["finish_reason"]
    with serve(lambda _: Reply(body=body)) as server:
        answer = client(server.url).complete(request(True))
    assert (answer.text, answer.usage.total) == (GOOD, 2)


def test_an_answer_without_a_reason_that_fills_the_limit_or_has_no_end_is_cut():
    assert "cut at 5 tokens" in told(message(None, content="- a\n- b"), IncompleteError, max_tokens=5)
    assert "broke off" in told(message(None, content=GOOD[:40]), IncompleteError, schema=True)


# no answer


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (message(content=None, refusal="I cannot help with that."), "m declined: 'I cannot help with that.'"),
        (message(content=[{"type": "refusal", "refusal": "Not this."}]), "m declined: 'Not this.'"),
        (message("refusal", content="Not that."), "m declined: 'Not that.'"),
        (message("content_filter", content="Half of"), "content filter (finish_reason content_filter): 'Half of'"),
        (message("SAFETY", content=None), "content filter (finish_reason safety)"),
        (message("tool_calls", content=None, tool_calls=[{"function": {"name": "f", "arguments": "{}"}}]), "'f {}'"),
        (message("stop", content="", tool_calls=[{"function": {"name": "f", "arguments": "{}"}}]), "called a tool"),
        (message("function_call", content=None, function_call={"name": "f", "arguments": "1"}), "'f 1'"),
        (message(content=None, reasoning="I think: cracks"), "thoughts only: 'I think: cracks'"),
        (message(content="", reasoning_content="So: cracks"), "thoughts only: 'So: cracks'"),
        (message(content="<think>cracks"), "thoughts only: '<think>cracks'"),
        (message(content=[{"type": "thinking", "thinking": "hm"}]), "thoughts only: 'hm'"),
        (message("error", content="half"), "broke off (finish_reason error)"),
        (message("insufficient_system_resource", content="half"), "finish_reason insufficient_system_resource"),
        (message("eos", content=""), "is empty (finish_reason eos)"),
    ],
)
def test_what_is_no_answer_is_said_in_the_servers_words(reply, words):
    assert words in told(reply, IncompleteError)
    assert words in told(reply, IncompleteError, schema=True)


def test_the_categories_of_a_content_filter_are_named():
    body = message("content_filter", content=None).body
    body["choices"][0]["content_filter_results"] = {"violence": {"filtered": True, "severity": "high"}, "hate": {}}
    assert "'violence high'" in told(Reply(body=body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "type", "content"]), inner),
    max_leaves=6,
)
FIELDS = st.sampled_from(["content", "refusal", "reasoning", "tool_calls", "function_call", "thinking"])
CHOICE = st.fixed_dictionaries({"message": st.dictionaries(FIELDS, JSON) | JSON}, optional={"finish_reason": JSON})


@given(CHOICE | JSON, JSON, JSON, st.booleans())
def test_whatever_a_server_puts_where_ends_as_an_answer_or_one_of_our_errors(choice, usage, filtered, schema):
    body = {"choices": [choice], "usage": {"completion_tokens": usage}, "prompt_filter_results": filtered}
    with suppress(ModelError):
        assert read(body, "http://h/v1", request(schema)).text


# errors inside HTTP 200


@pytest.mark.parametrize(
    ("body", "words", "tries"),
    [
        ({"choices": None, "error": {"message": "Rate limit exceeded", "code": 429}}, "HTTP 429 inside HTTP 200", 2),
        ({"error": {"message": "Rate limit exceeded", "code": "429"}}, "HTTP 429", 2),
        ({"error": {"message": "Provider is down", "code": 502}, "choices": []}, "Provider is down", 2),
        ({"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}, "Slow down", 2),
        ({"error": {"message": "Busy", "type": "overloaded_error"}}, "Busy", 2),
        ({"error": {"message": "Bad request", "code": 400}}, "HTTP 400 inside HTTP 200: Bad request", 1),
        ({"error": "out of memory"}, "an error inside HTTP 200: out of memory", 1),
        ({"detail": "Not here"}, "Not here", 1),
        ({"object": "error", "message": "No such thing", "code": 40301}, "No such thing", 1),
        ([{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}], "Quota", 2),
        ({"choices": [{"finish_reason": "error", "error": {"code": 502, "message": "Cut off"}}]}, "Cut off", 2),
        ({"choices": []}, "no chat completion (choices: []", 1),
        ({"choices": None}, "no chat completion (choices: null", 1),
        ({"choices": ["x"]}, "no chat completion", 1),
        ({"id": "1"}, "choices are missing; it holds id", 1),
        ({}, "it holds nothing", 1),
        ("words", "no chat completion but", 1),
    ],
)
def test_errors_inside_a_success(body, words, tries):
    with serve(lambda _: Reply(body=body)) as server, pytest.raises(EndpointError) as caught:
        client(server.url).complete(request())
    assert words in str(caught.value)
    assert len(server.requests) == tries


def test_an_error_inside_a_success_that_passes():
    replies = iter([Reply(body={"choices": None, "error": {"message": "x", "code": 503}}), chat("ok")])
    with serve(lambda _: next(replies)) as server:
        assert client(server.url).complete(request()).text == "ok"


def test_a_wrong_key_inside_a_success():
    assert "No auth" in told(Reply(body={"error": {"message": "No auth", "code": 401}}), AuthenticationError)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(raw=b'data: {"choices": []}\n\n', headers={"content-type": "text/event-stream"}), "a stream of events"),
        (Reply(raw=b'data: {"choices": []}\n\ndata: [DONE]'), "a stream of events"),
        (Reply(raw='{"choices": "caf\xe9"}'.encode("latin-1")), "not UTF-8 (byte 0xe9)"),
        (Reply(raw=b"<html><title>Log in</title>", headers={"content-type": "text/html"}), "HTML page ('Log in')"),
        (Reply(raw=b"\n<!DOCTYPE html><p>"), "HTML page"),
        (Reply(raw=b""), "an empty body"),
        (Reply(raw=b"OK"), "no JSON (JSONDecodeError): 'OK'"),
    ],
)
def test_bodies_that_are_no_json_are_said_as_what_they_are(reply, words):
    assert words in told(reply, EndpointError)


def test_a_byte_order_mark_is_no_hindrance():
    with serve(lambda _: Reply(raw=b"\xef\xbb\xbf" + json.dumps(chat("ok").body).encode())) as server:
        assert client(server.url).complete(request()).text == "ok"


# parameters that are refused


def bad(words, status=400, **more):
    return error(status, words, type="invalid_request_error", **more)


REFUSALS = [
    ("temperature", bad("Unsupported value: 'temperature' does not support 0.0 with this model.", param="temperature")),
    ("temperature", bad("Unsupported parameter: 'temperature' is not supported with this model.", param=None)),
    ("temperature", bad("`temperature` must be strictly positive", 422)),
    ("seed", bad("property 'seed' is unsupported", param="seed")),
    ("seed", Reply(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]})),
    ("seed", Reply(400, {"error": "Unknown parameter: seed"})),
    ("seed", Reply(400, {"message": "seed: unrecognized request argument supplied"})),
    ("top_p", bad("`top_p` is not supported by this model")),
    ("max_tokens", bad("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", param=None)),
    ("system role", bad("System role not supported", 500)),
    ("system role", bad("Developer instruction is not enabled for models/gemma-3")),
    ("system role", bad("Unsupported value: 'messages[0].role' does not support 'system'", param="messages[0].role")),
    ("system role", bad("Conversation roles must alternate user/assistant/user/assistant/...")),
]


def holds(body, name):
    return any(one["role"] == "system" for one in body["messages"]) if name == "system role" else name in body


@pytest.mark.parametrize(("name", "refusal"), REFUSALS)
@pytest.mark.parametrize("schema", [True, False])
def test_a_refused_parameter_is_left_out_remembered_and_told(tmp_path, name, refusal, schema):
    with serve(lambda body: refusal if holds(body, name) else chat(GOOD)) as server:
        first = client(server.url, refused=Refused(tmp_path / "r"))
        answer = first.complete(request(schema, top_p=0.9))
        client(server.url, refused=Refused(tmp_path / "r")).complete(request(schema, top_p=0.9))
    assert [holds(body, name) for body in server.requests] == [True, False, False]
    assert answer.mode == ("json_schema" if schema else "text")
    assert answer.left_out == (() if name == "max_tokens" else (name,))
    kept = server.requests[1]
    assert "Be brief." in kept["messages"][0]["content"]
    assert {"temperature", "seed", "top_p", "max_tokens"} - {name} <= kept.keys() | {"max_completion_tokens"}


def test_several_refusals_one_after_the_other():
    def answer(body):
        if "temperature" in body:
            return bad("'temperature' is not supported", param="temperature")
        return bad("Use 'max_completion_tokens' instead of max_tokens") if "max_tokens" in body else chat(GOOD)

    with serve(answer) as server:
        assert client(server.url).complete(request(True)).mode == "json_schema"
    assert len(server.requests) == 3


def test_a_refusal_that_stays_ends_after_one_more_try_and_is_no_refusal_of_the_format():
    with serve(lambda _: bad("property 'seed' is unsupported", param="seed")) as server:
        ladder = Ladder()
        with pytest.raises(EndpointError, match="property 'seed' is unsupported"):
            client(server.url, ladder=ladder).complete(request(True))
        assert ladder.remembered(server.url, "m") is None
    assert [("seed" in body, body["response_format"]["type"]) for body in server.requests] == [
        (True, "json_schema"),
        (False, "json_schema"),
    ]


def test_a_temperature_that_stays_refused_names_the_option():
    assert "--temperature 1" in told(bad("'temperature' does not support 0.0", param="temperature"), EndpointError)


@pytest.mark.parametrize(
    "words", ["'response_format' of type 'json_schema' is not supported", "response_format.type: Input should be text"]
)
def test_a_refused_format_still_steps_down(words):
    with serve(lambda body: bad(words) if "response_format" in body else chat(GOOD)) as server:
        assert client(server.url).complete(request(True)).mode == "text"
    assert all("seed" in body for body in server.requests)


def test_a_limit_that_is_too_large_is_not_left_out():
    reply = bad("max_tokens is too large: 9999. This model supports at most 4096", param="max_tokens")
    with serve(lambda _: reply) as server, pytest.raises(EndpointError, match="set --max-tokens"):
        client(server.url).complete(request())
    assert len(server.requests) == 1
    full = bad("This model's maximum context length is 4096 tokens. However, you requested 9000 tokens")
    assert "--max-tokens" in told(full, ContextTooLongError, schema=True)


def test_a_stop_sign_that_ends_the_thoughts_is_left_out():
    whole = "<think>\nhm\n</think>\ndeep crack"
    with serve(lambda body: chat("<think>" if "stop" in body else whole)) as server:
        answer = client(server.url).complete(request(stop=("\n",)))
    assert (answer.text, answer.left_out, answer.usage.total) == (whole, ("stop",), 24)


# thoughts


@pytest.mark.parametrize("thoughts", ["<think>The schema is {anomalies}.</think>\n", "analysisLet {x}.assistantfinal"])
def test_thoughts_do_not_lower_the_structure(thoughts):
    with serve(lambda _: chat(thoughts + GOOD)) as server:
        assert client(server.url).complete(request(True)).mode == "json_schema"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "cut",
    [
        message("length", content="", reasoning="words " * 9),
        message("length", content=None),
        message("max_tokens", content="<think>words"),
        message("MAX_TOKENS", content="<think>words</think>- a"),
        message("length", content=[{"type": "thinking", "thinking": "words"}]),
    ],
)
def test_a_limit_that_thoughts_used_up_grows_once_and_stays(tmp_path, cut):
    log, notes = ExchangeLog(tmp_path / "log.jsonl", Redactor()), []
    with serve(lambda body: cut if body["max_tokens"] < 5000 else chat("ok")) as server:
        model = Growing(Logged(client(server.url), log), notify=notes.append)
        asked = request(max_tokens=100)
        answer = model.complete(asked)
        assert (answer.text, answer.request_digest, answer.usage.total) == ("ok", asked.digest, 24)
        model.complete(asked)
    assert [body["max_tokens"] for body in server.requests] == [100, grown(100), grown(100)]
    assert notes == [f"m thinks for longer than 100 tokens: asking with {grown(100)}"]
    assert Replay(log.path).complete(asked).text == "ok"


def test_thoughts_without_end_are_told_with_an_option_that_exists():
    with serve(lambda _: message("length", content="")) as server, pytest.raises(ThinkingLimitError) as caught:
        Growing(client(server.url)).complete(request(max_tokens=3000))
    assert [body["max_tokens"] for body in server.requests] == [3000, 12000]
    assert "raise --max-tokens" in str(caught.value)
    assert caught.value.usage.total == 24


def test_an_answer_that_is_only_long_does_not_grow():
    with serve(lambda _: chat("- a crack", "length")) as server, pytest.raises(IncompleteError, match="cut at 100"):
        Growing(client(server.url)).complete(request(max_tokens=100))
    assert len(server.requests) == 1


# addresses and keys


@pytest.mark.parametrize("text", ["k-1\n", "k-1\r\n", "  k-1\t", '"k-1"', "'k-1'\r", "\u201ck-1\u201d", "\ufeffk-1"])
def test_what_stands_around_a_key_is_taken_off(text):
    assert trimmed(text) == "k-1"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("k\n1", "a line break at position 2 of 3"),
        ("k\r1", "a carriage return"),
        ("k 1", "a blank"),
        ('k"1', 'the quote "'),
        ("k\u201d1", "the quote \u201d"),
        ("k\xe91", "the sign U+00E9"),
    ],
)
def test_a_key_that_no_header_can_carry_is_named_and_not_shown(monkeypatch, key, said):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(SettingsError, match="OPENAI_API_KEY holds") as caught:
        check_key(SecretStr(key))
    assert said in str(caught.value)
    assert key not in str(caught.value)
    with pytest.raises(SettingsError, match="holds"):
        client("http://127.0.0.1:1/v1", api_key=SecretStr(key))


@pytest.mark.parametrize(
    "url",
    ["http://h:1/v1", " http://h:1/v1/ ", "http://h:1/v1/chat/completions", '"http://h:1/v1"', "http://h:1/v1/models/"],
)
def test_an_address_is_used_as_it_is_meant(url):
    assert address(url) == "http://h:1/v1"


def test_an_address_with_a_blank_inside_is_refused():
    with pytest.raises(SettingsError, match="holds a blank"):
        address("http://h:1/ v1")


@pytest.mark.parametrize("reply", [error(404), error(405), Reply(raw=b"<html>"), Reply(body={"ok": True})])
def test_an_address_without_its_ending_is_recognised(reply):
    with serve(lambda _: reply, listing=error(404)) as server:
        bare = server.url.removesuffix("/v1")
        with pytest.raises(EndpointError, match=f"no /v1; try --base-url {server.url}"):
            client(bare).complete(request())
