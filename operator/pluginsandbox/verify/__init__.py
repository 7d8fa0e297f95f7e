"""Artefact checks before load; pure functions over bytes and paths."""
