"""What docs/generate.py writes, and how."""
