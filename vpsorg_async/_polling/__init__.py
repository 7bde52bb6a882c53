"""Waits and watches: what the API showed of a server, and what that proves."""
