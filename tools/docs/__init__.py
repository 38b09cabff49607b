"""What makes the documentation: reference pages from the code, pictures from a run, pages that live elsewhere."""
