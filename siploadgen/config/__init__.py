"""Scenario files: what a run is to do, written down; checked by pydantic, told with places."""
