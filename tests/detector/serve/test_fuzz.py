"""Whatever the API's own schema allows, and what it does not, is answered without a failure of the server."""

import string
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.serving import Running, images, png

ODD = st.sampled_from(
    [
        "",
        "gear",
        "gear@1",
        "..",
        "%2e%2e%2f",
        "\x00",
        "a" * 300,
        "-1",
        "0",
        "1e400",
        "null",
        "{}",
        "<b>",
        "é",
        "\ud7ff",
        "1",
    ]
)
TEXT = ODD | st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
CONTENTS = [b"", b"no picture", png()[:200], png(), png(1, (1, 1)), png(2, (300, 9))]
EXAMPLES = 90
"""Requests of each operation."""

# The server runs in a thread of this process. When it draws from `random` while a request is made up, Hypothesis takes
# that for the strategy's doing and warns, with a representation of the schema that it warns of as well.
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")


def of_schema(schema: dict[str, Any], root: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a JSON schema allows, as far as it is used here."""
    if "$ref" in schema:
        return of_schema(root["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "anyOf" in schema:
        return st.one_of([of_schema(each, root) for each in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        needed = schema.get("required", [])
        parts = {name: of_schema(each, root) for name, each in schema["properties"].items()}
        optional = {name: each for name, each in parts.items() if name not in needed}
        return st.fixed_dictionaries({name: parts[name] for name in needed}, optional=optional)
    if kind == "array":
        return st.lists(of_schema(schema.get("items", {}), root), max_size=4)
    simple = {"integer": st.integers(-3, 2**40), "number": st.floats(), "boolean": st.booleans(), "null": st.none()}
    if kind == "string":
        return st.text(string.ascii_lowercase, min_size=1, max_size=12) | TEXT
    return simple.get(kind or "", JSON)


def operations(root: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, about) for path, each in root["paths"].items() for method, about in each.items()]


def requests(path: str, about: dict[str, Any], root: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Requests of one operation: mostly as the schema has them."""
    parts: dict[str, Any] = {"path": st.just(path), "query": st.just({})}
    named = [each for each in about.get("parameters", ()) if each["in"] == "path"]
    parts["names"] = st.fixed_dictionaries({each["name"]: TEXT for each in named})
    asked = {each["name"]: TEXT for each in about.get("parameters", ()) if each["in"] == "query"}
    parts["query"] = st.fixed_dictionaries({}, optional=asked)
    body = about.get("requestBody", {}).get("content", {})
    if "application/json" in body:
        parts["json"] = of_schema(body["application/json"]["schema"], root) | JSON
    if "multipart/form-data" in body:
        fields = body["multipart/form-data"]["schema"]["properties"]
        parts["data"] = st.dictionaries(
            st.sampled_from([*fields, "other"]), ODD | st.sampled_from(["true", "json", "png", "npy"])
        )
        parts["files"] = st.lists(st.tuples(st.sampled_from(CONTENTS), TEXT), max_size=3)
        parts["valid"] = st.booleans()
    return st.fixed_dictionaries(parts)


def send(client: httpx.Client, method: str, asked: dict[str, Any]) -> httpx.Response:
    path = asked["path"]
    for name, value in asked["names"].items():
        path = path.replace(f"{{{name}}}", httpx.QueryParams({"x": value or "x"}).__str__()[2:].replace("+", "%20"))
    more: dict[str, Any] = {"json": asked["json"]} if "json" in asked else {}
    if "files" in asked:
        files = images(*(each[0] for each in asked["files"]), names=tuple(each[1] or "x" for each in asked["files"]))
        data = {name: value for name, value in asked["data"].items() if name != "images"}
        more = {
            "files": files or [("references", ("x", b"x"))],
            "data": data | ({"category": "gear"} if asked["valid"] else {}),
        }
    return client.request(method, path, params=asked["query"], **more)


def try_operation(running: Running, method: str, asked_with: st.SearchStrategy[dict[str, Any]]) -> int:
    """Send requests of one operation; returns how many."""
    count = 0

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(asked=asked_with)
    def answered(asked: dict[str, Any]) -> None:
        nonlocal count
        count += 1
        answer = send(running.client, method, asked)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"]

    answered()
    return count


@pytest.mark.slow
def test_a_thousand_requests_make_no_failure(running: Running) -> None:
    root = running.client.get("/openapi.json").json()
    listed = operations(root)
    assert len(listed) >= 12
    count = sum(try_operation(running, method, requests(path, about, root)) for path, method, about in listed)
    for number in range(max(0, 1000 - count)):
        assert running.client.get(f"/v1/descriptions/{number}").status_code in (404, 422)
    assert running.client.get("/readyz").status_code == 200
    assert "failures_total 0.0" in running.client.get("/metrics").text


@pytest.mark.parametrize("path", ["/review/gear", "/judge/gear", "/compare/gear", "/page/lint/gear"])
def test_odd_addresses_of_the_page_are_answered(running: Running, path: str) -> None:
    step = st.one_of(
        TEXT, st.tuples(st.sampled_from(["on", "off", "text", "add", "note", "lock"]), TEXT, TEXT).map("~".join)
    )
    query = st.fixed_dictionaries(
        {},
        optional={
            "v": TEXT,
            "do": st.lists(step, max_size=3),
            "sort": TEXT,
            "photo": TEXT,
            "op": TEXT,
            "a": TEXT,
            "id": TEXT,
            "value": TEXT,
        },
    )

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(asked=query)
    def answered(asked: dict[str, Any]) -> None:
        answer = running.client.get(path, params=asked, follow_redirects=False)
        assert answer.status_code < 500, answer.text

    answered()
