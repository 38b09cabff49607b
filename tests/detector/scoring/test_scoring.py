"""The shared stages: settings change what they say they change, and a batch equals its images."""

import pytest
import torch

from detector.localize.boxes import NOWHERE, Box, Localisation
from detector.scoring import maps
from detector.scoring.predict import Encoded, ScoringSettings, combined_map, encode, peak, predict
from tests.support.clip import tiny_filo, tiny_pixels, tiny_prompts

PROMPTS = tiny_prompts()


@pytest.fixture(scope="module")
def model():
    return tiny_filo().requires_grad_(False)


@pytest.fixture(scope="module")
def encoded(model) -> Encoded:
    return encode(model, tiny_pixels(3))


def test_defaults_are_filo(model):
    pixels = tiny_pixels(2)
    settings = ScoringSettings(localizer="none")
    predictions = predict(model, encode(model, pixels), PROMPTS, settings)
    output = model(pixels, [PROMPTS])
    anomaly_map = maps.mean_map(output.maps)
    expected = maps.image_score(output.similarity, anomaly_map)
    for index, one in enumerate(predictions):
        assert one.score == pytest.approx(float(expected[index]), abs=1e-6)
        torch.testing.assert_close(one.anomaly_map, anomaly_map[index])
        assert (one.region, one.boxes) == (None, ())


@pytest.mark.parametrize("localizer", ["none", "self"])
def test_a_batch_equals_its_images(model, encoded: Encoded, localizer: str):
    settings = ScoringSettings(localizer=localizer)
    together = predict(model, encoded, PROMPTS, settings)
    for index, one in enumerate(together):
        (alone,) = predict(model, encoded.select(index), PROMPTS, settings)
        assert alone.score == pytest.approx(one.score, abs=1e-5)
        torch.testing.assert_close(alone.anomaly_map, one.anomaly_map, rtol=0, atol=1e-5)
        assert alone.region == one.region
        assert [each.id for each in alone.matches] == [each.id for each in one.matches]


def test_self_names_the_region_of_its_first_map(model, encoded: Encoded):
    first = predict(model, encoded, PROMPTS, ScoringSettings(localizer="none"))
    second = predict(model, encoded, PROMPTS, ScoringSettings(localizer="self"))
    assert [one.region for one in second] == [peak(one.anomaly_map).region for one in first]
    same = predict(model, encoded, PROMPTS, ScoringSettings(localizer="self", position=False))
    for before, after in zip(first, same, strict=True):
        assert before.score == after.score
        assert after.region is None


def test_both_passes_of_self_read_the_text_once(model, encoded: Encoded):
    read: list[int] = []
    hook = model.text_tower.register_forward_pre_hook(lambda _, inputs: read.append(len(inputs[0])))
    predictions = predict(model, encoded, PROMPTS, ScoringSettings(localizer="self"))
    hook.remove()
    units = 1 + len(PROMPTS.abnormal)
    assert sum(read) == 3 * units, "one tree per unit and image, read once for both passes"
    given = [Localisation(each.boxes, each.region) for each in predictions]
    alone = predict(model, encoded, PROMPTS, ScoringSettings(localizer="self"), localisations=given)
    for one, other in zip(predictions, alone, strict=True):
        assert one.region == other.region
        assert one.score == pytest.approx(other.score, abs=1e-6)
        torch.testing.assert_close(one.anomaly_map, other.anomaly_map, atol=1e-5, rtol=0)


def test_given_localisations_are_used(model, encoded: Encoded):
    places = [Localisation((Box(0, 0, 0.5, 0.5, "rust", 0.9),), "top left"), NOWHERE, NOWHERE]
    soft, hard, none = (
        predict(model, encoded, PROMPTS, ScoringSettings(localizer="grounding-dino", gate=gate), places)
        for gate in ("soft", "hard", "none")
    )
    torch.testing.assert_close(soft[0].anomaly_map[28:], none[0].anomaly_map[28:] * 0.7)
    torch.testing.assert_close(soft[0].anomaly_map[:28, :28], none[0].anomaly_map[:28, :28])
    assert float(hard[0].anomaly_map[28:].max()) == 0
    torch.testing.assert_close(soft[1].anomaly_map, none[1].anomaly_map)
    assert soft[0].score == hard[0].score == none[0].score
    assert soft[0].region == "top left"


def test_released_gate_weights_everything_without_a_box():
    model = tiny_filo(variant="released").requires_grad_(False)
    encoded = encode(model, tiny_pixels(2))
    places = [Localisation((Box(0, 0, 0.5, 0.5, "rust", 0.9),), "top left"), NOWHERE]
    gated, plain = (
        predict(model, encoded, PROMPTS, ScoringSettings(localizer="grounding-dino", gate=gate), places)
        for gate in ("soft", "none")
    )
    torch.testing.assert_close(gated[1].anomaly_map, plain[1].anomaly_map * 0.7)
    torch.testing.assert_close(gated[0].anomaly_map[:28, :28], plain[0].anomaly_map[:28, :28])


def test_image_score_rules(model, encoded: Encoded):
    rules = ("filo", "map", "similarity")
    filo, highest, similarity = (
        [one.score for one in predict(model, encoded, PROMPTS, ScoringSettings(localizer="none", image_score=rule))]
        for rule in rules
    )
    assert filo == pytest.approx([(a + b) / 2 for a, b in zip(highest, similarity, strict=True)], abs=1e-6)


def test_smoothing():
    level = torch.zeros(1, 2, 40, 40)
    level[:, 0] = 1
    level[:, :, 20, 20] = torch.tensor([0.0, 1.0])
    flat, none, wide = (combined_map((level,), ScoringSettings(smoothing=sigma)) for sigma in (None, 0, 4))
    assert float(none.max()) == 1
    assert float(wide.max()) < float(flat.max()) < 1
    assert float(wide.sum()) == pytest.approx(1, abs=1e-3)


def test_peak():
    anomaly_map = torch.zeros(30, 60)
    anomaly_map[3:6, 48:54] = 0.8
    anomaly_map[20:, :20] = 0.3
    place = peak(anomaly_map)
    assert place.region == "top right"
    assert place.boxes[0][:4] == pytest.approx((0.8, 0.1, 0.9, 0.2))
    assert peak(torch.full((4, 4), 0.5)) == NOWHERE


def test_descriptions_are_all_listed_nearest_first(model, encoded: Encoded):
    for one in predict(model, encoded, PROMPTS):
        values = [each.similarity for each in one.matches]
        assert values == sorted(values, reverse=True)
        assert {each.id for each in one.matches} == {"d0", "d1"}
        assert all(-1 <= value <= 1 for value in values)


def test_prompts_may_differ_between_images(model, encoded: Encoded):
    other = tiny_prompts("ribbon", ("frayed edge",))
    mixed = predict(model, encoded, [PROMPTS, other, PROMPTS])
    assert [one.text for one in mixed[1].matches] == ["frayed edge"]
    assert mixed[0].score == pytest.approx(predict(model, encoded, PROMPTS)[0].score, abs=1e-5)
