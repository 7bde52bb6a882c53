"""One call: its attempts, retries, turn, token and decoded response."""
