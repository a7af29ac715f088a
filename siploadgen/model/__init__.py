"""Call models: the tree of a scenario and the front ends that fill it."""
