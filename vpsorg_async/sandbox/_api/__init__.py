"""The HTTP API of the sandbox: routes, validation and serialization."""
