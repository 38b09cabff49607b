"""Trains the bundled model `mini`: a teacher, masks and words in one seeded, resumable run."""
