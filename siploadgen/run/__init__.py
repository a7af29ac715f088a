"""A run: its plan, one thread for each engine, and the loop that feeds and samples them."""
