import json

import pytest
import torch

from descriptions.common.errors import UnknownCategoryError
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.data.errors import ProtocolError, TrainingDataError
from detector.data.material import gather, require_unseen
from detector.device import DeviceError
from detector.images.load import ImageError
from detector.runs.train import finish
from detector.train import session
from detector.train.config import TrainConfig
from detector.train.errors import ResumeError, TrainError
from detector.train.session import TrainingRun, create_fabric, fabric_options, summary, train
from detector.train.state import load_state
from detector.weights.checkpoint import load_checkpoint, read_info
from tests.support.clip import tiny_config, tiny_filo
from tests.support.dataset import make_dataset

CONFIG = TrainConfig(
    batch_size=4,
    main_epochs=3,
    adapter_epochs=2,
    lr_prompt=1e-2,
    lr_decoder=1e-2,
    lr_adapter=1e-3,
    warmup_steps=2,
    validate_every=3,
    save_every=2,
    validation_fraction=0.2,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data"), ("Gear wheel", "cloth"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    library = Store(tmp_path_factory.mktemp("library"))
    for category, texts in {"gear_wheel": ["hole", "scratch"], "cloth": ["torn thread"]}.items():
        entries = tuple(Anomaly(id=f"a{i}", text=text) for i, text in enumerate(texts))
        for _ in range(2):
            library.save(DescriptionFile(category=category, object_name=category.replace("_", " "), anomalies=entries))
    return library


def test_training_lowers_the_loss_and_leaves_clip_alone(tmp_path, data, store):
    material = gather(data, "test", store=store)
    result = train(TrainingRun(tiny_filo, material, CONFIG, tmp_path))
    log = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    main = [entry["loss"] for entry in log if entry["stage"] == "main"]
    assert sum(main[-3:]) < sum(main[:3])
    assert {"focal", "dice_abnormal", "dice_normal"} == set(log[0]["terms"])
    assert set(log[-1]["terms"]) == {"classification"}
    assert (tmp_path / "best-main.safetensors").is_file()
    fresh = tiny_filo()
    assert torch.equal(result.model.clip.token_embedding.weight, fresh.clip.token_embedding.weight)
    assert not torch.equal(result.model.decoder_linear.fc[0].weight, fresh.decoder_linear.fc[0].weight)
    assert not torch.equal(result.model.adapter.fc[0].weight, fresh.adapter.fc[0].weight)


def test_a_refused_run_leaves_the_record_of_the_finished_one(tmp_path, data, store):
    material = gather(data, "test", categories=["cloth"], store=store)
    config = CONFIG.model_copy(update={"batch_size": 5, "main_epochs": 1, "adapter_epochs": 1})
    finish(TrainingRun(tiny_filo, material, config, tmp_path))
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(ResumeError, match="holds a run already"):
        finish(TrainingRun(tiny_filo, material, config.model_copy(update={"seed": 7}), tmp_path))
    assert (tmp_path / "run.json").read_bytes() == before


def test_a_run_is_not_continued_from_other_weights_or_masks(tmp_path, data, store):
    material = gather(data, "test", categories=["cloth"], store=store)
    config = CONFIG.model_copy(update={"batch_size": 5, "main_epochs": 1, "adapter_epochs": 0})
    train(TrainingRun(tiny_filo, material, config, tmp_path))
    with pytest.raises(ResumeError, match="other settings, weights, data or descriptions"):
        train(TrainingRun(lambda: tiny_filo(seed=3), material, config, tmp_path, resume=True))
    mask = next(sample.mask for sample in material.samples if sample.mask)
    content = mask.read_bytes()
    mask.write_bytes(content + b"0")
    with pytest.raises(ResumeError, match="other settings, weights, data or descriptions"):
        train(TrainingRun(tiny_filo, material, config, tmp_path, resume=True))
    mask.write_bytes(content)
    train(TrainingRun(tiny_filo, material, config, tmp_path, resume=True))


def test_a_corrupt_image_stops_with_its_name_and_resume_gives_the_same_weights(tmp_path, data, store):
    material = gather(data, "test", categories=["cloth"], store=store)
    config = CONFIG.model_copy(update={"batch_size": 5, "validate_every": 0, "validation_fraction": 0.0})
    train(TrainingRun(tiny_filo, material, config, tmp_path / "whole"))
    victim = material.samples[2].image
    content = victim.read_bytes()

    def break_file(report):
        if report.stage == "main" and report.epoch == 1:
            victim.write_bytes(content[: len(content) // 2])

    with pytest.raises(ImageError, match=victim.stem):
        train(TrainingRun(tiny_filo, material, config, tmp_path / "broken", listener=break_file))
    victim.write_bytes(content)
    train(TrainingRun(tiny_filo, material, config, tmp_path / "broken", resume=True))
    assert (tmp_path / "broken/last.safetensors").read_bytes() == (tmp_path / "whole/last.safetensors").read_bytes()


def test_frozen_features_are_kept_without_augmentation(tmp_path, data, store):
    material = gather(data, "test", categories=["cloth"], store=store)
    plain = {"mosaic_rate": 0.0, "flip": False, "photometric": 0.0, "main_epochs": 2, "adapter_epochs": 1}
    calls = []

    def counted():
        model = tiny_filo()
        encode = model.encode_image
        model.encode_image = lambda pixels: calls.append(len(pixels)) or encode(pixels)
        return model

    train(TrainingRun(counted, material, CONFIG.model_copy(update=plain), tmp_path))
    assert calls == [1] * len(material.samples)


def test_descriptions_are_chosen_by_reference(data, store):
    material = gather(data, "test", refs=["gear_wheel@1"], store=store)
    assert sorted(material.hashes) == ["cloth@2", "gear_wheel@1"]
    with pytest.raises(TrainingDataError, match=r"gear_whel@1 belong to no training category.*did you mean gear_wheel"):
        gather(data, "test", refs=["gear_whel@1"], store=store)


def test_a_category_without_descriptions_is_named(tmp_path, data):
    with pytest.raises(UnknownCategoryError, match="cloth"):
        gather(data, "test", categories=["cloth"], store=Store(tmp_path))


def test_an_empty_split_is_said(tmp_path, store):
    root = make_dataset(tmp_path, ("cloth",), train=0)
    with pytest.raises(TrainingDataError, match="no images in split 'train'"):
        gather(root, "train", store=store)


def test_split_is_part_of_what_is_recorded(data, store):
    test, everything = (gather(data, split, store=store) for split in ("test", "all"))
    assert len(everything.samples) == len(test.samples) + 4
    record = summary(test, CONFIG)
    assert (record["split"], record["images"]) == ("test", {"good": 8, "defective": 12})
    assert record["categories"] == ["Gear wheel", "cloth"]
    assert json.loads(json.dumps(record)) == record


def test_zero_shot_protocol_is_kept_unless_asked_for_by_name(data, store):
    with pytest.raises(ProtocolError, match="gear_wheel would be trained on and evaluated"):
        gather(data, "test", store=store, eval_data=data / "Gear wheel")
    disjoint = gather(data, "test", categories=["cloth"], store=store, eval_data=data / "Gear wheel")
    assert list(disjoint.files) == ["cloth"]
    require_unseen(["cloth"], ["cloth"], named=["cloth"])


def test_other_descriptions_are_another_run(tmp_path, data, store):
    quick = CONFIG.model_copy(update={"main_epochs": 1, "adapter_epochs": 0})
    train(TrainingRun(tiny_filo, gather(data, "test", store=store), quick, tmp_path))
    changed = Store(store.root)
    changed.save(DescriptionFile(category="cloth", object_name="cloth", anomalies=(Anomaly(id="b", text="stain"),)))
    with pytest.raises(ResumeError, match="other settings, weights, data or descriptions"):
        train(TrainingRun(tiny_filo, gather(data, "test", store=changed), quick, tmp_path, resume=True))


def test_released_and_mask_positions_train_too(tmp_path, data, store):
    material = gather(data, "test", categories=["cloth"], store=store)
    short = {"main_epochs": 1, "adapter_epochs": 1, "validate_every": 0}
    released = CONFIG.model_copy(update=short | {"variant": "released", "dice": "row", "batch_size": 1})
    train(TrainingRun(lambda: tiny_filo(variant="released"), material, released, tmp_path / "released"))
    placed = CONFIG.model_copy(update=short | {"position": "mask"})
    train(TrainingRun(tiny_filo, material, placed, tmp_path / "placed"))
    assert tiny_config().variant == "filo"


def test_a_finished_run_leaves_checkpoints_that_load_and_a_record(tmp_path, data, store):
    material = gather(data, "test", store=store)
    path = finish(TrainingRun(tiny_filo, material, CONFIG, tmp_path))
    info = read_info(path)
    assert info.descriptions == material.hashes
    assert info.training["categories"] == ["Gear wheel", "cloth"]
    last, best = load_checkpoint(path), load_checkpoint(tmp_path / "model-best.safetensors")
    assert last.config == best.config
    state = load_state(tmp_path / "last.safetensors").parameters
    assert torch.equal(last.decoder_linear.fc[0].weight, state["model.decoder_linear.fc.0.weight"])
    record = json.loads((tmp_path / "run.json").read_text())
    settings = record["settings"]
    assert (record["status"], settings["split"], settings["config"]["seed"]) == ("done", "test", 0)
    assert torch.__version__.startswith(record["versions"]["torch"])


def test_a_stopped_run_says_why_in_its_record(tmp_path, data, store):
    huge = CONFIG.model_copy(update={"batch_size": 500})
    with pytest.raises(TrainingDataError, match="at least one batch of 500"):
        finish(TrainingRun(tiny_filo, gather(data, "test", store=store), huge, tmp_path))
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["status"] == "failed"
    assert "at least one batch of 500" in record["reason"]


def test_precision_is_that_of_the_configuration():
    ones = torch.ones(2, 2)
    for precision, expected in (("auto", torch.float32), ("bf16-mixed", torch.bfloat16)):
        with create_fabric(TrainConfig(precision=precision), "cpu").autocast():
            assert (ones @ ones).dtype == expected


def test_devices_that_are_not_there_are_refused(monkeypatch):
    with pytest.raises(DeviceError, match="expected auto, cpu, cuda"):
        create_fabric(TrainConfig(), "tpu9")
    monkeypatch.setattr(session, "resolve_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(TrainError, match="--devices 3; expected at most 1"):
        create_fabric(TrainConfig(), "cuda", 3)


def test_a_numbered_gpu_is_the_one_that_trains():
    one = fabric_options(TrainConfig(), torch.device("cuda:1"))
    assert one == {"accelerator": "cuda", "devices": [1], "strategy": "auto", "precision": "bf16-mixed"}
    two = fabric_options(TrainConfig(precision="32-true"), torch.device("cuda"), 2)
    assert two == {"accelerator": "cuda", "devices": 2, "strategy": "ddp", "precision": "32-true"}
    with pytest.raises(TrainError, match="--devices 2 with --device cuda:1; expected --device cuda"):
        fabric_options(TrainConfig(), torch.device("cuda:1"), 2)
