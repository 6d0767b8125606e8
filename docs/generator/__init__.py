"""Generators of the documentation's figures and API pages."""
