# Dialogs: what a leg keeps of its peer (RFC 3261 12), and how a leg is found again.
from libc.stdint cimport uint32_t
from siploadgen.core.records cimport Core, Leg
from siploadgen.core.span cimport Span
from siploadgen.core.types cimport Handle, Peer

# Tag, remote target and route set from a response of the peer (core.message) to our dialog-forming
# request.
cdef void dialog_from_response(Core* core, uint32_t leg) noexcept nogil
# The same and the parties, from a request of the peer (core.message) that opens a dialog.
cdef void dialog_from_request(Core* core, uint32_t leg) noexcept nogil
# The same from a NOTIFY of the peer (core.message) that comes before the 2xx to our SUBSCRIBE or
# REFER (RFC 6665 4.4.1).
cdef void dialog_from_notify(Core* core, uint32_t leg) noexcept nogil
# The leg that core.message, a NOTIFY, means by its To tag although it is of another dialog than the
# leg's: of another branch of its SUBSCRIBE (RFC 6665 4.1.2.4). NULL: none.
cdef Leg* dialog_forked(Core* core) noexcept nogil
# Dialog of a fresh leg with such a NOTIFY; requests in it have the other leg's Call-ID and tag.
cdef void dialog_from_fork(Core* core, uint32_t leg) noexcept nogil
# Remote target of a target refresh request in the dialog (RFC 3261 12.2.2).
cdef void dialog_refresh(Core* core, uint32_t leg) noexcept nogil
# A new leg becomes another branch of the INVITE that leg `first` has not answered for good: a
# dialog of its own with the same peer. Nothing is done when it has a dialog already.
cdef void dialog_branch(Core* core, uint32_t first, uint32_t leg) noexcept nogil
# Handle in a token of ours (a tag or a Contact user), 0 when it is none of this engine and run.
cdef Handle token_read(Core* core, Span token) noexcept nogil
# The leg that core.message, a request in a dialog, belongs to; NONE: unknown, or another Call-ID or
# remote tag.
cdef uint32_t dialog_find(Core* core) noexcept nogil
# The same of a dialog that is named by its identifiers, as our end sees the tags.
cdef uint32_t dialog_named(Core* core, Span call_id, Span to_tag, Span from_tag) noexcept nogil
# core.message, a response, is of the dialog that the leg stands for.
cdef bint dialog_is_of(Core* core, const Leg* leg) noexcept nogil
# What Leg.remote_tag_hash holds of a tag; 0: there is none.
cdef uint32_t dialog_tag_hash(Core* core, Span tag) noexcept nogil
# Where a request in the dialog of core.message, a 2xx of the peer, goes when no leg keeps it:
# Request-URI, Route lines (both in core.scratch) and next hop.
cdef void dialog_place(Core* core, Span* target, Span* routes, Peer* hop) noexcept nogil
cdef uint32_t call_id_hash(Core* core, Span call_id) noexcept nogil
cdef bint host_is_local(Core* core, Span host) noexcept nogil
