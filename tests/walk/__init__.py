"""A random walk through the specs that the kind allows, in the manner of Acto (SOSP'23).

After every step the children of a sandbox that has been through all steps before must equal those
of a fresh one of the same spec: the operator is level-triggered, so the way must not matter.
`make walk TRANSITIONS=2000` walks for long; `tests/integration/operator/test_walk.py` for a moment.
"""
