"""The recipes of examples/recipes, each run with the package that it is about. `.ci/run` asks for them by name."""
