"""Type checkers look at what a reader copies. A session of noxfile.py asks for them by name."""
