"""How many pods a sandbox should have: window -> demand -> need -> decide -> record.

Pure: no network and no clock of its own. Whole numbers throughout, loads in thousandths, so that
the same inputs give the same answer on every machine, to the last bit. `core.Autoscaler` is what
the operator holds, and what `pluginsandbox simulate` runs against a trace.
"""
