"""Integrations with other libraries. Import the module you need; each one requires its library."""
