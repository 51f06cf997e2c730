"""What can be revoked."""

from enum import StrEnum


class RevocationKind(StrEnum):
    """What can be revoked, by one word each, in the order in which a set is written."""

    TOKEN = "token"
    """A root or link, by its ``jti``; its descendants die with it."""
    SESSION = "session"
    """A session, by its id."""
    MISSION = "mission"
    """A mission, by the digest of its bytes: every chain that is for it."""
    AGENT = "agent"
    """An agent, by its SPIFFE ID: every chain with one of its instances in it."""
    INSTANCE = "instance"
    """An instance, by its SPIFFE ID: every chain with it in it."""
    PERSON = "person"
    """A person, by their identifier: every chain that is rooted in them."""
    KEY = "key"
    """A holder key, by its thumbprint: every chain with it in it."""
    CONSENT = "consent"
    """A standing consent, by its id: every chain whose root rests on it."""
