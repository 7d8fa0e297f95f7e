"""Builds the images for the local cluster, with a Docker engine or without one."""
