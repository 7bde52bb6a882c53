"""How a call reaches the API and comes back."""
