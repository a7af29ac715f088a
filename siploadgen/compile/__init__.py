"""From scenarios to the program that the engine runs."""
