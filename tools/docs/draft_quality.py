"""Counts how good the embedded model's drafts are, and writes the table into docs/generate.md.

    python -m tools.docs.draft_quality
    python -m tools.docs.draft_quality --fresh [--every N] [--category NAME]...

Without options the packaged `v2` drafts of all products are counted. `--fresh` generates drafts with the embedded model
into a temporary folder and sets them beside the packaged ones of the same products: those named with `--category`, or
every eighth product in alphabetical order (`--every`). Answers come from the cache where it has them. Each of the two
writes its own table and leaves the other.

What is counted, of the entries of a draft:

* names a part: the text holds a word of one of the product's `parts`, in any form (`specific.names_part`);
* says the look: the text holds a word of `specific.LOOK`, for size, shape, colour, shine or make;
* specific: one of the two at least; both: the two together;
* copied: without the words of the part, the text has the content words of one of the template's examples without its
  part and product (`prompt_forge.generation.filter.copied_example`);
* lint: entries about which `prompt-forge lint` reports an error or a warning.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from descriptions.format.schema import DescriptionFile
from descriptions.lint import lint
from descriptions.store import PACKAGED, Store
from prompt_forge.generation.catalog import load_catalog
from prompt_forge.generation.filter import copied_example
from prompt_forge.generation.generate import Asker, Run
from prompt_forge.generation.specific import look_words, names_part, specificity
from prompt_forge.generation.strategies import Recipe
from prompt_forge.llm.open import create_model, resources
from prompt_forge.llm.settings import EMBEDDED, ModelSettings
from prompt_forge.templating.template import Example
from prompt_forge.templating.templates import Templates
from tools.docs.tables import table

TARGET = Path(__file__).resolve().parents[2] / "docs" / "generate.md"
TEMPLATE = "family-fewshot"
LIBRARY, FRESH = "quality of the packaged drafts", "quality of fresh drafts"
"""Names of the markers in the page."""
EVERY = 8
"""`--fresh` takes every n-th product."""
HEAD = (
    "drafts",
    "products",
    "answers per product",
    "entries per product",
    "names a part",
    "says the look",
    "specific",
    "both",
    "both and not copied",
    "copied",
    "lint",
)


class Counts(NamedTuple):
    """Entries of one or more drafts, by what can be said of them."""

    products: int = 0
    answers: int = 0
    """Of the model, those that were rejected included."""
    entries: int = 0
    part: int = 0
    look: int = 0
    specific: int = 0
    both: int = 0
    good: int = 0
    """Both, and not copied."""
    copied: int = 0
    lint: int = 0

    def __add__(self, other: object) -> "Counts":
        if not isinstance(other, Counts):
            return NotImplemented
        return Counts(*(one + two for one, two in zip(self, other, strict=True)))

    def row(self, name: str) -> list[str]:
        """A line of the table: answers and entries per product, then percent of the entries."""
        means = (f"{value / max(self.products, 1):.1f}" for value in (self.answers, self.entries))
        shares = (f"{100 * value / max(self.entries, 1):.0f} %" for value in self[3:])
        return [name, str(self.products), *means, *shares]


def count(draft: DescriptionFile, examples: Sequence[Example]) -> Counts:
    """What can be said of the entries of one draft."""
    levels = [specificity(entry.text, draft.parts) for entry in draft.anomalies]
    copied = [bool(copied_example(entry.text, entry.part, examples)) for entry in draft.anomalies]
    return Counts(
        products=1,
        answers=len(draft.provenance.requests) if draft.provenance else 0,
        entries=len(levels),
        part=sum(names_part(entry.text, draft.parts) for entry in draft.anomalies),
        look=sum(bool(look_words(entry.text)) for entry in draft.anomalies),
        specific=sum(level >= 1 for level in levels),
        both=levels.count(2),
        good=sum(level == 2 and not copy for level, copy in zip(levels, copied, strict=True)),
        copied=sum(copied),
        lint=len({finding.entry for finding in lint(draft) if finding.entry}),
    )


def total(drafts: Iterable[DescriptionFile], examples: Sequence[Example]) -> Counts:
    """The counts of all drafts together."""
    return sum((count(draft, examples) for draft in drafts), Counts())


def packaged(names: Iterable[str]) -> Iterator[DescriptionFile]:
    """The packaged drafts of the small model."""
    store = Store(PACKAGED, read_only=True)
    return (store.load(f"{name}@2") for name in names)


def packaged_table(names: Sequence[str], examples: Sequence[Example]) -> str:
    """The table of the packaged drafts."""
    return table(HEAD, [total(packaged(names), examples).row("packaged `v2`")])


def fresh(names: Iterable[str], folder: Path) -> Iterator[DescriptionFile]:
    """Drafts that the embedded model writes now, into `folder`."""
    known, store = load_catalog(), Store(folder)
    settings = ModelSettings(model=EMBEDDED)
    with resources(settings) as shared:
        asker = Asker(create_model(settings, shared), Recipe(template=Templates.find().get(TEMPLATE)))
        for result in Run([asker], store).over([known[name] for name in names]):
            if result.error:
                sys.exit(f"{result.category}: {result.error}")
            draft = store.load(result.ref or "")
            print(f"{draft.category}: {len(draft.anomalies)} entries", file=sys.stderr, flush=True)
            yield draft


def insert(page: str, name: str, text: str) -> str:
    """`page` with `text` between the markers called `name`.

    Raises:
        ValueError: the page lacks the markers.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if begin not in page or end not in page:
        raise ValueError(f"the page lacks {begin} or {end}")
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{text}\n{end}", page, flags=re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, print the table, and write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="generate drafts now; slow")
    parser.add_argument("--category", action="append", help="product of --fresh; repeat for several")
    parser.add_argument("--every", type=int, default=EVERY, help="take every n-th product, by name")
    args = parser.parse_args(arguments)
    examples, names = Templates.find().get(TEMPLATE).examples, sorted(load_catalog())
    if args.fresh:
        names = args.category or names[:: args.every]
        with tempfile.TemporaryDirectory() as folder:
            now = total(fresh(names, Path(folder)), examples)
        rows = [total(packaged(names), examples).row("packaged `v2`"), now.row("generated now")]
        text = f"{table(HEAD, rows)}\n\nThe products: {', '.join(names)}."
    else:
        text = packaged_table(names, examples)
    print(text)
    TARGET.write_text(insert(TARGET.read_text("utf-8"), FRESH if args.fresh else LIBRARY, text), encoding="utf-8")


if __name__ == "__main__":
    main()
