"""Requests that an agent signed: RFC 9421 in the WIMSE profile, by the agent key.

One signature covers the method, the request target, the body's digest, the credential and the
delegation, names its audience and a nonce, and lives a minute. The key comes from the credential and
from nowhere else. One spelling is read: what a serialiser of RFC 9651 writes.
"""
