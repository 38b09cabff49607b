"""One run of `prompt-forge improve`: from the version to the comparison, what is saved of it, and earlier looks."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from descriptions.format.schema import Changed, DescriptionFile, Improvement
from descriptions.store import Store
from prompt_forge.generation.assemble import Asker
from prompt_forge.generation.catalog import Product
from prompt_forge.generation.parse import Candidate
from prompt_forge.generation.strategies import RESAMPLE_TEMPERATURE, propose
from prompt_forge.improve.loop import Search
from prompt_forge.improve.measuring import Measurer, Photo
from prompt_forge.improve.proposals import Proposal, Seen, from_model
from prompt_forge.improve.statistics import Difference
from prompt_forge.library.revise import save_beside, successor

LOOKS = "looks.jsonl"
"""Beside the versions of a category: which photos versions were compared on, a line each."""
_SHORT = 12
"""Characters of a photo's hash that tell it from the others."""


class AskModel:
    """Asks a language model for phrases, warmer and with another seed in every round.

    Args:
        asker: the model and how it is asked.
        product: what to ask about.
    """

    def __init__(self, asker: Asker, product: Product) -> None:
        self.asker, self.product = asker, product

    def __call__(self, description: DescriptionFile, seen: Sequence[Seen], turn: int) -> Sequence[Proposal]:
        """Proposals for a version.

        Raises:
            prompt_forge.errors.ModelError: no usable answer came.
        """
        model, recipe = self.asker
        seed = recipe.seed + 100 * (turn + 1)
        recipe = recipe.model_copy(update={"temperature": RESAMPLE_TEMPERATURE, "seed": seed})
        heard: Sequence[Candidate] = propose(model, recipe, self.product, lambda _: None).candidates
        return from_model(description, heard, seen, model.model)


class Report(NamedTuple):
    """How a run ended."""

    saved: DescriptionFile | None
    """The new version; None where there was no gain."""
    verdict: Difference | None
    """On confirm; None where nothing was kept on steer."""
    look: int
    search: Search


def conclude(search: Search, store: Store, folder: Path | None) -> Report:
    """Compare once on confirm, note the look, and save the version where it is a gain.

    Args:
        search: that is over.
        store: the library that the parent was read from.
        folder: the value of `--descriptions-dir`.

    Raises:
        ReadOnlyLibraryError: the library cannot be written to.
    """
    if not search.kept:
        return Report(None, None, 0, search)
    target = Store.open(folder, writable=True)
    path = target.path(search.start.category, 1).with_name(LOOKS)
    compared = search.start.content_hash, search.current.content_hash
    confirm = [search.measurer.photos[at] for at in search.confirm]
    look = count_looks(path, confirm, compared)
    verdict = search.verdict(look)
    note_look(path, confirm, compared)
    saved = None
    if verdict is not None and verdict.is_gain:
        change = f"improve: image AUROC on confirm {verdict.before:.3f} -> {verdict.after:.3f}"
        version = successor(
            search.start, search.current, improvement=_improvement(search, verdict, look), change=change, status="draft"
        )
        saved = save_beside(store, folder, version)
    return Report(saved, verdict, look, search)


def count_looks(path: Path, photos: Sequence[Photo], compared: tuple[str, str]) -> int:
    """Number of the look that comes: earlier ones at any of these photos count, the very same comparison does not."""
    earlier = set()
    known = {photo.sha256[:_SHORT] for photo in photos}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            look = json.loads(line)
            if known.intersection(look["photos"]):
                earlier.add(tuple(look["compared"]))
        except (ValueError, KeyError, TypeError):  # a line that a kill cut short
            continue
    return 1 + len(earlier - {compared})


def note_look(path: Path, photos: Sequence[Photo], compared: tuple[str, str]) -> None:
    """Add a line about a look."""
    path.parent.mkdir(parents=True, exist_ok=True)
    look = {"compared": list(compared), "photos": sorted(photo.sha256[:_SHORT] for photo in photos)}
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(look) + "\n")


def data_hash(measurer: Measurer) -> str:
    """SHA-256 over the photos and what they show."""
    told = sorted((photo.sha256, photo.defective) for photo in measurer.photos)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _improvement(search: Search, verdict: Difference, look: int) -> Improvement:
    changes = [
        Changed(
            action=one.proposal.action,
            target=one.proposal.target,
            text=one.proposal.new.text if one.proposal.new else None,
            reason=one.proposal.reason,
            source=one.proposal.source,
            round=one.round,
        )
        for one in search.kept
    ]
    return Improvement(
        model=search.measurer.model,
        data=data_hash(search.measurer),
        seed=search.seed,
        steer=len(search.steer),
        confirm=len(search.confirm),
        image_auroc=round(verdict.after, 6),
        parent_image_auroc=round(verdict.before, 6),
        interval=(round(verdict.interval[0], 6), round(verdict.interval[1], 6)),
        level=verdict.level,
        look=look,
        changes=tuple(changes),
    )
