"""The distributions as users get them. `.ci/run` asks for them by name; they need the group `packaging`."""
