"""Description files: the contract between prompt_forge and detector, and the library that comes with the package.

from descriptions import Store, lint

for finding in lint(Store.open().load("capsule")):
    print(finding.level, finding.entry, finding.message)
"""

from typing import TYPE_CHECKING

from descriptions.common.lazy import public

if TYPE_CHECKING:
    from descriptions.common.errors import ForgeError
    from descriptions.diff import diff
    from descriptions.format.schema import Anomaly, DescriptionFile
    from descriptions.lint import lint
    from descriptions.store import Store

__all__ = ["Anomaly", "DescriptionFile", "ForgeError", "Store", "diff", "lint"]

__getattr__, __dir__ = public(
    __name__,
    {
        "Anomaly": "descriptions.format.schema",
        "DescriptionFile": "descriptions.format.schema",
        "ForgeError": "descriptions.common.errors",
        "Store": "descriptions.store",
        "diff": "descriptions.diff",
        "lint": "descriptions.lint",
    },
)
