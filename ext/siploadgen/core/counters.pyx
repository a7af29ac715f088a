"""The numbers of the engine's counters, for Python."""
