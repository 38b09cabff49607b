"""The one whole answer in a chat completion, or one line that says what came instead.

Servers that call themselves OpenAI-compatible differ in everything: content as parts, thoughts beside or inside it, no
`finish_reason` or one of their own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from prompt_forge.errors import EndpointError, IncompleteError, ThinkingLimitError
from prompt_forge.llm.bodies import ADDRESS_HINT, quoted
from prompt_forge.llm.loose_json import holds_json
from prompt_forge.llm.thinking import without_thinking
from prompt_forge.llm.types import Request
from prompt_forge.usage import Usage

_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "token_limit", "max_length"})
_FILTERED = frozenset(
    {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "sensitive", "blocked"}
)
_BROKEN = frozenset(
    {"error", "abort", "aborted", "cancelled", "canceled", "insufficient_system_resource", "timeout", "pause_turn"}
)
_CALLED = frozenset({"tool_calls", "tool_use", "function_call", "tool_call"})
_UNSAID = frozenset({"", "null", "none", "unknown", "finish_reason_unspecified"})
_MOST_TOKENS, _LARGEST_LOGPROB = 10**12, 10**6
"""Larger numbers count nothing."""


@dataclass(frozen=True)
class Reply:
    """One whole answer."""

    text: str
    """The content as it came, thoughts inside it included."""
    model: str
    usage: Usage
    mean_logprob: float | None


def read(body: dict[str, Any], endpoint: str, request: Request) -> Reply:
    """The one whole answer in a chat completion.

    Raises:
        EndpointError: it is no chat completion.
        ThinkingLimitError: thoughts used up the token limit.
        IncompleteError: it was cut short, refused, filtered or empty, in the server's own words.
    """
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        what = "choices are missing" if "choices" not in body else f"choices: {json.dumps(choices)[:40]}"
        problem = f"{endpoint} sent no chat completion ({what}; it holds {', '.join(map(str, body))[:80] or 'nothing'})"
        raise EndpointError(problem, hint=ADDRESS_HINT)
    answer = _Message(choice, body, request)
    answer.check()
    return Reply(answer.text, _words(body.get("model")), answer.usage, _mean_logprob(choice.get("logprobs")))


class _Message:
    """The parts of one choice, and what is wrong with it."""

    def __init__(self, choice: dict[str, Any], body: dict[str, Any], request: Request) -> None:
        message = choice.get("message") or choice.get("delta")
        message = message if isinstance(message, dict) else {"content": message or choice.get("text")}
        text, thought, refused = _parts(message.get("content"))
        self.text = text.strip()
        self.thoughts = "".join(_flat(message.get(name)) for name in ("reasoning", "reasoning_content", "thinking"))
        self.thoughts = thought or self.thoughts
        self.refusal = refused or _words(message.get("refusal"))
        self.calls = message.get("tool_calls") or message.get("function_call")
        self.finish = str(choice.get("finish_reason") or choice.get("stop_reason") or "").strip().lower()
        self.filters = ", ".join([*_filtered(choice), *_filtered(body)])
        self.usage = _usage(body.get("usage"))
        self.request = request
        self.bare = without_thinking(self.text)

    def check(self) -> None:
        """Raise what is wrong, if anything is."""
        if self.refusal or self.finish == "refusal":
            self._fail(f"declined: {quoted(self.refusal or self.text)}", "change the wording of the --template")
        if self.finish in _FILTERED:
            words = self.filters or self.bare
            filtered = f": {quoted(words)}" if words else ""
            self._fail(
                f"was stopped by a content filter (finish_reason {self.finish}){filtered}", "try another --model"
            )
        if self.finish in _CUT or self._reached_the_limit():
            self._cut()
        if self.finish in _BROKEN:
            self._fail(f"broke off (finish_reason {self.finish})", "run again")
        if self.calls and (not self.bare or self.finish in _CALLED):
            hint = "turn tools off in the server, or try another --model"
            self._fail(f"called a tool instead of answering: {quoted(_called(self.calls))}", hint)
        if not self.bare:
            self._empty()
        if self.finish in _UNSAID and self.request.json_schema is not None and self._is_torn():
            self._fail("broke off (it has no finish_reason and its JSON has no end)", "run again")

    def _is_torn(self) -> bool:
        return self.bare.lstrip("`jsno \n").startswith(("{", "[")) and not holds_json(self.bare)

    def _reached_the_limit(self) -> bool:
        """Whether a server that gives no reason wrote exactly as much as it was allowed to."""
        return self.finish in _UNSAID and self.usage.completion_tokens >= self.request.sampling.max_tokens

    def _cut(self) -> NoReturn:
        limit = self.request.sampling.max_tokens
        if not self.bare or self.thoughts or self.bare != self.text:
            problem = f"{self.request.model} used up its {limit} tokens on thoughts before the answer was whole"
            hint = "raise --max-tokens, or take a model that thinks less"
            raise ThinkingLimitError(problem, hint=hint, usage=self.usage)
        problem = f"the answer of {self.request.model} was cut at {limit} tokens"
        raise IncompleteError(problem, hint="raise --max-tokens", usage=self.usage)

    def _empty(self) -> NoReturn:
        thoughts = self.thoughts or self.text
        if thoughts:
            hint = "turn the reasoning parser or thinking off in the server, or try another --model"
            problem = f"{self.request.model} answered in its thoughts only: {quoted(thoughts)}"
            error = IncompleteError(problem, hint=hint, usage=self.usage)
            error.in_thoughts = True
            raise error
        why = f" (finish_reason {self.finish})" if self.finish not in {"stop", ""} else ""
        problem = f"the answer of {self.request.model} is empty{why}"
        raise IncompleteError(problem, hint="try another --model", usage=self.usage)

    def _fail(self, what: str, hint: str) -> NoReturn:
        raise IncompleteError(f"{self.request.model} {what}", hint=hint, usage=self.usage)


def _parts(content: Any) -> tuple[str, str, str]:
    """Text, thoughts and refusal in a content of any shape."""
    if isinstance(content, list):
        if content and all(isinstance(part, dict) and "text" in part and "family" in part for part in content):
            return json.dumps(content), "", ""  # the entries themselves
        each = [_parts(part) for part in content]
        return "".join(one for one, _, _ in each), "".join(one for _, one, _ in each), "".join(r for _, _, r in each)
    if not isinstance(content, dict):
        return _words(content), "", ""
    kind = str(content.get("type") or "").lower()
    if "think" in kind or "reason" in kind or content.get("thought") is True:
        return "", _flat(content), ""
    if kind == "refusal":
        return "", "", _flat(content.get("refusal") or content)
    if "anomalies" in content:
        return json.dumps(content), "", ""
    if kind in {"", "text", "output_text", "input_text", "message", "json", "output_json"}:
        for name in ("text", "content", "parts", "value", "json", "output_text"):
            if content.get(name):
                return _parts(content[name])
    return "", "", ""


def _flat(value: Any) -> str:
    """All words in a value of any shape."""
    if isinstance(value, dict):
        names = ("text", "thinking", "reasoning", "content", "summary", "refusal", "value")
        return next((words for name in names if (words := _flat(value.get(name)))), "")
    return "".join(map(_flat, value)) if isinstance(value, list) else _words(value)


def _words(value: Any) -> str:
    """A string, or nothing where it is something else."""
    return value if isinstance(value, str) else ""


def _called(calls: Any) -> str:
    """Name and arguments of the tools that a model called."""
    each = calls if isinstance(calls, list) else [calls]
    functions = [one.get("function", one) if isinstance(one, dict) else {"name": one} for one in each]
    described = [one if isinstance(one, dict) else {"name": one} for one in functions]
    return "; ".join(f"{one.get('name', '')} {_words(one.get('arguments'))}".strip() for one in described)


def _filtered(holder: dict[str, Any]) -> Iterator[str]:
    """What a content filter objects to, as Azure says it."""
    results = holder.get("content_filter_results") or holder.get("content_filter_result")
    for entry in results.items() if isinstance(results, dict) else ():
        name, verdict = entry
        if isinstance(verdict, dict) and (verdict.get("filtered") or verdict.get("detected")):
            yield f"{name} {verdict.get('severity', '')}".strip()
    prompts = holder.get("prompt_filter_results")
    for one in prompts if isinstance(prompts, list) else ():
        if isinstance(one, dict):
            yield from _filtered(one)


def _usage(counted: Any) -> Usage:
    """Tokens as counted; 0 where a server counts none."""
    fields = counted if isinstance(counted, dict) else {}

    def number(name: str) -> int:
        value = fields.get(name)
        return int(value) if isinstance(value, int | float) and 0 <= value < _MOST_TOKENS else 0

    return Usage(prompt_tokens=number("prompt_tokens"), completion_tokens=number("completion_tokens"))


def _mean_logprob(logprobs: Any) -> float | None:
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    each = [one.get("logprob") for one in tokens or () if isinstance(one, dict)] if isinstance(tokens, list) else []
    values = [float(value) for value in each if isinstance(value, int | float) and abs(value) < _LARGEST_LOGPROB]
    return sum(values) / len(values) if values else None
