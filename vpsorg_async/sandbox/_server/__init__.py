"""The two ways to reach the sandbox: a loopback socket, or a call in the same task."""
