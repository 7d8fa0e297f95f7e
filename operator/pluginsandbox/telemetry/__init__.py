"""Every metric, log and trace name of PluginSandbox, in one place."""
