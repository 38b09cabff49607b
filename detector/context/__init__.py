"""Scores with context: a photo beside good reference photos, and photos of one product among each other.

Frozen patch tokens are compared; nothing is trained. Reading order: `tokens` (what the image tower sees), `distances`
(how far patches lie from those of other photos), `calibration` (the scale of a good photo, thresholds), `fusion`
(one map with the words), `bank` and `storage` (reference photos that are kept).
"""
