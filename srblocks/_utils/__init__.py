"""Internal helpers: atomic files, the console, memory, and command-line arguments."""
