"""Categories under other names: every version and label, whole or not at all."""

import os
from pathlib import Path

import pytest

from descriptions.common.errors import (
    BadReferenceError,
    DescriptionError,
    ExistingCategoryError,
    InvalidFileError,
    ReadOnlyLibraryError,
    UnknownCategoryError,
)
from descriptions.common.refs import Ref
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.renaming import copy_category, rename_category
from descriptions.store import PACKAGED, Store

WELD = DescriptionFile(
    category="weld", object_name="weld seam", status="reviewed", anomalies=(Anomaly(id="a", text="thin crack"),)
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "library")
    store.save(WELD)
    path = store.path("weld", 1)
    path.write_text(path.read_text().replace("text: thin crack", "text: thin crack  # seen on line 3"))
    store.save(WELD.revised(parent=1, object_name="seam"))
    store.set_label("weld@1", "default")
    return store


def test_a_copy_is_version_1_of_a_new_category(store: Store) -> None:
    assert copy_category(store, store, "weld", "Welding seam") == Ref("welding_seam", 1)
    copy = store.load("welding_seam")
    assert (copy.object_name, copy.parent, copy.status) == ("weld seam", None, "reviewed")
    assert copy.content_hash == store.load("weld@1").content_hash
    assert "# seen on line 3" in store.path("welding_seam", 1).read_text()
    assert store.versions("weld") == [1, 2]


def test_a_copy_with_other_words_is_a_draft(store: Store) -> None:
    copy_category(store, store, "weld@2", "spot_weld", "spot weld")
    copy = store.load("spot_weld")
    assert (copy.object_name, copy.status) == ("spot weld", "draft")


def test_a_product_of_the_package_can_be_copied_under_its_own_name(tmp_path: Path) -> None:
    target = Store(tmp_path)
    assert copy_category(Store(PACKAGED, read_only=True), target, "weld@reviewed", "weld") == Ref("weld", 1)
    assert target.load("weld").enabled_texts == Store(PACKAGED).load("weld@1").enabled_texts


def test_a_new_name_takes_all_versions_and_labels_along(store: Store) -> None:
    before = [store.load(f"weld@{number}") for number in (1, 2)]
    (store.root / "weld" / "notes.txt").write_text("by hand")
    assert rename_category(store, "weld", "welding") == [Ref("welding", 1), Ref("welding", 2)]
    assert store.categories() == ["welding"]
    assert not (store.root / "weld").exists()
    after = [store.load(f"welding@{number}") for number in (1, 2)]
    assert after == [one.revised(category="welding") for one in before]
    assert store.labels("welding") == {"latest": 2, "default": 1}
    assert "# seen on line 3" in store.path("welding", 1).read_text()
    assert (store.root / "welding" / "notes.txt").read_text() == "by hand"
    assert sorted(path.name for path in store.root.iterdir()) == ["welding"]
    assert (store.root / "welding").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("old", "new", "kind", "message"),
    [
        ("weld", "weld", ExistingCategoryError, "has a category 'weld' already"),
        ("weld", "other", ExistingCategoryError, "has a category 'other' already; expected a new name"),
        ("weld", "a/b", BadReferenceError, "category 'a/b'"),
        ("weld", "x@2", BadReferenceError, "name 'x@2'; expected a category without @"),
        ("weld@1", "x", BadReferenceError, "name 'weld@1'; expected a category without @"),
        ("wild", "x", UnknownCategoryError, "did you mean weld"),
    ],
)
def test_names_that_cannot_be_are_refused(
    store: Store, old: str, new: str, kind: type[DescriptionError], message: str
) -> None:
    store.save(WELD.revised(category="other"))
    before = sorted(store.root.rglob("*"))
    with pytest.raises(kind, match=message):
        rename_category(store, old, new)
    assert sorted(store.root.rglob("*")) == before


def test_a_broken_version_stops_a_rename_before_it_begins(store: Store) -> None:
    store.path("weld", 2).write_text("category: [\n")
    with pytest.raises(InvalidFileError, match=r"v2\.yaml"):
        rename_category(store, "weld", "welding")
    assert store.categories() == ["weld"]


def test_the_packaged_library_keeps_its_names() -> None:
    with pytest.raises(ReadOnlyLibraryError, match="read-only"):
        rename_category(Store(PACKAGED, read_only=True), "weld", "welding")


def test_a_disk_that_is_full_leaves_everything_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    before = sorted(store.root.rglob("*"))
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ReadOnlyLibraryError, match="No space left"):
        rename_category(store, "weld", "welding")
    assert sorted(store.root.rglob("*")) == before
