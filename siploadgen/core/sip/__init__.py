"""SIP messages: parsing, stamping, digest. Compiled; no sockets here."""
