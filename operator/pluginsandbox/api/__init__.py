"""What users write and read: the PluginSandbox kind, its conditions, the host's configuration."""
