"""The answer of a model that thinks aloud: its thoughts are taken off before anything else reads the text.

Models mark their thoughts in many ways: tags (`<think>`, `[THINK]`, `<|START_THINKING|>`), the channels of OpenAI's
harmony format (whole, or with the special tokens stripped so that `analysis...assistantfinal...` remains), or a closing
tag alone where the server has opened the thoughts for the model. Thoughts hold drafts, lists and braces, so a reader
that looks into them saves a wrong file.
"""

import re

_NAMES = (
    r"(?:[a-z_]+:)?(?:[a-z]+_)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratch_?pad"
    r"|inner_monologue|chain_of_thought|cot|details)"
)
_OPEN = (
    rf"<{_NAMES}(?:\s[^<>]*)?>|\[{_NAMES}\]|<\|(?:begin_of_thought|begin_of_thinking|start_thinking|think|thinking)\|>"
    r"|\u25c1think\u25b7|<unused94>"
)
_CLOSE = (
    rf"</{_NAMES}\s*>|\[/{_NAMES}\]|<\|(?:end_of_thought|end_of_thinking|end_thinking|/think|/thinking)\|>"
    r"|\u25c1/think\u25b7|<unused95>"
)
_TAG = re.compile(rf"(?P<close>{_CLOSE})|(?P<open>{_OPEN})", re.IGNORECASE)
_ANSWER = re.compile(
    r"<(?P<name>answer|final|final_answer|response|output|result)>(?P<inside>.*?)(?:</(?P=name)\s*>|\Z)"
    r"|<\|(?:begin_of_solution|start_response)\|>(?P<solution>.*?)(?:<\|(?:end_of_solution|end_response)\|>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_ESCAPED = re.compile(rf"&lt;(/?{_NAMES})&gt;", re.IGNORECASE)
_OLLAMA = re.compile(r"\A\s*thinking\.\.\..*?\.\.\.done thinking\.", re.IGNORECASE | re.DOTALL)

_MESSAGE = re.compile(
    r"(?:<\|channel\|?>\s*(?P<channel>\w+)?(?P<header>[^<]*(?:<\|constrain\|>[^<]*)?))?<\|message\|>"
    r"(?P<body>.*?)(?=<\|(?:end|return|call|start|channel)\|?>|\Z)",
    re.DOTALL,
)
_BARE_CHANNEL = re.compile(
    r"\A\s*(?:<\|start\|>)?\s*(?:assistant)?\s*(?=(?:analysis|commentary|final)\b[^<]*<\|message\|>)"
)
_SPECIAL = re.compile(r"<\|(?:start|end|return|call|channel|message|constrain)\|>")
_JSON_KIND = r"(?:[ \t]?json(?=\s*[\[{]))?:?"
_STRIPPED_FINAL = re.compile(rf"assistantfinal{_JSON_KIND}|assistant[ \t\n]final{_JSON_KIND}(?=[^a-z]|\Z)")
_STRIPPED_FIRST = re.compile(r"\A\s*(?:assistant)?\s*(?:analysis|commentary)(?=[A-Z\"'{\[]|\s*\n)")
_BARE_FINAL = re.compile(r"\A\s*(?:assistant)?\s*final(?:[ \t]?json)?:?(?=\s*[\[{]|\s*\n)")


def without_thinking(text: str) -> str:
    """`text` without thoughts, or the empty string where it holds nothing else.

    Thoughts that never end hide everything after their opening: what stands there may be a draft.

    >>> without_thinking("<think>maybe <b> or {x}</think> - a crack")
    '- a crack'
    >>> without_thinking("analysisWe need JSON.assistantfinal{}")
    '{}'
    """
    answer = _outside_tags(_of_final_channel(_OLLAMA.sub("", _ESCAPED.sub(r"<\1>", text))))
    answers = [match["inside"] or match["solution"] or "" for match in _ANSWER.finditer(answer)]
    return (answers[-1] if answers else answer).strip()


def _outside_tags(text: str) -> str:
    """What stands outside all thinking tags; a closing tag without its opening ends thoughts that began before."""
    outside: list[str] = []
    depth = at = 0
    last_close = 0
    for tag in _TAG.finditer(text):
        if not depth:
            outside.append(text[at : tag.start()])
        if tag["open"]:
            depth += 1
        else:
            if not depth:
                outside.clear()
            depth = max(0, depth - 1)
            last_close = tag.end()
        at = tag.end()
    if not depth:
        return "".join((*outside, text[at:]))
    # One opening too many: either the thoughts name the tag, and the last closing one ends them, or they never end.
    tail = text[last_close:] if last_close else ""
    return tail if not _TAG.search(tail) else "".join(outside)


def _of_final_channel(text: str) -> str:
    """The final message of a conversation in harmony format; any other text as it is."""
    if "<|message|>" in text:
        whole = _BARE_CHANNEL.sub("<|channel|>", text, count=1)
        messages = [(match["channel"] or "final", match["body"]) for match in _MESSAGE.finditer(whole)]
        final = [body for channel, body in messages if channel.lower() == "final"]
        return final[-1] if final else ""
    plain = _SPECIAL.sub("", text)
    finals = list(_STRIPPED_FINAL.finditer(plain))
    if finals:
        return plain[finals[-1].end() :]
    if _STRIPPED_FIRST.match(plain):
        return ""
    return _BARE_FINAL.sub("", plain, count=1)
