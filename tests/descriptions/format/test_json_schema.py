"""The format as other programs and people read it is the one the code has."""

import json
from pathlib import Path

from descriptions.format.schema import DescriptionFile
from descriptions.format.yaml_io import parse_description
from descriptions.lint import RULES

EXPORTED = Path(__file__).resolve().parents[3] / "docs" / "description-schema.json"


def test_the_exported_schema_is_fresh() -> None:
    hint = "refresh it: prompt-forge schema > docs/description-schema.json"
    assert json.loads(EXPORTED.read_text()) == DescriptionFile.model_json_schema(), hint


def test_every_field_is_explained() -> None:
    schema = DescriptionFile.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        assert all(field.get("description") for field in model["properties"].values())


def test_the_example_in_the_readme_is_a_valid_file() -> None:
    readme = (EXPORTED.parents[1] / "descriptions" / "README.md").read_text()
    example = readme.split("```yaml\n")[1].split("```")[0]
    description = parse_description(example.encode(), "README.md")
    assert description.enabled_texts == ("bent corner",)


def test_the_readme_lists_every_rule() -> None:
    readme = (EXPORTED.parents[1] / "descriptions" / "README.md").read_text()
    for rule in RULES:
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{rule.name}` |"))
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[2] == rule.level
        assert cells[3].startswith("yes") == rule.fixable
