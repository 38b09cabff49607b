"""The description file: its schema, and its YAML read and written."""
