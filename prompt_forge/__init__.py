"""A language model proposes which anomalies a product can have; people keep, edit and version the answer."""
