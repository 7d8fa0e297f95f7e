module pluginsandbox.dev/tests/cluster/probe

go 1.26.0
