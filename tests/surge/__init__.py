"""`make surge`: many real pods by the load, beside a plain `kubectl scale` of the same pods."""
