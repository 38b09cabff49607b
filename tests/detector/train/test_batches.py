import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageFile

from detector.data import open_data
from detector.data.errors import TrainingDataError
from detector.images.load import ImageError, ReadOptions
from detector.localize.regions import REGIONS
from detector.train.batches import FiLoSource, require_trainable
from detector.train.config import TrainConfig
from detector.train.feature_memo import FeatureMemo
from detector.train.sampling import Split, held_out
from detector.train.stages import AdapterObjective, Batch, MainObjective, filo_stages
from tests.support.clip import tiny_config, tiny_filo, tiny_prompts
from tests.support.dataset import make_dataset

PLAIN = TrainConfig(mosaic_rate=0, flip=False, photometric=0)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    root = make_dataset(tmp_path_factory.mktemp("data"), ("gear", "cloth"))
    return open_data(root).select(split="test")


def source(samples, config=PLAIN, memo=None):
    split = held_out([(s.category, s.defective) for s in samples], 0.3, 0)
    prompts = {"gear": tiny_prompts("gear"), "cloth": tiny_prompts("cloth", ("torn thread",))}
    return FiLoSource(samples, split, prompts, config, tiny_config(), memo=memo)


def test_a_batch_holds_pixels_masks_labels_and_prompts_of_its_images(samples):
    data = source(samples)
    batch = data.batch(range(data.size), epoch=0)
    assert batch.pixels.shape == (data.size, 3, 56, 56)
    assert batch.masks.shape == (data.size, 56, 56)
    assert torch.equal(batch.masks.amax((1, 2)).long(), batch.labels)
    names = [samples[index].category for index in data.split.train]
    assert [prompts.object_name for prompts in batch.prompts] == names
    assert batch.positions is None


def test_augmented_pictures_depend_on_epoch_and_image_only(samples):
    data = source(samples, TrainConfig(mosaic_rate=0.5))
    together, alone = data.batch([0, 1, 2, 3], epoch=4), data.batch([2], epoch=4)
    assert torch.equal(together.pixels[2], alone.pixels[0])
    assert torch.equal(together.masks[2], alone.masks[0])
    assert not torch.equal(data.batch([2], epoch=5).pixels, alone.pixels)


def test_a_mosaic_keeps_the_first_label_in_released_only(samples):
    rate = {"mosaic_rate": 1, "flip": False, "photometric": 0}
    ours = source(samples, TrainConfig(**rate))
    good = [i for i, index in enumerate(ours.split.train) if not samples[index].defective]
    batches = [ours.batch(good, epoch) for epoch in range(4)]
    assert all(torch.equal(b.labels.bool(), b.masks.amax((1, 2)) > 0) for b in batches)
    assert any(b.labels.any() for b in batches)
    released = source(samples, TrainConfig(variant="released", **rate))
    assert not any(released.batch(good, epoch).labels.any() for epoch in range(4))


def test_position_comes_from_the_largest_defect(tmp_path):
    root = make_dataset(tmp_path, good=1, bad=1)
    sample = next(s for s in open_data(root).samples if s.mask)
    painted = Image.new("L", (48, 48))
    painted.paste(255, (2, 2, 4, 4))
    painted.paste(255, (36, 20, 44, 28))
    painted.save(sample.mask)
    data = FiLoSource(
        [sample],
        Split((0,), ()),
        {"gear": tiny_prompts()},
        PLAIN.model_copy(update={"position": "mask"}),
        tiny_config(),
    )
    assert data.batch([0], 0).positions == [(REGIONS.index("right"),)]


def test_kept_features_give_the_same_losses_and_decode_no_image_again(samples, monkeypatch):
    decoded: list[str] = []
    load = ImageFile.ImageFile.load

    def counting(picture):
        decoded.append(Path(picture.filename).parts[-3])  # `test` for photos, `ground_truth` for masks
        return load(picture)

    model = tiny_filo()
    memo = FeatureMemo(model.encode_image)
    plain, kept = source(samples), source(samples, memo=memo)
    objective = MainObjective(model, rowwise=False)
    monkeypatch.setattr(ImageFile.ImageFile, "load", counting)
    first = kept.batch([0, 1, 2], 0)
    assert "test" in decoded
    decoded.clear()
    again = kept.batch([0, 1, 2], 1)
    assert "test" not in decoded, "photos are kept as features; only masks are read again"
    monkeypatch.undo()
    assert first.pixels is None
    assert len(memo) == 3
    losses = [objective(batch) for batch in (plain.batch([0, 1, 2], 0), first, again)]
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value)
        assert torch.equal(losses[1][name], losses[2][name])


def test_a_full_memory_keeps_no_more(samples):
    memo = FeatureMemo(tiny_filo().encode_image, limit_bytes=10)
    source(samples, memo=memo).batch([0, 1], 0)
    assert len(memo) == 0


def test_held_out_images_are_never_changed(samples):
    batches = list(source(samples, TrainConfig(mosaic_rate=1)).validation(2))
    plain = list(source(samples).validation(2))
    assert [size for size, _ in batches] == [len(batch.labels) for _, batch in batches]
    assert len(batches) == 3
    assert all(torch.equal(a.pixels, b.pixels) for (_, a), (_, b) in zip(batches, plain, strict=True))


def test_a_truncated_image_is_named(tmp_path):
    root = make_dataset(tmp_path)
    samples = open_data(root).select(split="test")
    shutil.copy(samples[0].image, tmp_path / "whole.png")
    samples[0].image.write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    data = FiLoSource(samples, Split((0,), ()), {"gear": tiny_prompts()}, PLAIN, tiny_config())
    with pytest.raises(ImageError, match="000"):
        data.batch([0], 2)


def test_data_without_masks_or_with_one_class_is_refused(samples):
    good = [s for s in samples if not s.defective]
    bad = [s for s in samples if s.defective]
    blind = [type(s)(s.category, s.split, s.defect, s.image) for s in bad]
    with pytest.raises(TrainingDataError, match=r"12 defective images have no mask.*detector data check"):
        require_trainable([*good, *blind], main=True, adapter=True)
    with pytest.raises(TrainingDataError, match=r"all 8 training images are good; expected defects as well"):
        require_trainable(good, main=True, adapter=True)
    with pytest.raises(TrainingDataError, match=r"all 12 training images are defective.*--set adapter_epochs=0"):
        require_trainable(bad, main=True, adapter=True)
    require_trainable(bad, main=True, adapter=False)
    require_trainable([*good, *blind], main=False, adapter=True)


def test_stages_train_what_the_method_says():
    main, adapter = filo_stages(tiny_filo(), TrainConfig())
    parts = {name.split(".")[1] for name in main.rates}
    assert parts == {"normal_prompt_learner", "abnormal_prompt_learner", "decoder_linear", "decoder_cov"}
    assert {main.rates[name] for name in main.rates if "prompt" in name} == {1e-3}
    assert {main.rates[name] for name in main.rates if "decoder" in name} == {1e-4}
    assert set(adapter.rates) == {"model.adapter.fc.0.weight", "model.adapter.fc.2.weight"}


def test_a_batch_of_three_equals_three_batches_of_one(samples):
    objective, data = MainObjective(tiny_filo(), rowwise=False), source(samples)
    together = objective(data.batch([0, 1, 2], 0))
    singly = [objective(data.batch([i], 0)) for i in range(3)]
    for name, value in together.items():
        torch.testing.assert_close(value, torch.stack([terms[name] for terms in singly]).mean())


def test_a_batch_of_nothing_is_a_mistake():
    empty = Batch(None, torch.zeros(1, 56, 56), torch.zeros(1, dtype=torch.long), [tiny_prompts()])
    with pytest.raises(TypeError, match="pixels or features"):
        AdapterObjective(tiny_filo())(empty)


def test_the_adapter_stage_moves_no_text():
    model = tiny_filo()
    batch = Batch(torch.randn(2, 3, 56, 56), torch.zeros(2, 56, 56), torch.tensor([0, 1]), [tiny_prompts()])
    AdapterObjective(model)(batch)["classification"].backward()
    assert model.adapter.fc[0].weight.grad is not None
    assert model.abnormal_prompt_learner.ctx.grad is None


def test_source_folder_is_not_touched(samples):
    before = {path: path.stat().st_mtime_ns for path in Path(samples[0].image).parents[3].rglob("*")}
    source(samples, TrainConfig()).batch([0, 1], 0)
    assert before == {path: path.stat().st_mtime_ns for path in Path(samples[0].image).parents[3].rglob("*")}


def test_pictures_are_read_as_asked_for(samples):
    split = Split((0,), ())
    asked = {
        "prompts": {"gear": tiny_prompts(), "cloth": tiny_prompts()},
        "config": PLAIN,
        "model_config": tiny_config(),
    }
    allowed = FiLoSource(samples, split, **asked, reading=ReadOptions(max_pixels=48 * 48))
    assert allowed.batch([0], epoch=0).pixels.shape[0] == 1
    with pytest.raises(ImageError, match=r"48 x 48 pixels; expected at most 100;"):
        FiLoSource(samples, split, **asked, reading=ReadOptions(max_pixels=100)).batch([0], epoch=0)
