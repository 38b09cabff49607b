"""The loop on scored matrices: what is planted is found, what is random is not, and confirm is not looked at before."""

import numpy as np
import pytest

from descriptions.common.errors import SettingsError
from prompt_forge.errors import EndpointError, RejectedAnswerError
from prompt_forge.generation.parse import Candidate
from prompt_forge.improve.loop import Search
from prompt_forge.improve.proposals import Proposal
from prompt_forge.improve.statistics import LEVEL, auroc, compare, level_of_look, split
from tests.support.improving import PHRASES, version, world


def more(_description, _seen, turn):
    """Two phrases that are not in the version yet, as a model may propose them."""
    return [Proposal("add", None, Candidate(f"n{2 * turn + at}"), "another", "matrix") for at in range(2)]


@pytest.mark.parametrize("photos", [24, 60])
def test_random_labels_end_without_a_gain_in_at_least_95_of_100_seeds(photos):
    gains = kept = 0
    for seed in range(100):
        search = Search(version(*PHRASES[:4]), world(seed, photos=photos), more, seed)
        search.run(3)
        verdict = search.verdict()
        kept += verdict is not None
        gains += verdict is not None and verdict.is_gain
    assert gains <= 5
    assert kept >= 15  # there was something to be fooled by: changes that seemed to help on steer


def test_two_versions_that_differ_by_chance_only_are_rarely_told_apart():
    rng, gains = np.random.default_rng(0), 0
    for _ in range(400):
        truth = rng.permutation(np.arange(16) < 8)
        gains += compare(rng.normal(size=16), rng.normal(size=16), truth).is_gain
    assert gains <= 0.05 * 400


def test_a_planted_phrase_that_fires_on_good_photos_is_dropped_and_confirmed():
    times = 0
    for seed in range(10):
        search = Search(version(*PHRASES[:4], "glare"), world(seed, photos=120, signal=0.6, glare=3.0), seed=seed)
        search.run(2)
        verdict = search.verdict()
        dropped = {one.proposal.target for one in search.kept if one.proposal.action == "drop"}
        times += "glare" in dropped and verdict is not None and verdict.is_gain
        (entry,) = (one for one in search.current.anomalies if one.id == "glare")
        if "glare" in dropped:
            assert not entry.enabled
            assert "raises good photos by" in entry.note
    assert times >= 9


def test_nothing_is_chosen_on_confirm():
    first, second = (world(3, signal=0.6, glare=3.0) for _ in range(2))
    _, confirm = split([photo.defective for photo in first.photos], 0)
    rng = np.random.default_rng(1)
    for row in second.says.values():
        row[confirm] = rng.normal(size=len(confirm))
    searches = [Search(version(*PHRASES[:4], "glare"), matrix, more) for matrix in (first, second)]
    for search in searches:
        search.run(3)
    assert searches[0].kept == searches[1].kept != []


def test_the_halves_hold_every_photo_once_and_both_kinds():
    defective = [True] * 9 + [False] * 21
    steer, confirm = split(defective, 5)
    assert sorted([*steer, *confirm]) == list(range(30))
    assert [sum(defective[at] for at in half) for half in (steer, confirm)] == [4, 5]
    assert list(split(defective, 5)[0]) == list(steer) != list(split(defective, 6)[0])


def test_all_looks_at_the_same_photos_together_cost_the_level():
    assert sum(level_of_look(look) for look in range(1, 100_000)) == pytest.approx(LEVEL, rel=1e-4)


def test_auroc_is_that_of_scikit_learn_and_an_equal_version_has_no_difference():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    truth, scores = rng.random(50) < 0.4, rng.integers(0, 9, 50).astype(float)
    assert auroc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))
    same = compare(scores, scores, truth)
    assert (same.value, same.interval, same.is_gain) == (0, (0, 0), False)


def test_locked_entries_and_the_last_one_stay():
    locked = version("p0", "glare")
    locked = locked.revised(anomalies=tuple(one.model_copy(update={"locked": True}) for one in locked.anomalies))
    for start in (locked, version("glare")):
        search = Search(start, world(0, signal=0.6, glare=3.0))
        search.run(2)
        assert search.kept == []
        assert search.verdict() is None


def test_a_useless_answer_ends_no_round_and_a_lost_model_no_run_that_kept_something():
    said, start = [], version(*PHRASES[:4], "glare")

    def useless(*_):
        raise RejectedAnswerError("every phrase was rejected")

    search = Search(start, world(0, photos=120, signal=0.6, glare=3.0), useless, say=said.append)
    search.run(2)
    assert [one.proposal.target for one in search.kept] == ["glare"]
    assert "no proposals of the language model: every phrase was rejected" in said

    def lost(_description, _seen, turn):
        if turn:
            raise EndpointError("no answer from the server")
        return ()

    search = Search(start, world(0, photos=120, signal=0.6, glare=3.0), lost, say=said.append)
    search.run(3)
    assert (len(search.kept), said[-1]) == (1, "stopped: no answer from the server")
    with pytest.raises(EndpointError):
        Search(version(*PHRASES[:4]), world(0), lambda *_: lost(*_[:2], 1)).run(1)


def test_too_few_photos_are_refused_in_one_line():
    with pytest.raises(SettingsError, match="3 good and 3 defective photos; expected at least 8 of each"):
        Search(version("p0"), world(0, photos=6))
