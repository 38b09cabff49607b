"""What a model learns from: the images of a data set and the description that each category is read with."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from descriptions.common.errors import nearest
from descriptions.common.refs import Ref, parse_ref, slug
from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector.data import Sample, open_data
from detector.data.errors import ProtocolError, TrainingDataError
from detector.data.names import Names, load_described, read_names, reference
from detector.images.load import ReadOptions

SplitName = Literal["train", "test", "all"]


class Material(NamedTuple):
    """What a run learns from."""

    samples: tuple[Sample, ...]
    files: dict[str, DescriptionFile]
    """By category of the data set."""
    split: SplitName
    reading: ReadOptions = ReadOptions()
    """How picture files are read."""

    @property
    def hashes(self) -> dict[str, str]:
        """Content hash of every description version, by `category@version`."""
        return {file.ref: file.content_hash for file in self.files.values()}


def gather(
    root: Path,
    split: SplitName,
    *,
    categories: Sequence[str] = (),
    refs: Sequence[str] = (),
    store: Store,
    eval_data: Path | None = None,
    names: Sequence[str] = (),
    reading: ReadOptions = ReadOptions(),  # noqa: B008 - immutable
) -> Material:
    """List images and load descriptions.

    Args:
        root: data set, in any layout.
        split: part of it that is trained on; the release uses `test`, where the defects are.
        categories: only these; none means all.
        refs: description versions such as `capsule@2`; categories without one take their default.
        store: library of descriptions.
        eval_data: data set the model will be judged on, of which it must not see a category.
        names: `FOLDER=DESCRIPTION` for categories that go by another name in the library.
        reading: how picture files are read.

    Raises:
        ProtocolError: a category is to be evaluated and would be trained on without having been asked for by name.
        TrainingDataError: no image in the split.
        UnknownCategoryError: a category has no description.
    """
    data = open_data(root, categories)
    if eval_data is not None:
        require_unseen(data.categories, open_data(eval_data).categories, named=categories)
    samples = data.select(split=None if split == "all" else split)
    if not samples:
        raise TrainingDataError(f"{root} has no images in split {split!r}", expected="train, test or all")
    present = sorted({sample.category for sample in samples})
    described = read_names(names, data.categories, store)
    versions = _chosen(refs, present, described)
    files = {name: load_described(store, name, described, versions.get(name)) for name in present}
    return Material(samples, files, split, reading)


def require_unseen(trained: Iterable[str], unseen: Iterable[str], *, named: Iterable[str] = ()) -> None:
    """The zero-shot protocol: what a model is judged on, it has not seen.

    Args:
        trained: categories of the training data.
        unseen: categories of the evaluation data.
        named: categories asked for by name, which are trained on all the same.

    Raises:
        ProtocolError: an overlap nobody asked for.
    """
    overlap = sorted({slug(name) for name in trained} & {slug(name) for name in unseen} - {slug(n) for n in named})
    if overlap:
        raise ProtocolError(
            f"{', '.join(overlap)} would be trained on and evaluated",
            expected="disjoint categories (the zero-shot protocol)",
            hint=f"name what to train on with --category, such as --category {overlap[0]} to train on it all the same",
        )


def _chosen(refs: Sequence[str], categories: Sequence[str], names: Names) -> dict[str, Ref]:
    """Reference by category of the data set."""
    described = {name: reference(name, names).category for name in categories}
    versions: dict[str, Ref] = {}
    for ref in refs:
        wanted = parse_ref(ref)
        using = [name for name, description in described.items() if description == wanted.category]
        if not using:
            known = list(dict.fromkeys(described.values()))
            raise TrainingDataError(
                f"descriptions {ref} belong to no training category",
                expected=", ".join(known),
                hint=nearest(wanted.category, known),
            )
        versions |= dict.fromkeys(using, wanted)
    return versions
