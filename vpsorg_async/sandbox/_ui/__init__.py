"""The live page of the sandbox."""
