"""Differences in the words of the format."""

from descriptions.diff import Change, diff
from descriptions.format.schema import Anomaly, DescriptionFile

OLD = DescriptionFile(
    category="capsule",
    object_name="capsule",
    anomalies=(Anomaly(id="crack", text="crack"), Anomaly(id="dent", text="dent"), Anomaly(id="ink", text="ink blot")),
)


def test_a_version_does_not_differ_from_itself() -> None:
    assert diff(OLD, OLD) == ("capsule@1", "capsule@1", (), True)


def test_added_removed_and_changed_entries() -> None:
    crack, dent, _ = OLD.anomalies
    entries = (crack, dent.model_copy(update={"text": "deep dent"}), Anomaly(id="hole", text="pin hole"))
    new = OLD.revised(version=2, parent=1, anomalies=entries, status="reviewed", parts=("cap",))
    difference = diff(OLD, new)
    assert difference.changes == (
        Change("changed", "status", "draft", "reviewed"),
        Change("changed", "parts", [], ["cap"]),
        Change("changed", "anomalies.dent.text", "dent", "deep dent"),
        Change("added", "anomalies.hole", None, "pin hole"),
        Change("removed", "anomalies.ink", "ink blot", None),
    )
    assert not difference.same_content


def test_a_renamed_entry_is_no_removal() -> None:
    crack, dent, ink = OLD.anomalies
    new = OLD.revised(anomalies=(crack, dent, ink.model_copy(update={"id": "blot"})))
    assert diff(OLD, new).changes == (Change("changed", "anomalies.ink.id", "ink", "blot"),)
    assert diff(OLD, new).same_content


def test_another_order_is_one_change() -> None:
    new = OLD.revised(anomalies=OLD.anomalies[::-1])
    assert diff(OLD, new).changes == (Change("moved", "anomalies", ["crack", "dent", "ink"], ["ink", "dent", "crack"]),)
