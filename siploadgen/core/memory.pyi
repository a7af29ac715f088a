"""Reserved address space for slabs, wheels and rings; nothing of it is visible to Python."""
