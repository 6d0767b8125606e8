"""Exports of super-resolution networks: written atomically, described by a manifest, verified in a fresh process."""
