"""Runs in the pods: doors, invoke, contexts, supervisor, worker; confine is the wall."""
