"""Argo CD as real processes: what Git holds, brought to a real API server and held against it."""
