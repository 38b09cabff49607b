"""`detector import-checkpoint`: a released FiLo checkpoint becomes one of ours."""

from pathlib import Path
from typing import Annotated

import typer


def import_checkpoint(
    source: Annotated[Path, typer.Argument(help="Released checkpoint, such as filo_train_on_visa.pth.")],
    out: Annotated[Path, typer.Option("--out", help="Checkpoint to write (.safetensors), whole CLIP included.")],
    backbone: Annotated[
        str, typer.Option("--backbone", help="open_clip name or JSON config of the CLIP inside.")
    ] = "ViT-L-14-336",
) -> None:
    """Import a released FiLo checkpoint; it includes its whole CLIP, so no other download is needed."""
    from detector.errors import cannot_write
    from detector.weights.checkpoint import save_checkpoint
    from detector.weights.released import load_released

    model = load_released(source, backbone)
    try:
        save_checkpoint(model, out, whole=True, training={"imported_from": source.name})
    except OSError as error:
        raise cannot_write(out, error) from error
    config = model.config
    typer.echo(f"{out}: {config.variant} FiLo around {config.backbone} at {config.image_size} pixels")
