"""A real Kubernetes cluster for tests and the demo, in one command.

``python -m tests.cluster up`` is what the Makefile and the test fixtures call. Three kinds of
cluster are possible (see `choice`): one that the user names, one that kind makes, or a single node
of our own, built from Go modules and started as root on this machine.
"""
