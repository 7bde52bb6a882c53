"""The clocks that the sandbox can run on."""
