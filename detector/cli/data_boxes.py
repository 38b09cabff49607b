"""`detector data boxes`: COCO boxes for fine-tuning Grounding DINO."""

import json
from pathlib import Path
from typing import Annotated

import typer

from detector.cli import options


def boxes(
    root: Annotated[Path, typer.Argument(help="Data set with masks.")],
    to: Annotated[Path, typer.Option("--to", help="JSON file to write, outside the data set.")],
    category: options.Categories = None,
    descriptions: options.Descriptions = None,
    descriptions_dir: options.DescriptionsDir = None,
    names: options.Names = None,
) -> None:
    """Write boxes around masked defects, with the phrases of the descriptions, in COCO format.

    Example: `detector data boxes data/mvtec --to boxes.json`
    """
    from descriptions.common.files import atomic_write
    from descriptions.store import Store
    from detector.data.coco import coco
    from detector.data.errors import TrainingDataError
    from detector.data.material import gather
    from detector.errors import cannot_write

    if root.is_dir() and to.resolve().is_relative_to(root.resolve()):
        raise TrainingDataError(
            f"{to} lies inside the data set", expected="a path outside it, which is never written to"
        )
    material = gather(
        root,
        "all",
        categories=category or (),
        refs=descriptions or (),
        store=Store.open(descriptions_dir),
        names=names or (),
    )
    document = coco(material.samples, material.files)
    try:
        atomic_write(to, (json.dumps(document, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise cannot_write(to, error, "another --to") from error
    typer.echo(f"{to}: {len(document['annotations'])} boxes in {len(document['images'])} images", err=True)
