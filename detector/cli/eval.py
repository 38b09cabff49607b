"""`detector eval`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_HELP = """Compare description versions on a data set, with error bars.

Example: `detector eval --data data/mvtec --category capsule --descriptions capsule@1 --descriptions capsule@2`

Every image is encoded once and scored by all versions and by three controls (generic words, states alone, random
words). With --references and --together, what other photos add is shown too: photos of train/good, drawn several times,
and the test photos among each other. A run that was stopped goes on when the same command is given again; `--shard i/n`
shares the work between processes that write into one --out. `--compare RUN RUN` shows two finished runs side by side.
"""


def evaluate(
    data: Annotated[Path | None, typer.Option(help="Data set, or manifest.", show_default=False)] = None,
    category: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    descriptions: Annotated[
        list[str] | None, typer.Option(help="capsule@2, or @reviewed for every category; may be repeated.")
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="[REF]...", help="More versions.")] = None,
    descriptions_dir: Annotated[Path | None, typer.Option(help="Folder of description files.")] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FOLDER=DESCRIPTION", help="Category of another name; may be repeated."),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="mini (bundled, default) or vitl.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint instead of a preset.")] = None,
    pretrained: Annotated[str | None, typer.Option(help="CLIP weights: an open_clip tag or a file.")] = None,
    localizer: Annotated[
        Literal["self", "none", "grounding-dino"], typer.Option(help="Who says where the anomaly may be.")
    ] = "self",
    dino_weights: Annotated[Path | None, typer.Option(help="Grounding DINO checkpoint.")] = None,
    dino_text: Annotated[str, typer.Option(help="Folder with BERT's vocab.txt, or a hub name.")] = "bert-base-uncased",
    position: Annotated[bool, typer.Option(help="Name the found region in the text.")] = True,
    gate: Annotated[Literal["soft", "hard", "none"], typer.Option(help="The map outside the boxes.")] = "soft",
    adapter: Annotated[bool, typer.Option(help="Send the image feature through the adapter.")] = True,
    decoders: Annotated[Literal["all", "linear", "conv"], typer.Option(help="Maps that take part.")] = "all",
    contributions: Annotated[bool, typer.Option(help="Leave out each description in turn.")] = True,
    leak_free: Annotated[bool, typer.Option(help="Leave out texts that name a defect folder.")] = False,
    draws: Annotated[int, typer.Option(min=2, help="Draws of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap and the random words.")] = 0,
    references: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Compare with so many photos of train/good as well; may be repeated."),
    ] = None,
    reference_draws: Annotated[int, typer.Option(min=1, help="Draws of references, by --seed.")] = 5,
    together: Annotated[
        bool, typer.Option("--together", help="Score the test photos among each other as well.")
    ] = False,
    shard: Annotated[str, typer.Option(help="i/n: score every n-th image, from the i-th on.")] = "1/1",
    out: Annotated[Path, typer.Option(help="Folder for results, report and run.json.")] = Path("runs/eval"),
    cache: Annotated[bool, typer.Option(help="Keep image features on disk.")] = True,
    cache_dir: Annotated[Path | None, typer.Option(help="Where; the user's cache folder by default.")] = None,
    cache_gb: Annotated[float, typer.Option(min=0, help="How many GB of them.")] = 20.0,
    tile: Annotated[int | None, typer.Option(min=32, help="Cut larger images into windows of so many pixels.")] = None,
    max_size: Annotated[int, typer.Option(min=16, help="Shrink larger images to this long side.")] = 4096,
    bits: Annotated[
        int | None, typer.Option(min=8, max=16, help="Bits used in 16-bit files; by default found out per folder.")
    ] = None,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures before decoding them.")] = 100_000_000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    form: Annotated[Literal["table", "json", "csv"], typer.Option("--format", help="What goes to stdout.")] = "table",
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Two finished runs, instead of an evaluation.", show_default=False)
    ] = None,
) -> None:
    """See `_HELP`, which is what --help shows."""
    from detector.evaluate.errors import EvaluationError
    from detector.runs.evaluate import Request, run, run_compare
    from detector.scoring.predict import ScoringSettings

    if compare:
        run_compare(*compare, form)
        return
    if data is None:
        raise EvaluationError("no data set", expected="--data DIR, or --compare RUN RUN")
    request = Request(
        data=data, categories=tuple(category or ()), descriptions=(*(descriptions or ()), *(more or ())),
        descriptions_dir=descriptions_dir, names=tuple(names or ()), preset=preset, checkpoint=checkpoint,
        pretrained=pretrained,
        scoring=ScoringSettings(localizer=localizer, position=position, gate=gate), adapter=adapter, decoders=decoders,
        contributions=contributions, leak_free=leak_free, draws=draws, seed=seed, shard=shard,
        references=tuple(dict.fromkeys(references or ())), reference_draws=reference_draws, together=together,
        out=out, cache=cache, cache_dir=cache_dir, cache_limit=int(cache_gb * 1e9), device=device,
        dino_weights=dino_weights,
        dino_text=dino_text, precision=precision, tile=tile, max_size=max_size, bits=bits, max_pixels=max_pixels,
    )  # fmt: skip
    raise typer.Exit(run(request, form))


evaluate.__doc__ = _HELP
