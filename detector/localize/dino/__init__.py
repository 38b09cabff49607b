"""Grounding DINO as a localizer."""
