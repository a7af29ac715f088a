"""Bodies of events: presence (RFC 3863) and message summaries (RFC 3842)."""

PIDF = "application/pidf+xml"
SUMMARY = "application/simple-message-summary"


def presence(entity: str, change: str = "0") -> str:
    """Presence of an entity, a URI; `change` is a field that tells one state from the next.

    >>> presence("sip:a@x").count("<tuple")
    1
    """
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{entity}">\n'
            '<tuple id="t{token}"><status><basic>open</basic></status>'
            f"<note>state {change}</note></tuple>\n"
            "</presence>\n")


def message_summary(account: str, new: str = "1") -> str:
    """So many new messages of an account, a URI.

    >>> message_summary("sip:a@x").splitlines()[0]
    'Messages-Waiting: yes'
    """
    return (f"Messages-Waiting: yes\nMessage-Account: {account}\n"
            f"Voice-Message: {new}/0 (0/0)\n")
