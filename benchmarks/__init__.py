"""What this library costs, measured against what it stands on, in interleaved runs."""
