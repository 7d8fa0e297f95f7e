"""What hostile authors of PluginSandboxes try by way of the operator, as data; and the arena.

tests/integration/operator/test_deputy.py makes the tries on a real API server; `table` writes them
into docs/security.md.
"""
