module pluginsandbox.dev/tests/bench/sharedobject

go 1.26.0
