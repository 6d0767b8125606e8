"""Verification of artifacts in a fresh process."""
