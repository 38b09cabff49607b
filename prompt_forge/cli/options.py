"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RefArgument = Annotated[
    str,
    typer.Argument(
        help="category, category@2 or category@label; without @ its default label, else the latest.", metavar="REF"
    ),
]
DescriptionsDir = Annotated[
    Path | None,
    typer.Option("--descriptions-dir", metavar="DIR", help="Library; default ./descriptions, else the packaged one."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
