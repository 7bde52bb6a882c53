"""The library at home in other programs' frameworks. Each module needs an extra."""
