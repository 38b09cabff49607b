"""Scores for another program: versions come in as lines of JSON, and what every photo scores with them goes out.

The first line out says what is measured: `{"photos": [{"path", "sha256", "defect", "defective"}], "model", ...}`. Then,
for every line in,

    {"versions": [{"object_name", "normal": [...], "abnormal": [...], "anomalies": [{"id", "text"}], "leave_one_out"}]}

comes one line out,

    {"results": [{"scores": [...], "nearest": [...], "without": {id: [...]}}]}

in the order of the versions and photos: the image score, the id of the description nearest to the peak of the map, and,
where `leave_one_out` is true, the scores without each description. Lines `{"scored": i, "of": n}` in between tell how
far it is, `{"error": "..."}` answers what cannot be scored. Every photo is encoded once; the end of input is the end.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from descriptions.common.errors import ForgeError
from descriptions.format.schema import State, Text
from detector.data.errors import DataError
from detector.data.marks import open_labelled, photo_hash
from detector.data.sample import Sample
from detector.images.load import ImageError
from detector.runs.components import ScoringRequest, load_chosen_model, predictor_options
from detector.scoring.feature_cache import DEFAULT_LIMIT, FeatureCache, default_folder
from detector.scoring.predict import Prediction, ScoringSettings
from detector.scoring.predictor import Ask, Predictor
from detector.scoring.prompts import AnomalyText, PromptSet, prompt_set


class MeasureRequest(ScoringRequest):
    """Everything that `detector measure` was asked for."""

    data: Path | None = None
    labels: Path | None = None
    category: str | None = None
    scoring: ScoringSettings = ScoringSettings()
    cache_dir: Path | None = None
    cache_limit: int = DEFAULT_LIMIT


class Words(BaseModel):
    """One version to measure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    object_name: Text
    normal: tuple[State, ...]
    abnormal: tuple[State, ...] = ()
    anomalies: tuple[AnomalyText, ...] = ()
    leave_one_out: bool = False


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    versions: tuple[Words, ...]


class _Photos(NamedTuple):
    samples: list[Sample]
    """Those that can be read."""
    problems: list[str]


def run_measure(request: MeasureRequest, lines: Iterable[str] = sys.stdin, out: TextIO = sys.stdout) -> None:
    """Answer every line of `lines`.

    Raises:
        ForgeError: the data, the model or the settings cannot be used; nothing is answered then.
    """
    samples, problems = _samples(request)
    model = load_chosen_model(request)
    cache = FeatureCache(request.cache_dir or default_folder(), request.cache_limit)
    options = predictor_options(request, request.scoring, model)
    options["cache"] = cache
    predictor = Predictor(model, **options)
    photos = _readable(predictor, samples, problems)
    _say(out, _about(request, photos, predictor))
    for line in filter(str.strip, lines):
        for answer in _answers(predictor, photos.samples, line):
            _say(out, answer)


def _samples(request: MeasureRequest) -> tuple[list[Sample], list[str]]:
    """Test photos of one category.

    Raises:
        DataError: none, or several categories.
    """
    data = open_labelled(request.data, request.labels, [request.category] if request.category else ())
    if len(data.categories) > 1:
        several = ", ".join(data.categories)
        raise DataError(f"{data.root} holds {several}", expected="one category", hint="name it with --category")
    samples = data.select(split="test")
    if not samples:
        raise DataError(f"{data.root} has no test photos", expected="photos with the split test")
    return list(samples), [*data.problems, *data.notes]


def _readable(predictor: Predictor, samples: list[Sample], problems: list[str]) -> _Photos:
    """The photos that can be scored; their features are in the cache afterwards."""
    photos = _Photos([], list(problems))
    for sample in samples:
        try:
            picture = predictor.load(sample.image)
        except ImageError as error:
            photos.problems.append(str(error))
            continue
        if not predictor.is_large(picture):
            predictor.encode([picture])
        photos.samples.append(sample)
    return photos


def _about(request: MeasureRequest, photos: _Photos, predictor: Predictor) -> dict[str, Any]:
    rows = [
        {"path": str(one.image), "sha256": photo_hash(one.image), "defect": one.defect, "defective": one.defective}
        for one in photos.samples
    ]
    name = str(request.checkpoint or request.preset or "mini")
    how = predictor.settings.model_dump() | {"tile": request.tile, "max_size": request.max_size}
    return {
        "photos": rows,
        "model": {"name": name, "weights": predictor.weights, "context_tokens": predictor.model.config.context_tokens},
        "settings": how,
        "problems": photos.problems,
    }


def _answers(predictor: Predictor, samples: list[Sample], line: str) -> Iterator[dict[str, Any]]:
    try:
        versions = _Question.model_validate_json(line).versions
        asks = [Ask(_prompts(predictor, one), one.leave_one_out and len(one.anomalies) > 0) for one in versions]
        rows = []
        for index, sample in enumerate(samples):
            (row,) = predictor.predict([predictor.load(sample.image)], asks)
            rows.append(row)
            yield {"scored": index + 1, "of": len(samples)}
        yield {"results": _results(asks, rows)}
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        yield {"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}
    except ForgeError as error:
        yield {"error": str(error)}


def _prompts(predictor: Predictor, words: Words) -> PromptSet:
    tokens = predictor.model.config.context_tokens
    return prompt_set(words.object_name, words.normal, words.anomalies, words.abnormal, context_tokens=tokens)


def _results(asks: list[Ask], rows: list[list[Prediction]]) -> list[dict[str, Any]]:
    """Per version what every photo scores; columns of left-out descriptions follow those of the versions."""
    results, at = [], len(asks)
    for index, ask in enumerate(asks):
        result: dict[str, Any] = {
            "scores": [row[index].score for row in rows],
            "nearest": [row[index].matches[0].id if row[index].matches else None for row in rows],
        }
        if ask.leave_one_out:
            ids = [entry.id for entry in ask.prompts.anomalies]
            result["without"] = {name: [row[at + k].score for row in rows] for k, name in enumerate(ids)}
            at += len(ids)
        results.append(result)
    return results


def _say(out: TextIO, document: dict[str, Any]) -> None:
    out.write(json.dumps(document) + "\n")
    out.flush()
