"""What people do with description files."""
