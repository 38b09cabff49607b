"""`detector data`: look at a data set before using it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from detector.cli import options

app = typer.Typer(no_args_is_help=True, help="Check, summarise or convert a data set; nothing is written into it.")

Root = Annotated[Path, typer.Argument(help="Data set, one category of it, or a manifest.")]


@app.command(cls=options.SettingsCommand)
def check(
    root: Root,
    category: options.Categories = None,
    as_json: options.AsJson = False,
    bits: options.Bits = None,
    max_pixels: options.MaxPixels = None,
) -> None:
    """Open every file and name each bad one. Exit code 1 when anything would spoil a run."""
    from detector.console import encodable
    from detector.data import open_data
    from detector.data.check import check as find_problems
    from detector.images.load import ReadOptions
    from detector.settings import read_settings

    settings = read_settings(bits=bits, max_pixels=max_pixels)
    data = open_data(root, category or ())
    problems = list(find_problems(data, ReadOptions(settings.bits, settings.max_pixels)))
    severe = sum(problem.severe for problem in problems)
    if as_json:
        typer.echo(json.dumps({"samples": len(data.samples), "problems": [problem._asdict() for problem in problems]}))
    else:
        for problem in problems:
            line = f"{'bad ' if problem.severe else 'note'}  {problem.path}: {problem.message}"
            typer.echo(encodable(line))
        typer.echo(f"{len(data.samples)} samples, {severe} bad, {len(problems) - severe} notes")
    if severe:
        raise typer.Exit(1)


@app.command()
def summary(root: Root, category: options.Categories = None, as_json: options.AsJson = False) -> None:
    """Count images, defects and masks by category."""
    from detector.data import open_data

    data = open_data(root, category or ())
    rows = [_count(data, name) for name in data.categories]
    if as_json:
        typer.echo(json.dumps({"layout": data.layout, "categories": rows}))
        return
    typer.echo(f"{data.root} ({data.layout} layout)")
    for row in rows:
        kinds = ", ".join(f"{kind} {number}" for kind, number in row["defects"].items()) or "no defects"
        good = f"good {row['train_good']} train, {row['test_good']} test"
        typer.echo(f"{row['category']}: {good}; {kinds}; {row['masks']} masks")
    for line in (*data.problems, *data.notes):
        typer.echo(f"warning: {line}", err=True)


@app.command()
def convert(root: Root, to: Annotated[Path, typer.Option("--to", help="Manifest to write: .csv or .jsonl.")]) -> None:
    """Write the samples down as a manifest, outside the data set."""
    from detector.data import open_data
    from detector.data.convert import write_manifest

    data = open_data(root)
    write_manifest(data, to)
    typer.echo(f"{to}: {len(data.samples)} samples", err=True)


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(help="Folder to draw the data set into.")],
    seed: Annotated[int, typer.Option(help="Equal seeds draw equal pictures.")] = 0,
    side: Annotated[int, typer.Option(min=32, max=2048, help="Height and width in pixels.")] = 320,
) -> None:
    """Draw a small data set of capsules with masks, to try every command on.

    Example: `detector data sample demo/data && detector data summary demo/data`
    """
    from detector.data.sample_set import write_sample_set

    typer.echo(f"drew {write_sample_set(out, side=side, seed=seed)}")


def _count(data: Any, name: str) -> dict[str, Any]:
    """Counts of one category of a `DataSet`."""
    samples = data.select(category=name)
    return {
        "category": name,
        "train_good": sum(not sample.defective for sample in samples if sample.split == "train"),
        "test_good": sum(not sample.defective for sample in samples if sample.split == "test"),
        "defects": {kind: sum(sample.defect == kind for sample in samples) for kind in data.defects(name)},
        "masks": sum(sample.mask is not None for sample in samples),
    }
