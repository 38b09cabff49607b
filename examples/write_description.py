"""A description file through the store: write version 1, correct it as version 2, see what changed, label it.

python write_description.py [LIBRARY], in a folder of your own
"""

import sys
from pathlib import Path

from descriptions import Anomaly, DescriptionFile, ForgeError, Store, diff, lint

try:
    store = Store.open(Path(sys.argv[1]) if len(sys.argv) > 1 else None, writable=True)
except ForgeError as error:  # inside a clone, ./descriptions is the library of the package
    sys.exit(f"error: {error}")

first = store.save(
    DescriptionFile(
        category="gasket",
        object_name="rubber gasket",
        parts=("lip", "bolt hole"),
        anomalies=(
            Anomaly(id="cut", text="straight cut through the lip", family="cut", part="lip"),
            Anomaly(id="flash", text="thin flap of excess rubber along the edge", family="excess material"),
            Anomaly(id="tear", text="torn bolt hole", family="tear", part="bolt hole"),
            Anomaly(id="dust", text="rubber odour", family="contamination"),
        ),
    )
)
print(f"saved {store.path(first.category, first.version)}")

for finding in lint(first):
    print(f"{finding.level}: {finding.entry}: {finding.message}")

corrected = [
    entry.model_copy(update={"text": "grey dust on the lip"}) if entry.id == "dust" else entry
    for entry in first.anomalies
]
second = store.save(first.revised(parent=first.version, anomalies=corrected))
for change in diff(first, second).changes:
    print(f"{first.ref} -> {second.ref}: {change.where}: {change.before} -> {change.after}")

print(f"{store.set_label(second.ref, 'reviewed')} is now gasket@reviewed; it has {len(lint(second))} findings")
