"""What tests of `detector eval` start from: a small library, a plan, and results without what may differ."""

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.data import open_data
from detector.evaluate.comparison import Plan
from tests.support.dataset import make_dataset


def description(category, *texts):
    anomalies = tuple(Anomaly(id=f"a{index}", text=text) for index, text in enumerate(texts))
    return DescriptionFile(category=category, object_name=category, anomalies=anomalies)


def make_store(folder):
    """Two versions for each of two categories; the second names a defect, `hole`."""
    library = Store(folder)
    for category in ("gear", "plate"):
        library.save(description(category, "broken tooth", "dark round hole"))
        library.save(description(category, "long thin scratch", "hole"))
    return library


def make_data(folder):
    """Six pictures of `gear` with masks, out of a set of two products."""
    return open_data(make_dataset(folder, ("gear", "plate"), good=4, bad=2), ["gear"])


def plan(data, store, out, **changes):
    fields = {"data": data, "store": store, "refs": ("gear@1", "gear@2"), "out": out, "draws": 20}
    return Plan(**(fields | changes))


def numbers(evaluation):
    def plain(variant):
        draws = {name: values.tobytes() for name, values in variant.draws.items()}
        return variant._replace(metrics=variant.metrics.values, draws=draws)

    return [[plain(variant) for variant in category.variants] for category in evaluation.categories]
