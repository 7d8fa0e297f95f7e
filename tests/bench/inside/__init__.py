"""A host measured from inside its own event loop: without doors, on one core with its workers."""
