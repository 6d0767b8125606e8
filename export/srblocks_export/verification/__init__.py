"""Verification of artifacts in a fresh process against the network in float32."""
