"""The JSON schema that other programs read is the one the code has."""

import json
from pathlib import Path

from descriptions.schema import DescriptionFile

EXPORTED = Path(__file__).resolve().parents[2] / "docs" / "description-schema.json"


def test_the_exported_schema_is_fresh() -> None:
    hint = "refresh it: prompt-forge schema > docs/description-schema.json"
    assert json.loads(EXPORTED.read_text()) == DescriptionFile.model_json_schema(), hint


def test_every_field_is_explained() -> None:
    schema = DescriptionFile.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        assert all(field.get("description") for field in model["properties"].values())
