"""Thoughts are taken off before an answer is read, however a model marks them."""

import json

import pytest

from prompt_forge.generation.parse import from_json, from_lines, one_phrase
from prompt_forge.llm.thinking import without_thinking
from tests.support.answers import GOOD

HARMONY = "<|channel|>analysis<|message|>A draft: {x}\n- maybe<|end|><|start|>assistant<|channel|>final<|message|>%s"

MARKED = [
    "<think>\n- user likes cracks\n{maybe}\n</think>\n%s",
    "- a thought {\n</think>\n\n%s",
    "</think>%s",
    "<think></think>%s",
    "[THINK]\n- first {a: b}[/THINK]\n%s",
    "<THINKING>Draft:\n```json\n{}\n```\n</Thinking>%s",
    '<think time="3">x</think>%s',
    "<reasoning>\n- one\n</reasoning>%s",
    "<thought>a</thought><reflection>- b</reflection>%s",
    "<seed:think>- x</seed:think>%s",
    "<think>outer <think>- inner</think> {still}</think>%s",
    "<think>I may write <think> here.\n- no</think>%s",
    "<think>- a</think>%s<think>- b</think>",
    "<|START_THINKING|>- a<|END_THINKING|><|START_RESPONSE|>%s<|END_RESPONSE|>",
    "\u25c1think\u25b7- a\u25c1/think\u25b7%s",
    "&lt;think&gt;- a {&lt;/think&gt;%s",
    "<think>- a</think><answer>%s</answer>",
    "Thinking...\n- a\n...done thinking.\n\n%s",
    HARMONY,
    HARMONY + "<|return|>",
    HARMONY.removeprefix("<|channel|>"),
    HARMONY.replace("final<", "final <|constrain|>json<"),
    "<|start|>assistant<|message|>%s<|end|>",
    "analysisWe need JSON. {x}\n- nassistantfinal%s",
    "analysis\nWe need\n- n\n\nassistantfinal\n\n%s",
    "analysisHm.assistantcommentaryNo tools.assistantfinal%s",
]


@pytest.mark.parametrize("frame", MARKED)
def test_the_answer_is_what_is_left(frame: str) -> None:
    assert [one.text for one in from_json(frame % GOOD)] == ["long dark scratch", "round dent", "brown stain"]
    assert [one.text for one in from_lines(frame % "- thin crack\n- dented side")] == ["thin crack", "dented side"]
    assert one_phrase(frame % "deep crack in the cap\nProduct: y") == "deep crack in the cap"


@pytest.mark.parametrize(
    "text",
    [
        f"<think>never closed {GOOD}",
        f"<think>{GOOD}</think>",
        f"{GOOD}</think>",
        "analysisWe should list cracks",
        "<|channel|>analysis<|message|>- a crack",
        "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>commentary to=f <|message|>{}<|call|>",
    ],
)
def test_thoughts_alone_are_no_answer(text: str) -> None:
    assert without_thinking(text) == ""
    for read in (from_json, from_lines):
        with pytest.raises(ValueError, match="thoughts only"):
            read(text)


@pytest.mark.parametrize("text", [GOOD, "- final crack\n- analysis mark", "a crack", json.dumps({"a": "<b>"}), ""])
def test_text_without_thoughts_stays(text: str) -> None:
    assert without_thinking(text) == text
