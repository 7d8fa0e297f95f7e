"""PluginSandbox: runs other people's plugins safely inside your own Kubernetes platform."""

__version__ = "0.1.0"
