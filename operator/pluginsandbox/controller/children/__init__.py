"""One module for each child object: pure functions from a PluginSandbox to what it owns."""
