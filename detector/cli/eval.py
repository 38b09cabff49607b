"""`detector eval`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from detector.cli import options

_HELP = """Compare description versions on a data set, with error bars.

Example: `detector eval --data data/mvtec --category capsule --descriptions capsule@1 --descriptions capsule@2`

Every image is encoded once and scored by all versions and by three controls (generic words, states alone, random
words). With --references and --together, what other photos add is shown too: photos of train/good, drawn several times,
and the test photos among each other. A run that was stopped goes on when the same command is given again; `--shard i/n`
shares the work between processes that write into one --out. `--compare RUN RUN` shows two finished runs side by side.
"""


def evaluate(
    data: options.LabelledData = None,
    labels: options.Labels = None,
    category: options.Categories = None,
    descriptions: Annotated[
        list[str] | None,
        typer.Option(
            help="capsule@2, or @reviewed for every category; may be repeated.", rich_help_panel=options.DATA_PANEL
        ),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="[REF]...", help="More versions.")] = None,
    descriptions_dir: options.DescriptionsDir = None,
    names: options.Names = None,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    localizer: options.Localizer = None,
    gate: options.Gate = None,
    dino_weights: options.DinoWeights = None,
    dino_text: options.DinoText = None,
    position: Annotated[bool, typer.Option(help="Name the found region in the text.")] = True,
    adapter: Annotated[bool, typer.Option(help="Send the image feature through the adapter.")] = True,
    decoders: Annotated[Literal["all", "linear", "conv"], typer.Option(help="Maps that take part.")] = "all",
    contributions: Annotated[bool, typer.Option(help="Leave out each description in turn.")] = True,
    leak_free: Annotated[bool, typer.Option(help="Leave out texts that name a defect folder.")] = False,
    draws: Annotated[int, typer.Option(min=2, help="Draws of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap and the random words.")] = 0,
    references: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Also compare with this number of photos of train/good; may be repeated."),
    ] = None,
    reference_draws: Annotated[int, typer.Option(min=1, help="Draws of references, by --seed.")] = 5,
    together: Annotated[
        bool, typer.Option("--together", help="Score the test photos among each other as well.")
    ] = False,
    shard: Annotated[str, typer.Option(help="i/n: score every n-th image, from the i-th on.")] = "1/1",
    out: Annotated[Path, typer.Option(help="Folder for results, report and run.json.")] = Path("runs/eval"),
    cache: Annotated[bool, typer.Option(help="Keep image features on disk.")] = True,
    cache_dir: Annotated[Path | None, typer.Option(help="Where; the user's cache folder by default.")] = None,
    cache_gb: Annotated[float | None, typer.Option(min=0, help="How many GB of them.")] = None,
    device: options.Device = None,
    precision: options.Precision = None,
    runtime: options.Runtime = None,
    tile: options.Tile = None,
    max_size: options.MaxSize = None,
    bits: options.Bits = None,
    max_pixels: options.MaxPixels = None,
    form: options.Form = "table",
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Two finished runs, instead of an evaluation.", show_default=False)
    ] = None,
) -> None:
    """See `_HELP`, which is what --help shows."""
    from detector.evaluate.errors import EvaluationError
    from detector.runs.evaluate import Request, run, run_compare
    from detector.scoring.predict import ScoringSettings
    from detector.settings import DinoFiles, ModelChoice, ProcessorChoice, ReadSettings, read_settings

    if compare:
        run_compare(*compare, form)
        return
    if data is None and labels is None:
        raise EvaluationError("no data set", expected="--data DIR, --labels MARKS, or --compare RUN RUN")
    settings = read_settings(
        preset=preset, checkpoint=checkpoint, pretrained=pretrained, localizer=localizer, dino_weights=dino_weights,
        dino_text=dino_text, gate=gate, max_size=max_size, bits=bits, max_pixels=max_pixels, device=device,
        precision=precision, runtime=runtime, cache_gb=cache_gb,
    )  # fmt: skip
    scoring = ScoringSettings(localizer=settings.localizer, position=position, gate=settings.gate)
    request = Request(
        data=data, labels=labels, categories=tuple(category or ()), descriptions=(*(descriptions or ()), *(more or ())),
        descriptions_dir=descriptions_dir, names=tuple(names or ()), scoring=scoring, adapter=adapter,
        decoders=decoders, contributions=contributions, leak_free=leak_free, draws=draws, seed=seed, shard=shard,
        references=tuple(dict.fromkeys(references or ())), reference_draws=reference_draws, together=together,
        out=out, cache=cache, cache_dir=cache_dir, cache_limit=int(settings.cache_gb * 1e9), tile=tile,
        **settings.group(ModelChoice, DinoFiles, ProcessorChoice, ReadSettings),
    )  # fmt: skip
    raise typer.Exit(run(request, form))


evaluate.__doc__ = _HELP
