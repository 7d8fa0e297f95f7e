"""Generates what comes from the chart: its copy of the kind, its rendering, its values' table."""
