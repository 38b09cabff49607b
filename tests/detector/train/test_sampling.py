from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.data.errors import TrainingDataError
from detector.train.config import PRESETS, TrainConfig, preset, training_config
from detector.train.errors import TrainError
from detector.train.sampling import batch_indices, generator, held_out, rate, steps_per_epoch


@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 5), st.integers(0, 9))
def test_an_epoch_shows_every_image_at_most_once(size, batch, epoch, seed):
    steps = size // batch
    seen = [i for step in range(steps) for i in batch_indices(size, batch, epoch, step, seed)]
    assert max(Counter(seen).values(), default=0) <= 1
    assert len(seen) == steps * batch
    assert all(0 <= i < size for i in seen)


def test_epochs_differ_and_a_step_does_not_depend_on_what_came_before():
    assert batch_indices(40, 8, 0, 0, 0) != batch_indices(40, 8, 1, 0, 0)
    assert batch_indices(40, 8, 3, 2, 7) == batch_indices(40, 8, 3, 2, 7)
    assert generator(1, 2, 3).random() != generator(1, 3, 2).random()


@given(st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=50), st.floats(0, 0.95), st.integers(0, 3))
def test_held_out_part_is_disjoint_and_leaves_every_stratum_in_training(strata, fraction, seed):
    split = held_out(strata, fraction, seed)
    assert sorted(split.train + split.validation) == list(range(len(strata)))
    assert {strata[i] for i in split.train} == set(strata)


def test_too_few_images_for_one_batch_is_said():
    assert steps_per_epoch(17, 8) == 2
    with pytest.raises(TrainingDataError, match="3 training images; expected at least one batch of 8"):
        steps_per_epoch(3, 8)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_rate_warms_up_and_stays_within_the_peak(schedule):
    values = [rate(step, 100, 10, schedule) for step in range(100)]
    assert values[:11] == sorted(values[:11])
    assert values[10] == 1.0
    assert all(0 < value <= 1 for value in values)
    assert (values[-1] == 1.0) == (schedule == "constant")


def test_warm_up_never_takes_more_than_half_of_a_short_run():
    assert max(rate(step, 4, 50, "cosine") for step in range(4)) == 1.0


def test_presets_are_frozen_and_the_released_one_is_the_release():
    released = preset("filo-released")
    assert (released.batch_size, released.main_epochs, released.adapter_epochs) == (1, 15, 5)
    assert (released.lr_prompt, released.lr_decoder, released.lr_adapter) == (1e-3, 1e-4, 1e-5)
    assert (released.dice, released.schedule, released.clip_norm) == ("row", "constant", None)
    with pytest.raises(ValueError, match="frozen"):
        released.seed = 3
    assert all(TrainConfig.model_validate_json(value.model_dump_json()) == value for value in PRESETS.values())


def test_an_unknown_preset_offers_the_nearest():
    with pytest.raises(TrainError, match="did you mean filo-released"):
        preset("filo-release")


def test_what_changes_the_weights_changes_the_hash():
    assert TrainConfig().content_hash != TrainConfig(seed=1).content_hash
    assert TrainConfig().content_hash == TrainConfig(save_every=7).content_hash
    assert TrainConfig().augments
    assert not TrainConfig(flip=False, mosaic_rate=0, photometric=0).augments


def test_settings_come_from_recipe_file_and_command_line_in_this_order(tmp_path):
    file = tmp_path / "train.toml"
    file.write_text("batch_size = 3\nseed = 5\n")
    config = training_config("filo", file, ["batch_size=2", "clip_norm=none", "betas=0.8,0.9"])
    assert (config.batch_size, config.seed, config.clip_norm, config.betas) == (2, 5, None, (0.8, 0.9))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (["batch_sise=2"], "no training setting batch_sise; did you mean batch_size"),
        (["xyz=2"], "no training setting xyz; they are variant, main_epochs"),
        (["batch_size=0"], "training setting batch_size = '0'; expected greater"),
        (["betas=0.5"], "training setting betas = '0.5'; expected a valid tuple"),
        (["flip=maybe"], "training setting flip = 'maybe'; expected a valid boolean$"),
        (["batch_size"], "--set batch_size; expected key=value"),
        (["=3"], "--set =3; expected key=value"),
        (["betas=1,2,3"], "expected at most 2 items$"),
    ],
)
def test_wrong_settings_are_named(changes, line):
    with pytest.raises(TrainError, match=line):
        training_config("filo", None, changes)


def test_a_broken_settings_file_is_named(tmp_path):
    (tmp_path / "broken.toml").write_text("batch_size = ")
    with pytest.raises(TrainError, match=r"broken.toml.*expected a TOML file"):
        training_config("filo", tmp_path / "broken.toml")
