"""Answers of a scripted language model."""

import json


def answer(*texts: str) -> str:
    return json.dumps({"anomalies": [{"text": text, "family": text.split()[-1], "part": None} for text in texts]})


GOOD = answer("long dark scratch", "round dent", "brown stain")
