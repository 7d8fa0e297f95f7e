"""Turns PluginSandbox objects into pods: watch, queue, observe, decide, apply, report."""
