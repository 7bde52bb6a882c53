"""Measures what this library costs, beside other clients, by turns in the same run."""
