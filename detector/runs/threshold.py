"""What `--threshold` names: a number, an evaluation, or a guess to be made from the scores of the run."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descriptions.common.refs import parse_ref, slug
from descriptions.format.schema import DescriptionFile
from detector.data.names import parse_names
from detector.device import precision_name, resolve_device
from detector.runs.record import RECORD, read_run
from detector.scoring.threshold import Threshold, ThresholdError
from detector.weights.registry import DEFAULT

GUESS = "auto"
"""What `--threshold` says where it may be guessed."""
FROM_EVAL = "from-eval:"
"""What `--threshold` begins with where it names the folder of an evaluation."""


def read_threshold(text: str | None, category: str) -> Threshold | None:
    """The threshold that was asked for, as far as it is known before an image is scored.

    Args:
        text: a number, `from-eval:RUN` (the folder of a `detector eval`), `auto`, or None.
        category: whose threshold is read from an evaluation.

    Returns:
        None for `auto`, whose threshold comes from the scores, and for None, which asks for no verdicts.

    Raises:
        ThresholdError: none of these, a run that holds no threshold for the category, or one that means nothing.
    """
    if text is None or text == GUESS:
        return None
    if text.startswith(FROM_EVAL):
        return _from_eval(Path(text.removeprefix(FROM_EVAL)), slug(category.partition("@")[0]))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ThresholdError(f"threshold {text!r}", expected="a number, from-eval:RUN, or auto")
    return Threshold.given(value)


def _from_eval(run: Path, category: str) -> Threshold:
    record = read_run(run)
    if record is None:
        raise ThresholdError(f"no run in {run}", expected="the folder of a `detector eval`")
    thresholds = record.get("thresholds")
    value = thresholds.get(category) if isinstance(thresholds, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        known = ", ".join(thresholds) if isinstance(thresholds, dict) and thresholds else "none"
        raise ThresholdError(
            f"{run / RECORD} holds no threshold for {category}",
            expected="the folder of a `detector eval` of this category",
            hint=f"it holds: {known}",
        )
    origins = record.get("thresholds_from")
    origin = origins.get(category) if isinstance(origins, dict) else None
    origin = origin if isinstance(origin, dict) else {}  # evaluations of earlier versions say nothing more
    if doubt := origin.get("no_better_than_chance"):
        raise ThresholdError(
            f"the threshold of {run} means nothing: {doubt}",
            expected="an evaluation whose scores tell good from bad",
            hint="leave --threshold out to rank the images without verdicts",
        )
    images = origin.get("images")
    return Threshold.from_evaluation(float(value), images if isinstance(images, int) else None)


def other_origin(text: str | None, description: DescriptionFile, request: Mapping[str, Any]) -> str:
    """In what the evaluation behind a threshold differs from this run, in one line; empty where in nothing.

    Args:
        text: as of `read_threshold`.
        description: of this run.
        request: `preset`, `checkpoint`, `settings` (of scoring), `device`, `precision`, `tile` and `max_size` of this
            run, as plain JSON.
    """
    text = text or ""
    run = Path(text.removeprefix(FROM_EVAL))
    settings = (read_run(run) or {}).get("settings") if text.startswith(FROM_EVAL) else None
    if not isinstance(settings, dict) or not {"hashes", "scoring"} <= settings.keys():
        return ""
    here = {"descriptions": description.ref, "model": _model(request), **request["settings"], **_how(request)}
    there = {
        **here,
        "model": _model(settings),
        **settings["scoring"],
        **{n: settings[n] for n in _how(request) if n in settings},
    }
    names = {slug(folder): parse_ref(ref).category for folder, ref in parse_names(settings.get("names", ())).items()}
    described = {names.get(slug(name), slug(name)): each for name, each in settings["hashes"].items()}
    hashes: dict[str, str] = described.get(description.category, {})
    version, content = next(iter(hashes.items()), ("", description.content_hash))  # thresholds are of the first one
    if content != description.content_hash:
        there["descriptions"] = f"{version} of content {content[:8]}"
    other = [name for name in here if there[name] != here[name]]
    was, now = (", ".join(f"{name} {side[name]}" for name in other) for side in (there, here))
    return f"the threshold of {run} was found with {was}; this run has {now}" if other else ""


def _model(asked: Mapping[str, Any]) -> str:
    file = asked.get("checkpoint")
    return str(Path(file).resolve()) if file else asked.get("preset") or DEFAULT


def _how(request: Mapping[str, Any]) -> dict[str, Any]:
    """Options beside the scoring that move scores; the ablations of `eval` are none of `detect`."""
    precision = precision_name(request["precision"], resolve_device(request["device"]))
    sizes = {name: request[name] for name in ("tile", "max_size")}
    return {"precision": precision, **sizes, "adapter": True, "decoders": "all"}
