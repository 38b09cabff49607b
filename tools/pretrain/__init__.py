"""Trains the bundled model `mini`: distillation, image-text alignment and mask supervision in one seeded, resumable run."""
