"""The compiled core: one nogil engine per core, steered through `siploadgen.core.engine`."""
