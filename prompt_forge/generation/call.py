"""`prompt_forge.generate`: what `prompt-forge generate` does, for one product and from Python."""

from collections.abc import Callable, Sequence
from typing import Any

from descriptions.common.errors import SettingsError, nearest
from descriptions.common.settings import load
from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from prompt_forge.generation.generate import Run
from prompt_forge.generation.prepare import GenerateSettings, Wanted, check_products, open_askers, pick_products
from prompt_forge.llm.settings import ModelSettings


def generate(
    category: str,
    *,
    object_name: str | None = None,
    parts: Sequence[str] = (),
    families: Sequence[str] = (),
    model: str | Sequence[str] | None = None,
    store: Store | None = None,
    force: bool = False,
    notify: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> DescriptionFile:
    """Let a language model describe the anomalies of one product, and save them as a new draft version.

    A version that the same questions to the same model have made before is returned as it is.

    Args:
        category: product, such as `capsule`.
        object_name: words that the vision model reads for it; by default those of the catalog, or the category itself.
        parts: visible parts of the product.
        families: kinds of defect to ask about.
        model: name of the model; several are an ensemble; `local` is the embedded one. The configured one by default.
        store: library that the version is saved in; by default the one that the command saves in.
        force: ask although a version of this recipe is there.
        notify: called with each line that the command would show.
        settings: fields of the tables `[generate]` and `[model]` of `filo-forge.toml`, such as `count=20` or
            `base_url="http://localhost:8000/v1"`.

    Returns:
        The version that was saved, or that was there.

    Raises:
        SettingsError: an unknown setting, or one that makes no sense.
        ModelError: no whole, acceptable answer came.
        DescriptionError: a category that cannot be a folder name, or a library that cannot be written to.
    """
    _require_texts(parts=parts, families=families)
    names = [model] if isinstance(model, str) else list(model or ())
    asking, whom = _sorted_out(settings)
    products = pick_products(Wanted((category,), object_name=object_name, parts=parts, families=families))
    here = "the call"
    how, which = load(GenerateSettings, "generate", asking, here), load(ModelSettings, "model", whom, here)
    with open_askers(how, which, names, notify) as askers:
        for line in check_products(askers, products):
            notify(line)
        store = store or Store.open(writable=True)
        result = Run(askers, store, force=force).describe(products[0])
    return store.load(result.ref or category)


def _sorted_out(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of how to ask, and of whom."""
    asking, whom = set(GenerateSettings.model_fields), set(ModelSettings.model_fields) - {"model"}
    for name in settings.keys() - asking - whom:
        known = sorted(asking | whom)
        raise SettingsError(f"no setting {name}", hint=nearest(name, known) or f"known: {', '.join(known)}")
    return (
        {name: value for name, value in settings.items() if name in asking},
        {name: value for name, value in settings.items() if name in whom},
    )


def _require_texts(**lists: Sequence[str]) -> None:
    """A text would be taken for a list of letters."""
    for name, value in lists.items():
        if isinstance(value, str):
            raise SettingsError(f"{name} is the text {value!r}", expected="a list of texts", hint=f"write [{value!r}]")
