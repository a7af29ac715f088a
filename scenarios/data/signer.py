"""What `ask-python.yaml` asks: a signature over what the call knows (not one of RFC 8224)."""

import hashlib

from siploadgen import HookCall


def sign(call: HookCall) -> dict[str, int | str]:
    """Sign the call's last CSeq number."""
    signature = hashlib.sha256(f"secret {call['sequence']}".encode()).hexdigest()
    return {"signature": signature, "length": len(signature)}
