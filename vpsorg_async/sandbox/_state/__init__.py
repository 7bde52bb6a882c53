"""The state of the sandbox: accounts, their events, and what can be ordered."""
