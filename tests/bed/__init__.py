"""A real cluster with our images and our operator on it, for the demo, the tests and the bench."""
