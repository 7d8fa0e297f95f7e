"""Every right that the chart gives the operator: why, and which check fails without it.

tests/integration/operator/test_rights.py takes each away on a real API server; `table` writes them
into docs/install.md.
"""
