"""Faults between the operator and the API server, kills at every write, and what must hold then."""
