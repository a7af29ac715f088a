# What an engine counts. One writer (the engine), monotone; readers keep the last copy and subtract.
from libc.stdint cimport int64_t

cpdef enum Counter:
    # calls; due = started + the not_started ones (COUNT_NOT_STARTED_THROTTLED too), started =
    # finished outcomes + in progress
    COUNT_DUE = 0
    COUNT_STARTED
    COUNT_NOT_STARTED_NO_SLOT       # bound on open calls, or no record left
    COUNT_NOT_STARTED_STOPPED       # the run was stopped before its time came
    COUNT_NOT_STARTED_NO_USER       # every user of the pool was busy
    COUNT_ANSWERED                  # instances started by a request from outside
    # messages
    COUNT_RETRANSMITTED             # sent again by us, requests and responses
    COUNT_RETRANSMITTED_OWN_FAULT   # ... although the answer already lay in our receive queue
    COUNT_RECEIVED_AGAIN            # duplicates of messages absorbed by a transaction
    COUNT_MALFORMED                 # datagrams that are not SIP
    COUNT_KEEPALIVE
    COUNT_UNEXPECTED                # well-formed messages that no program wanted
    COUNT_STRAY_RESPONSE            # responses that match no transaction of this run
    COUNT_STRAY_REQUEST             # requests in a dialog that we do not know
    # answered by the engine itself: docs/answers.md
    COUNT_AUTO_ANSWERED
    COUNT_DIALOG_MISMATCH           # our tag, but another Call-ID or remote tag
    COUNT_OVERSIZE                  # stamped message larger than a datagram
    # honesty
    COUNT_LATE_STARTS               # calls started more than 1 ms after they were due
    COUNT_SLAB_FULL                 # records wanted and not there
    COUNT_LINGER_CUT                # finished transactions forgotten early to make room
    COUNT_LOOPS
    COUNT_BUSY_NS                   # time of the loop outside the wait
    COUNT_WAIT_NS
    COUNT_TRANSPORT_ERRORS          # ICMP errors that ended a transaction
    COUNT_DROPPED_BY_REQUEST        # answering side: --drop
    COUNT_LIMITED                   # answering side: refused by --rate-limit
    COUNT_TRACE_DROPPED
    COUNT_REFUSED_MALFORMED         # malformed requests that got 400, 505 or 513; malformed too
    COUNT_MERGED                    # requests that came by two paths, refused by 482
    COUNT_FORKED_2XX                # answers of further branches of a fork, hung up
    COUNT_RSPAUTH_MISMATCH          # the server's proof that it knows the password was wrong
    COUNT_FAILOVER                  # requests sent again to another target
    COUNT_NOT_STARTED_THROTTLED     # the target's overload control or its Retry-After forbade it
    COUNT_LARGE_REQUESTS            # requests of more than 1300 octets on UDP (RFC 3261 18.1.1)
    COUNT_UNKNOWN_REQUIRED          # responses that require what we did not support (8.2.4)
    COUNT_BINDINGS_ANSWERED         # STUN Binding requests
    COUNT_BINDINGS_FULL             # registrations refused because there was no room for them
    # requests and responses given up
    COUNT_TIMER_B                   # INVITEs without a final response in time
    COUNT_TIMER_F                   # other requests
    COUNT_TIMER_H                   # final responses to INVITEs without an ACK; 2xx too
    COUNT_NO_PRACK                  # reliable provisional responses (RFC 3262 3)
    COUNT_LINES_BUSY                # answering side: refused because every line was taken
    COUNT_COUNT
