"""Bytes: opens connections, sends a request and reads its response."""
