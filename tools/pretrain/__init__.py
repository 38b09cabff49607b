"""Trains the bundled model `mini`: DINOv2's first blocks, words and masks in one seeded, resumable run."""
