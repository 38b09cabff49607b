"""Banks of reference photos: what they keep, refuse, name and promise, on the bundled model and made-up photos."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from detector.context.bank import Bank, BankError
from detector.context.calibration import FalseAlarmError, top_mean
from detector.context.distances import nearest
from detector.context.storage import load_bank, save_bank
from detector.context.tokens import ContextReader, own_versions, photo_hash, rotated
from detector.errors import OutputError
from detector.model.filo import FiLo
from detector.scoring.feature_cache import FeatureCache
from detector.weights.registry import load_preset
from tests.support.clip import tiny_filo
from tests.support.pictures import plate

SIZE = 112


@pytest.fixture(scope="module")
def model() -> FiLo:
    return load_preset("mini")


@pytest.fixture(scope="module")
def bank(model: FiLo) -> Bank:
    photos = [plate(seed) for seed in range(6)]
    return Bank.from_images(model, photos, category="plate", preset="mini", size=SIZE)


def look(model, picture, bank):
    return bank.distances(ContextReader(model, size=SIZE).read([picture])[0], photo_hash(picture))


def test_a_defect_lies_further_than_any_good_photo(model, bank):
    good, own = look(model, plate(50), bank)
    bad, _ = look(model, plate(51, scratched=True), bank)
    assert not own
    assert good.shape == (64,)
    assert bank.score(bad) > max(bank.scores) > 0
    assert bank.score(good) < bank.score(bad) / 2
    assert np.mean(bank.scores) == pytest.approx(1)
    assert divmod(int(bad.argmax()), 8)[0] in (4, 5, 6)


def test_calibration_scores_every_reference_against_the_others(model, bank):
    reader = ContextReader(model, size=SIZE)
    tokens = [reader.read([plate(seed)])[0] for seed in range(6)]
    for index, photo in enumerate(tokens):
        levels = []
        for level in (0, 1):
            reduced = []
            for other in (at for at in range(6) if at != index):
                rest = torch.cat([tokens[at][level] for at in range(6) if at != other])
                spread = nearest(tokens[other][level], rest)
                far, at = (1 - photo[level] @ tokens[other][level].T).min(1)
                reduced.append(far - 0.5 * spread[at])
            levels.append(torch.stack(reduced).amin(0))
        np.testing.assert_allclose(bank.maps[index], (levels[0] + levels[1]).numpy() / 2, atol=2e-3)
    assert bank.scale.mean == pytest.approx(bank.maps.mean())


def test_the_photo_under_test_is_left_out_of_its_own_comparison(model, bank):
    far, own = look(model, plate(2), bank)
    assert own
    np.testing.assert_allclose(far, bank.maps[2], atol=2e-3)


def test_a_threshold_comes_from_the_references_alone(bank):
    assert bank.threshold(1 / 7) == max(bank.scores)
    with pytest.raises(FalseAlarmError, match="from 6 good photos"):
        bank.threshold(0.05)


def test_a_single_reference_is_calibrated_by_its_own_turns_and_promises_nothing(model):
    one = Bank.from_images(model, [plate(0)], size=SIZE)
    reader = ContextReader(model, size=SIZE)
    versions = reader.read(own_versions(plate(0), SIZE))
    assert len(versions) == 5
    photo = reader.read([plate(0)])[0]
    levels = [nearest(photo[level], torch.cat([each[level] for each in versions])) for level in (0, 1)]
    np.testing.assert_allclose(one.maps[0], (levels[0] + levels[1]).numpy() / 2, atol=2e-3)
    assert one.info.by_itself
    with pytest.raises(FalseAlarmError, match=r"from 0 good photos.*add good photos"):
        one.threshold(0.5)


def test_a_planted_defect_is_named_and_good_references_are_not(model, bank):
    assert bank.check() == []
    photos = [plate(seed, scratched=seed == 4) for seed in range(8)]
    planted = Bank.from_images(model, photos, size=SIZE).check()
    assert [each.name for each in planted] == ["photo 5"]
    assert planted[0].deviations > 3.5


def test_turned_products_need_rotations(model):
    photos = [plate(seed) for seed in range(4)]
    plain = Bank.from_images(model, photos, size=SIZE)
    turned = Bank.from_images(model, photos, size=SIZE, rotations=4)
    assert len(turned.tokens[0][0]) == 4 * len(plain.tokens[0][0])
    quarter = plate(30).rotate(90)
    assert look(model, quarter, turned)[0].mean() < 0.7 * look(model, quarter, plain)[0].mean()
    assert [each.size for each in rotated(plate(0), 28, 8)[1:]] == [(28, 28)] * 7
    assert rotated(plate(0), 96, 4)[1].tobytes() == plate(0).rotate(90).tobytes()


def test_a_core_set_bounds_the_patches_and_still_finds_the_defect(model):
    photos = [plate(seed) for seed in range(6)]
    small = Bank.from_images(model, photos, size=SIZE, max_patches=60)
    assert [sum(len(each[level]) for each in small.tokens) for level in (0, 1)] == [60, 60]
    bad, good = (top_mean(look(model, plate(51, scratched=s), small)[0]) for s in (True, False))
    assert bad > 1.3 * good
    for change in (lambda: small.add(model, [plate(9)]), lambda: small.remove(["photo 1"])):
        with pytest.raises(BankError, match=r"does not hold its photos whole.*references build"):
            change()


def test_a_photo_of_another_product_is_foreign(model, bank):
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (96, 96, 3), dtype=np.uint8))
    assert bank.is_foreign(look(model, noise, bank)[0])
    assert not bank.is_foreign(look(model, plate(60), bank)[0])


def test_adding_and_removing_equal_building_anew(model, bank):
    grown = Bank.from_images(model, [plate(seed) for seed in range(5)], category="plate", preset="mini", size=SIZE)
    grown = grown.add(model, [plate(5), plate(0)])
    assert grown.notes == ("photo 7 is a reference already, pixel by pixel; left out",)
    np.testing.assert_allclose(grown.maps, bank.maps, atol=1e-6)
    less = grown.remove(["photo 1", grown.info.references[1].content[:8]])
    fresh = Bank.from_images(model, [plate(seed) for seed in (2, 3, 4, 5)], size=SIZE)
    np.testing.assert_allclose(less.maps, fresh.maps, atol=1e-6)
    with pytest.raises(BankError, match="no references 'x'; expected one of photo 1, photo 2"):
        bank.remove(["x"])
    with pytest.raises(BankError, match="1 reference left; expected at least 2"):
        less.remove([each.content for each in less.info.references[1:]])
    with pytest.raises(BankError, match="no usable reference photo"):
        bank.add(model, [])


def test_a_single_reference_grows(model):
    one = Bank.from_images(model, [plate(0)], size=SIZE)
    two = one.add(model, [plate(1)])
    assert not two.info.by_itself
    assert len(two.maps) == 2


def test_photos_that_cannot_be_references_get_a_line_each_and_the_rest_is_done(model, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    mask = Image.fromarray((np.arange(96 * 96).reshape(96, 96) % 7 == 0).astype(np.uint8) * 255)
    mask.save(tmp_path / "mask.png")
    plate(0).save(tmp_path / "a.png")
    plate(0).save(tmp_path / "again.png")
    plate(2, size=(200, 60)).save(tmp_path / "wide.png")
    names = ["broken.jpg", "mask.png", "a.png", "again.png", "wide.png"]
    paths = [tmp_path / name for name in names]
    made = Bank.from_images(model, [*paths, *(plate(seed) for seed in range(3, 9))], size=SIZE)
    assert len(made.info.references) == 8
    lines = [
        "broken.jpg is not an image",
        "mask.png holds black and white only",
        "again.png is a reference already",
        "wide.png is 200 x 60, of another shape",
    ]
    assert len(made.notes) == len(lines)
    assert all(line in note for line, note in zip(lines, made.notes, strict=True))
    with pytest.raises(BankError, match=r"no usable reference photo: .*broken.jpg"):
        Bank.from_images(model, paths[:1], size=SIZE)
    with pytest.raises(BankError, match="expected at least one good photo"):
        Bank.from_images(model, [], size=SIZE)


@pytest.mark.parametrize("numbers", [{"rotations": 0}, {"max_patches": 0}])
def test_numbers_that_make_no_sense_are_refused(model, numbers):
    with pytest.raises(BankError, match="expected 1 or more"):
        Bank.from_images(model, [plate(0)], **numbers)


def test_nan_from_the_model_leaves_a_photo_out():
    broken = tiny_filo()
    broken.clip.visual.conv1.weight.data[0] = float("nan")
    with pytest.raises(BankError, match="NaN or infinity; left out"):
        Bank.from_images(broken, [plate(0)])


def test_another_model_category_or_size_is_refused(model, bank):
    bank.require(model, "plate@2")
    bank.require(model)
    with pytest.raises(BankError, match="references of 'plate'; expected references of 'gear'"):
        bank.require(model, "gear")
    with pytest.raises(BankError, match=r"references of model mini; expected .*references build"):
        bank.require(tiny_filo())
    with pytest.raises(BankError, match="a photo of 16 patches; expected 64"):
        bank.distances(ContextReader(model, size=56).read([plate(0)])[0])
    with pytest.raises(BankError, match="tokens of another model"):
        bank.distances(ContextReader(tiny_filo()).read([plate(0)])[0])
    alone = Bank.from_images(model, [plate(0)], size=SIZE)
    with pytest.raises(BankError, match="the photo under test is the only reference"):
        look(model, plate(0), alone)


def test_the_same_model_in_half_precision_reads_the_bank(bank):
    bank.require(load_preset("mini").bfloat16())


def test_a_saved_bank_reads_back_to_the_bit(bank, tmp_path):
    path = tmp_path / "plate.refs.safetensors"
    save_bank(bank, path)
    back = load_bank(path)
    assert back.info == bank.info
    assert back.scores == bank.scores
    assert all(torch.equal(a, b) for x, y in zip(back.tokens, bank.tokens, strict=True)
               for a, b in zip(x, y, strict=True))  # fmt: skip
    before = path.read_bytes()
    save_bank(back, path)
    assert path.read_bytes() == before


def test_files_that_hold_no_bank_are_refused(bank, tmp_path):
    path = tmp_path / "x.refs.safetensors"
    with pytest.raises(BankError, match="no file"):
        load_bank(path)
    for content in (b"", b"nonsense" * 40):
        path.write_bytes(content)
        with pytest.raises(BankError, match="holds no references, or is damaged"):
            load_bank(path)
    save_file({"maps": torch.zeros(1)}, path)
    with pytest.raises(BankError, match="holds no references"):
        load_bank(path)
    save_bank(bank, path)
    stored = load_file(path)
    metadata = {"filo-forge-references": bank.info.model_dump_json()}
    stored["tokens.1"][3, 3] = float("nan")
    save_file(stored, path, metadata=metadata)
    with pytest.raises(BankError, match="holds NaN or infinity"):
        load_bank(path)
    stored["tokens.1"][3, 3] = 0
    fewer = json.loads(bank.info.model_dump_json())
    fewer["references"] = fewer["references"][1:]
    save_file(stored, path, metadata={"filo-forge-references": json.dumps(fewer)})
    with pytest.raises(BankError, match="holds 6 photos and says 5"):
        load_bank(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BankError, match="damaged"):
        load_bank(path)


def test_a_bank_is_written_whole_or_not_at_all(bank, tmp_path):
    with pytest.raises(BankError, match=r"ends with .refs.safetensors"):
        save_bank(bank, tmp_path / "bank.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written to"):
        save_bank(bank, tmp_path / "file" / "a.refs.safetensors")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_second_bank_of_the_same_photos_costs_no_image_pass(model, tmp_path):
    cache = FeatureCache(tmp_path)
    first = Bank.from_images(model, [plate(0), plate(1)], size=SIZE, cache=cache)
    calls = []
    hook = model.clip.visual.conv1.register_forward_hook(lambda *_: calls.append(1))
    second = Bank.from_images(model, [plate(1), plate(0)], size=SIZE, cache=FeatureCache(tmp_path))
    hook.remove()
    assert not calls
    np.testing.assert_array_equal(second.maps[::-1], first.maps)
