"""Round trips, concurrent writers, and hostile files."""

import os
import signal
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from shutil import copytree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from descriptions.common.errors import (
    BadReferenceError,
    DescriptionError,
    InvalidFileError,
    ReadOnlyLibraryError,
    SettingsError,
    UnknownCategoryError,
    UnknownVersionError,
    UnsafePathError,
)
from descriptions.common.refs import Ref, parse_ref, slug
from descriptions.format.schema import Anomaly, DescriptionFile, Parameters, Provenance
from descriptions.format.yaml_io import MAX_BYTES, dump_description, parse_description, read_bytes
from descriptions.store import PACKAGED, Store

HAND_WRITTEN = """\
# reviewed with the line lead
schema_version: 1
object_name: "metal nut"   # what CLIP reads
category: metal_nut
version: 1
created: 2026-11-01T08:00:00Z
anomalies:
  # the one customers complain about
  - {id: scratch, text: bright scratch on the flat face, source: human}
  - id: bent
    text: bent corner   # seen on line 3
    note: ''
"""


def capsule(**changes: object) -> DescriptionFile:
    entries = (Anomaly(id="crack", text="deep crack in the cap"), Anomaly(id="dent", text="dent", enabled=False))
    return DescriptionFile(category="capsule", object_name="capsule", anomalies=entries).revised(**changes)


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=60).filter(
    lambda text: text.strip()
)
slugs = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True)
states = texts.filter(lambda text: "{" not in text and "}" not in text).map(lambda text: text[:100] + " {}")
anomalies = st.builds(
    Anomaly,
    id=slugs,
    text=texts,
    family=st.none() | texts,
    part=st.none() | texts,
    source=st.sampled_from(["llm", "human", "import"]),
    enabled=st.booleans(),
    note=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=40),
    locked=st.booleans(),
    support=st.none() | st.integers(1, 9),
)
provenances = st.builds(
    Provenance,
    generator=texts,
    endpoint=texts,
    model=texts,
    template=texts,
    template_sha256=st.just("0" * 64),
    parameters=st.builds(Parameters, temperature=st.none() | st.floats(0, 2), seed=st.none() | st.integers(0, 9)),
    requests=st.lists(slugs, max_size=3).map(tuple),
    seconds=st.floats(0, 1e6),
)
files = st.builds(
    DescriptionFile,
    category=slugs,
    object_name=texts,
    version=st.integers(1, 99),
    parent=st.none() | st.integers(1, 99),
    created=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    status=st.sampled_from(["draft", "reviewed"]),
    parts=st.lists(texts, max_size=3).map(tuple),
    normal=st.lists(states, min_size=1, max_size=3).map(tuple),
    abnormal=st.lists(states, max_size=3).map(tuple),
    anomalies=st.lists(anomalies, max_size=4, unique_by=lambda entry: entry.id).map(tuple),
    provenance=st.none() | provenances,
)


@settings(deadline=None)
@given(files)
def test_load_of_save_is_the_identity(description: DescriptionFile) -> None:
    again = parse_description(dump_description(description).encode(), "x.yaml")
    assert again == description
    assert again.content_hash == description.content_hash
    assert parse_description(dump_description(again).encode(), "x.yaml") == description


def test_a_hand_edit_keeps_comments_order_and_quotes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "metal_nut").mkdir()
    (tmp_path / "metal_nut" / "v1.yaml").write_text(HAND_WRITTEN)
    first = store.load("metal_nut")
    entries = [entry for entry in first.anomalies if entry.id == "bent"]
    second = store.save(first.revised(parent=1, anomalies=(*entries, Anomaly(id="rust", text="orange rust"))))
    text = store.path("metal_nut", 2).read_text()
    assert second.version == 2
    assert '"metal nut"   # what CLIP reads' in text
    assert "# reviewed with the line lead" in text
    assert "# seen on line 3" in text
    assert text.index("object_name") < text.index("category")
    assert "scratch" not in text.split("anomalies:")[1].replace("# the one customers complain about", "")
    assert store.load("metal_nut@2") == second
    assert store.path("metal_nut", 1).read_text() == HAND_WRITTEN


def test_the_content_hash_follows_what_the_detector_reads() -> None:
    base = capsule()
    note = base.anomalies[0].model_copy(update={"note": "look", "id": "other"})
    assert base.revised(version=7, anomalies=(note, base.anomalies[1])).content_hash == base.content_hash
    assert base.revised(object_name="pill").content_hash != base.content_hash
    enabled = base.anomalies[1].model_copy(update={"enabled": True})
    assert base.revised(anomalies=(base.anomalies[0], enabled)).content_hash != base.content_hash
    assert base.enabled_texts == ("deep crack in the cap",)
    assert base.ref == "capsule@1"


def _save(root: Path, count: int) -> list[int]:
    return [Store(root).save(capsule()).version for _ in range(count)]


def test_concurrent_writers_never_share_a_number(tmp_path: Path) -> None:
    with get_context("spawn").Pool(4) as pool:
        numbers = [version for got in pool.starmap(_save, [(tmp_path, 5)] * 4) for version in got]
    assert sorted(numbers) == list(range(1, 21)) == Store(tmp_path).versions("capsule")
    assert {Store(tmp_path).load(f"capsule@{number}").version for number in numbers} == set(numbers)


def _save_for_ever(root: Path) -> None:
    while True:
        Store(root).save(capsule())


def test_a_killed_writer_leaves_only_whole_files(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(3):
        writer = get_context("spawn").Process(target=_save_for_ever, args=(tmp_path,))
        before = len(store.versions("capsule"))
        writer.start()
        while len(store.versions("capsule")) < before + 5:
            assert writer.is_alive()
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        for version in store.versions("capsule"):
            assert store.load(Ref("capsule", version)).anomalies == capsule().anomalies
        assert store.save(capsule()).version == store.versions("capsule")[-1]


def test_labels_move_and_latest_follows(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(capsule())
    store.set_label("capsule@1", "reviewed")
    store.save(capsule())
    assert store.labels("capsule") == {"latest": 2, "reviewed": 1}
    assert store.load("capsule@reviewed").version == 1
    assert store.set_label("capsule", "reviewed") == Ref("capsule", 2)
    assert store.load("capsule@reviewed").version == 2
    with pytest.raises(BadReferenceError, match="label 'latest'; expected a lower-case name"):
        store.set_label("capsule@1", "latest")


def test_a_bare_name_is_the_latest_until_the_label_default_says_otherwise(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(capsule())
    store.save(capsule())
    assert store.resolve("capsule") == store.resolve("capsule@default") == store.resolve("capsule@latest")
    store.set_label("capsule@1", "default")
    assert (store.load("capsule").version, store.load("capsule@latest").version) == (1, 2)
    assert store.save(capsule()).version == 3
    assert store.resolve("capsule") == Ref("capsule", 1)


def test_unknown_names_offer_the_nearest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(capsule())
    with pytest.raises(UnknownCategoryError, match="did you mean capsule"):
        store.load("capsul")
    with pytest.raises(UnknownCategoryError, match="prompt-forge generate --category zipper"):
        store.load("zipper")
    with pytest.raises(
        UnknownCategoryError, match=rf"has one: type prompt-forge copy zipper --descriptions-dir {tmp_path}"
    ):
        store.load("zipper")
    with pytest.raises(UnknownCategoryError, match=r"did you mean zipper of the package\?$"):
        store.load("ziper")
    with pytest.raises(UnknownCategoryError, match=r"descriptions; did you mean capsule\?$"):
        Store.open().load("capsul")
    with pytest.raises(UnknownCategoryError, match=r"one of the 4\d that prompt-forge list shows; make it with"):
        Store(PACKAGED).load("gyroscope")
    with pytest.raises(UnknownVersionError, match="has no version 9; expected one of: 1"):
        store.load("capsule@9")
    with pytest.raises(UnknownVersionError, match=r"no label 'lates'.*did you mean latest"):
        store.load("capsule@lates")


@pytest.mark.parametrize("bad", ["../x", "/etc", "a/b", "capsule;ls", "", "capsule@", "capsule@@2", "capsule@../x"])
def test_references_cannot_leave_the_library(bad: str, tmp_path: Path) -> None:
    with pytest.raises(BadReferenceError) as caught:
        Store(tmp_path).load(bad)
    assert "\n" not in str(caught.value)
    with pytest.raises(DescriptionError):
        Store(tmp_path).versions("../x")


def test_references_read_back() -> None:
    assert [str(parse_ref(text)) for text in ("capsule", "capsule@2", "capsule@v2", "capsule@reviewed")] == [
        "capsule@default",
        "capsule@2",
        "capsule@2",
        "capsule@reviewed",
    ]
    assert parse_ref("Metal nut@2") == Ref("metal_nut", 2)
    assert slug("  Metal Nut! ") == "metal_nut"


START = "schema_version: 1\ncategory: capsule\nobject_name: capsule\n"
HOSTILE = {
    "a bomb": (b"a: &a [x, x]\nb: [*a, *a]\n", "line 1: anchor &a"),
    "a tag": (b"a: !!python/object/apply:os.system [ls]\n", "line 1: tag"),
    "deep nesting": (b"a: " + b"[" * 5000, "nested deeper than"),
    "a huge file": (b"# " + b"x" * 10_000_000, "10,000,002 bytes; expected at most"),
    "latin-1": ("object_name: gr\xfcn\n".encode("latin-1"), "line 1: byte 0xfc is not UTF-8; save the file as UTF-8"),
    "a tab": (b"schema_version: 1\n\tcategory: x\n", "line 2: a tab where YAML wants spaces"),
    "a key twice": ((START + "category: pill\n").encode(), 'line 4: duplicate key "category"'),
    "an unknown key": ((START + "anomalys: []\n").encode(), "line 4: anomalys: unknown key; did you mean anomalies?"),
    "a deep unknown key": (
        (START + "anomalies:\n  - {id: a, text: b, familly: c}\n").encode(),
        "line 5: anomalies[0].familly: unknown key; did you mean family?",
    ),
    "a wrong type": (
        (START + "anomalies:\n  - id: a\n    text: 7\n").encode(),
        "line 6: anomalies[0].text: input should",
    ),
    "a missing key": (b"schema_version: 1\ncategory: capsule\n", "object_name: is missing"),
    "an id twice": (
        (START + "anomalies:\n  - {id: a, text: b}\n  - {id: a, text: c}\n").encode(),
        "the id 'a' stands on more than one anomaly",
    ),
    "a state without a slot": ((START + "normal: [fine]\n").encode(), "needs exactly one {}"),
    "an empty text": ((START + "anomalies:\n  - {id: a, text: ' '}\n").encode(), "the text is empty"),
    "escape codes": ((START + 'anomalies:\n  - {id: a, text: "a\\e[31m"}\n').encode(), "control character"),
    "two documents": ((START + "---\na: 1\n").encode(), "a second document"),
    "a list": (b"- a\n", "holds a list; expected a mapping"),
    "nothing": (b"", "holds nothing; expected a mapping"),
    "a NUL": (b"a: \x00\n", "plain YAML"),
    "broken YAML": (b"a: [1, 2\n", "line 2"),
    "another version inside": ((START + "version: 3\n").encode(), "version: 3; expected 1, as the path says"),
    "another category inside": (START.replace("capsule", "pill").encode(), "category: pill; expected capsule"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_get_one_clear_line(case: str, tmp_path: Path) -> None:
    content, line = HOSTILE[case]
    (tmp_path / "capsule").mkdir()
    (tmp_path / "capsule" / "v1.yaml").write_bytes(content)
    with pytest.raises(InvalidFileError) as caught:
        Store(tmp_path).load("capsule")
    assert line in str(caught.value)
    assert "v1.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_the_size_limit_is_generous() -> None:
    entries = tuple(Anomaly(id=f"a{number}", text="x" * 60) for number in range(500))
    assert len(dump_description(capsule(anomalies=entries))) < MAX_BYTES


@pytest.mark.parametrize("content", ["latest: 1\n", "Bad Name: 1\n", "reviewed: 9\n", "reviewed: one\n", "[1]\n"])
def test_hand_broken_labels_are_named(content: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(capsule())
    (tmp_path / "capsule" / "labels.yaml").write_text(content)
    with pytest.raises(InvalidFileError, match=r"labels\.yaml"):
        store.labels("capsule")


def test_links_out_of_the_library_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    Store(outside).save(capsule())
    root = tmp_path / "library"
    (root / "pill").mkdir(parents=True)
    (root / "capsule").symlink_to(outside / "capsule")
    (root / "pill" / "v1.yaml").symlink_to(outside / "capsule" / "v1.yaml")
    for ref in ("capsule", "pill"):
        with pytest.raises(UnsafePathError, match="is a link to"):
            Store(root).load(ref)
    Store(root).save(capsule(category="nut"))
    assert Store(root).categories() == ["nut", "pill"]
    with pytest.raises(UnknownCategoryError, match="did you mean nut"):
        Store(root).load("nuts")


def test_where_the_library_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    packaged = Store.open()
    assert (packaged.root, packaged.read_only) == (PACKAGED, True)
    for write in (lambda: packaged.save(capsule()), lambda: packaged.set_label("capsule@1", "x")):
        with pytest.raises(ReadOnlyLibraryError, match="pass --descriptions-dir DIR"):
            write()
    Store.open(writable=True).save(capsule())
    assert Store.open().root == Path("descriptions")
    assert Store.open(tmp_path / "mine").root == tmp_path / "mine"
    assert Store.open(tmp_path / "mine").categories() == []
    Path("filo-forge.toml").write_text('[library]\ndescriptions_dir = "theirs"\n')
    assert (Store.open().root, Store.open(writable=True).root) == (Path("theirs"), Path("theirs"))
    assert Store.open(tmp_path / "mine").root == tmp_path / "mine"
    monkeypatch.setenv("FILO_FORGE_DESCRIPTIONS_DIR", "~/ours")
    assert Store.open().root == Path.home() / "ours"
    monkeypatch.delenv("FILO_FORGE_DESCRIPTIONS_DIR")
    Path("filo-forge.toml").unlink()
    Path("filo-forge.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        Store.open()
    Path("filo-forge.toml").rmdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UnsafePathError, match="is a file; expected a folder"):
        Store.open(tmp_path / "file")


def test_what_the_working_folder_lacks_is_read_from_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    for name in ("capsule", "weld", "zipper"):
        copytree(PACKAGED / name, package / name)
    monkeypatch.setattr("descriptions.store.PACKAGED", package)
    monkeypatch.chdir(tmp_path)
    own = Store.open(writable=True)
    own.save(capsule(category="softgel"))
    own.save(capsule(object_name="gel capsule"))
    store = Store.open()
    assert (store.root, store.categories()) == (Path("descriptions"), ["capsule", "softgel"])
    assert store.readable() == ["capsule", "softgel", "weld", "zipper"]
    assert store.load("capsule").object_name == "gel capsule", "the own one wins"
    assert (store.versions("capsule"), store.labels("capsule")) == ([1], {"latest": 1})
    packaged = Store(package)
    before = sorted(package.rglob("*"))
    for ref in ("weld", "weld@2", "weld@reviewed", "weld@latest"):
        assert store.load(ref) == packaged.load(ref)
    assert store.labels("weld") == packaged.labels("weld")
    assert store.path("weld", 2) == package / "weld" / "v2.yaml"
    with pytest.raises(UnknownVersionError, match="weld has no version 9; expected one of: 1, 2"):
        store.load("weld@9")
    with pytest.raises(UnknownCategoryError, match="did you mean weld"):
        store.load("wled")
    assert own.versions("weld") == [], "what is going to be written has no fallback"
    assert store.save(packaged.load("weld").revised(parent=None)).version == 1
    with pytest.raises(UnknownCategoryError, match="has one: type prompt-forge copy zipper, or make your own"):
        own.set_label("zipper@1", "mine")
    with pytest.raises(ReadOnlyLibraryError, match=r"zipper is a product of the package.*prompt-forge copy zipper"):
        store.set_label("zipper@1", "mine")
    assert own.categories() == ["capsule", "softgel", "weld"]
    assert sorted(package.rglob("*")) == before


def test_a_folder_that_is_typed_stands_alone_and_one_of_the_settings_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Store(tmp_path / "mine").save(capsule(category="softgel"))
    typed = Store.open(tmp_path / "mine")
    assert typed.readable() == ["softgel"]
    with pytest.raises(UnknownCategoryError, match="the package has one"):
        typed.load("weld")
    Path("filo-forge.toml").write_text('[library]\ndescriptions_dir = "mine"\n')
    assert Store.open().load("weld") == Store(PACKAGED).load("weld")
    assert Store.open(writable=True).readable() == ["softgel"]
    Path("filo-forge.toml").write_text('[library]\ndescriptions_dir = "file"\n')
    Path("file").write_text("")
    with pytest.raises(UnsafePathError, match="file is a file; expected a folder"):
        Store.open()


def test_inside_a_clone_nothing_is_written_into_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PACKAGED.parent)
    assert (Store.open().root, Store.open().read_only) == (PACKAGED, True)
    with pytest.raises(ReadOnlyLibraryError, match=r"the library of the package itself; expected a folder of your own"):
        Store.open(writable=True)
    asked = Store.open(Path("descriptions"), writable=True)
    assert (asked.root, asked.read_only) == (Path("descriptions"), False), "whoever names the folder means it"
    clone = tmp_path / "clone"
    (clone / "descriptions").mkdir(parents=True)
    for name in ("__init__.py", "store.py"):
        (clone / "descriptions" / name).write_text("")
    monkeypatch.chdir(clone)
    with pytest.raises(ReadOnlyLibraryError, match="mkdir"):
        Store.open(writable=True)
    assert Store.open().root == PACKAGED
    (clone / "work").mkdir()
    monkeypatch.chdir(clone / "work")
    assert Store.open(writable=True).root == Path("descriptions")


def test_a_disk_that_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ReadOnlyLibraryError, match="No space left on device"):
        Store(tmp_path).save(capsule())
    assert Store(tmp_path).versions("capsule") == []


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "capsule" / "v1.yaml").mkdir(parents=True)
    with pytest.raises(InvalidFileError, match="cannot be read"):
        Store(tmp_path).load("capsule")


def test_revised_validates() -> None:
    with pytest.raises(ValidationError):
        capsule(object_name="")


def test_a_file_in_place_of_a_category_is_no_endless_loop(tmp_path: Path) -> None:
    (tmp_path / "capsule").write_text("not a folder")
    with pytest.raises(ReadOnlyLibraryError, match="File exists"):
        Store(tmp_path).save(capsule())


def test_labels_that_look_like_numbers_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(capsule())
    for label in ("2", "v2"):
        with pytest.raises(BadReferenceError, match="no number"):
            store.set_label("capsule", label)


def test_broken_labels_do_not_hide_the_latest_version(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(capsule())
    (tmp_path / "capsule" / "labels.yaml").write_text("reviewed: true\n")
    assert store.load("capsule@latest").version == store.load("capsule@1").version == 1
    for unsure in ("capsule@reviewed", "capsule"):
        with pytest.raises(InvalidFileError, match="reviewed: True"):
            store.load(unsure)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "capsule").mkdir()
    os.mkfifo(tmp_path / "capsule" / "v1.yaml")
    with pytest.raises(InvalidFileError, match="not a regular file"):
        Store(tmp_path).load("capsule")


def test_dates_and_offsets() -> None:
    text = dump_description(capsule()).replace("created:", "created: 2026-11-01T08:00:00+02:00 #")
    assert parse_description(text.encode(), "x").created == datetime(2026, 11, 1, 6, tzinfo=UTC)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match="No such file"):
        read_bytes(tmp_path / "v1.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<: {category: capsule}", "line 1: the merge key <<"),
        ("category: capsule\nobject_name: 2026-01-01", "line 2: object_name: .*not 2026-01-01; put it in quotes"),
        ("category: capsule\nobject_name: 5", "not 5; put it in quotes"),
        (f"version: 1{'0' * 5000}", "5001 digits; expected plain YAML"),
        ("category: a\ncategory: b", 'line 2: duplicate key "category" stands twice'),
    ],
)
def test_odd_values_get_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(InvalidFileError, match=message):
        parse_description(text.encode(), "x.yaml")
