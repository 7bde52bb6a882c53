"""A dashboard of servers: a FastAPI app, htmx and server-sent events. `python -m examples.dashboard` runs it."""
