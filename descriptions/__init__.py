"""The contract between the two tools: what a description file is, where it lives, and how it is checked."""
