"""`detector references`: keep good photos of a product, with what good photos score against each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.cli import options

if TYPE_CHECKING:
    from detector.context.bank import Bank
    from detector.model.filo import FiLo
    from detector.settings import DetectorSettings

app = typer.Typer(no_args_is_help=True, help="Keep good photos of a product to compare others with.")

File = Annotated[Path, typer.Argument(help="A .refs.safetensors file.", show_default=False)]


@app.command(cls=options.SettingsCommand)
def build(
    photos: options.Photos,
    category: Annotated[str, typer.Option(help="Product, such as capsule.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File to write: NAME.refs.safetensors.", show_default=False)],
    rotations: Annotated[int, typer.Option(min=1, help="Directions each photo is turned to, such as 4 or 8.")] = 1,
    max_patches: Annotated[int | None, typer.Option(min=1, help="Patches a level to keep; all by default.")] = None,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    device: options.Device = None,
) -> None:
    """Read good photos, calibrate them against each other, and write them as one file.

    Example: `detector references build good/ --category capsule --out capsule.refs.safetensors`

    Rotations serve products that lie in any direction; time and file grow with their number.
    """
    from detector.context.bank import Bank
    from detector.context.storage import require_name
    from detector.images.find import find_images
    from detector.settings import read_settings
    from detector.weights.registry import DEFAULT

    require_name(out)
    listing = find_images(photos)
    settings = read_settings(preset=preset, checkpoint=checkpoint, pretrained=pretrained, device=device)
    bank = Bank.from_images(
        _model(settings), listing.photos, category=category.split("@")[0],
        preset=str(settings.checkpoint or settings.preset or DEFAULT),
        rotations=rotations, max_patches=max_patches,
    )  # fmt: skip
    _keep(bank, out, listing.left_out())


@app.command()
def show(
    file: File,
    as_json: options.AsJson = False,
    sheet: Annotated[Path | None, typer.Option(help="Picture to draw all photos into, such as sheet.png.")] = None,
) -> None:
    """How many photos and patches, what they score against each other, and which false-alarm rates they can promise.

    Example: `detector references show capsule.refs.safetensors --sheet sheet.png`
    """
    from detector import console
    from detector.context.storage import load_bank

    bank = load_bank(file)
    if sheet is not None:
        _draw(bank, sheet)
    if as_json:
        console.print_json(_about(bank) | {"photos": _rows(bank)})
        return
    _say(bank)
    table = console.table("", "!photo", ">score against the others", "content")
    for row in _rows(bank):
        table.add_row(console.safe(row["name"]), f"{row['score']:.1f}", row["content"][:12])
    console.stdout().print(table)


@app.command()
def check(file: File, as_json: options.AsJson = False) -> None:
    """Name references that look odd among the others: defective ones, or of another product. Exit code 1 if any does.

    Example: `detector references check capsule.refs.safetensors`
    """
    from detector import console
    from detector.context.storage import load_bank

    bank = load_bank(file)
    odd = bank.check()
    if as_json:
        console.print_json({"references": len(bank.tokens), "odd": [each._asdict() for each in odd]})
    elif len(bank.tokens) < 3:
        typer.echo(f"{len(bank.tokens)} reference(s): from 3 on the odd one can be told")
    elif not odd:
        typer.echo(f"none of {len(bank.tokens)} references looks odd")
    for each in () if as_json else odd:
        line = f"{each.name} looks odd: {each.deviations:.1f} deviations above the other references"
        typer.echo(
            f"{console.encodable(line)}; if it is defective, type: detector references remove {file} {each.name}"
        )
    if odd:
        raise typer.Exit(1)


@app.command(cls=options.SettingsCommand)
def add(
    file: File,
    photos: options.Photos,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    device: options.Device = None,
) -> None:
    """Add good photos to a file of references, which is calibrated anew.

    Example: `detector references add capsule.refs.safetensors good/new.jpg`
    """
    from detector.context.storage import load_bank
    from detector.images.find import find_images
    from detector.settings import read_settings

    settings = read_settings(preset=preset, checkpoint=checkpoint, pretrained=pretrained, device=device)
    bank = load_bank(file)
    listing = find_images(photos)
    _keep(bank.add(_model(settings), listing.photos), file, listing.left_out())


@app.command()
def remove(
    file: File,
    names: Annotated[list[str], typer.Argument(help="Path, file name, or start of the hash.", show_default=False)],
) -> None:
    """Take photos out of a file of references, which is calibrated anew.

    Example: `detector references remove capsule.refs.safetensors 017.jpg`
    """
    from detector.context.storage import load_bank

    _keep(load_bank(file).remove(names), file)


def _model(settings: "DetectorSettings") -> "FiLo":
    from detector.device import resolve_device, resolve_precision
    from detector.runs.components import load_chosen_model

    where = resolve_device(settings.device)
    return load_chosen_model(settings).to(device=where, dtype=resolve_precision("auto", where)).eval()


def _keep(bank: "Bank", path: Path, *notes: str) -> None:
    from detector import console
    from detector.context.storage import save_bank

    save_bank(bank, path)
    for note in filter(None, (*notes, *bank.notes)):
        console.warn(note)
    for odd in bank.check():
        console.warn(f"{odd.name} looks odd among the references; look at it")
    typer.echo(console.encodable(f"wrote {path}"))
    _say(bank)


def _draw(bank: "Bank", sheet: Path) -> None:
    from detector import console
    from detector.context.tokens import read_photo
    from detector.report.contact_sheet import write_sheet

    if missing := write_sheet(sheet, bank, read_photo):
        console.warn(f"{missing} of {len(bank.tokens)} photos are not where they were: grey on the sheet")
    console.stderr().print(f"sheet: {console.safe(sheet)}", soft_wrap=True)


def _about(bank: "Bank") -> dict[str, Any]:
    from detector.context.calibration import smallest_rate

    info = bank.info
    return {
        "category": info.category,
        "model": info.preset,
        "fingerprint": info.model,
        "size": info.size,
        "rotations": info.rotations,
        "max_patches": info.max_patches,
        "references": len(bank.tokens),
        "patches_per_level": [sum(map(len, level)) for level in zip(*bank.tokens, strict=True)],
        "good_patch": bank.scale._asdict(),
        "smallest_false_alarm_rate": None if info.by_itself else smallest_rate(len(bank.tokens)),
    }


def _rows(bank: "Bank") -> list[dict[str, Any]]:
    pairs = zip(bank.info.references, bank.scores, strict=True)
    return [{"name": each.name, "content": each.content, "score": score} for each, score in pairs]


def _say(bank: "Bank") -> None:
    about = _about(bank)
    turned = f", {about['rotations']} rotations" if about["rotations"] > 1 else ""
    lines = [
        f"{about['references']} reference(s) of {about['category'] or 'any product'}, model {about['model']}, "
        f"{about['size']} pixels, {about['patches_per_level'][0]} patches a level{turned}",
        f"a good patch lies at {about['good_patch']['mean']:.3f}, deviation {about['good_patch']['deviation']:.3f}",
    ]
    rate = about["smallest_false_alarm_rate"]
    if rate is None:
        lines.append("one photo, calibrated by its own flips and turns, promises no false-alarm rate; add good photos")
    else:
        count = about["references"]
        lines.append(f"lowest false-alarm rate that can be promised: 1 in {count + 1} ({rate:.1%}); 19 photos give 5 %")
    from detector.console import encodable

    typer.echo(encodable("\n".join(lines)))
