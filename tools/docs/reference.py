"""Writes docs/reference/ from the code: `make reference`. A test compares, so that the pages are never stale."""

from pathlib import Path

from descriptions.format.schema import Anomaly, DescriptionFile, Parameters, Provenance, Usage
from descriptions.lint import RULES
from tools.docs import commands, fields
from tools.docs.tables import table

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Written by `make reference` from the code; edit the code. -->\n\n"


def pages() -> dict[str, str]:
    """All reference pages by file name."""
    from detector.cli.app import app as detector
    from prompt_forge.cli.app import app as prompt_forge

    texts = {
        "prompt-forge.md": commands.page(prompt_forge, "prompt-forge"),
        "detector.md": commands.page(detector, "detector"),
        "description-file.md": _description_file(),
        "configuration.md": _configuration(),
    }
    return {name: NOTE + text for name, text in texts.items()}


def _description_file() -> str:
    rules = [[f"`{rule.name}`", rule.level, "yes" if rule.fixable else ""] for rule in RULES]
    return "\n\n".join(
        [
            "# Description file",
            "`descriptions/<category>/v<version>.yaml`. "
            "The same schema, for editors and other programs: `prompt-forge schema`, and "
            "[description-schema.json](../description-schema.json). A worked example stands in "
            "[the library's own page](../../descriptions/README.md).",
            fields.section(DescriptionFile, "The file"),
            fields.section(Anomaly, "Entries of `anomalies`"),
            fields.section(Provenance, "`provenance`"),
            fields.section(Parameters, "`provenance.parameters`"),
            fields.section(Usage, "`provenance.usage`"),
            "## Lint rules\n\nEach with an example on [the library's own page](../../descriptions/README.md).",
            table(["rule", "level", "repaired by `--fix`"], rules) + "\n",
        ]
    )


def _configuration() -> str:
    from descriptions.common.settings import LibrarySettings
    from detector.model.config import ModelConfig
    from detector.scoring.predict import ScoringSettings
    from detector.settings import DetectorSettings
    from detector.train.config import TrainConfig
    from prompt_forge.generation.prepare import GenerateSettings
    from prompt_forge.llm.settings import ModelSettings

    return "\n\n".join(
        [
            "# Configuration",
            "Both tools read, in rising order: defaults, `filo-forge.toml` in the user's configuration folder, "
            "`filo-forge.toml` in the current folder, variables, options. `detector train` takes only `device` from "
            "`[detector]`, so that what a model learned from is always typed; its recipe may come from a TOML file of "
            "its own, `--config`. Relative paths start at the current folder.",
            fields.section(LibrarySettings, "`[library]`"),
            fields.section(ModelSettings, "`[model]`"),
            fields.section(GenerateSettings, "`[generate]`"),
            fields.section(DetectorSettings, "`[detector]`"),
            fields.section(TrainConfig, "Training recipe"),
            fields.section(ModelConfig, "Model"),
            fields.section(ScoringSettings, "Scoring") + "\n",
        ]
    )


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
