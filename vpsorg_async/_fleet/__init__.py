"""Many servers: acts on a few at a time and reports on every one."""
