"""Hostile plugins, one attack each, in a real host beside plugins that must not notice.

The attacks are data (`attacks/`); `make hostile` runs them all, `docs/security.md` counts them.
"""
