"""Sockets: addresses, batched datagram input and output. Compiled; no SIP here."""
