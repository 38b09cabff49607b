"""Descriptions that learn from what the detector sees: measure, propose, keep what helps, and compare honestly."""
