"""Weights: files on disk become a model and back."""
