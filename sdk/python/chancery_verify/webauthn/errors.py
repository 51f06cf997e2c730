"""Why an assertion or a consent is refused."""

from __future__ import annotations

from enum import StrEnum


class Flaw(StrEnum):
    """One code each."""

    ARTEFACT = "artefact"
    """Not the artefact that the root names."""
    MALFORMED = "malformed"
    """Not the document, or a value that is not canonical base64url."""
    CREDENTIAL = "credential"
    """Made by another credential."""
    CLIENT_DATA = "client_data"
    """Client data that is not a strict JSON object with the members that an assertion has."""
    TYPE = "type"
    """Client data of another ceremony."""
    CROSS_ORIGIN = "cross_origin"
    """Made inside of a frame of another origin."""
    CHALLENGE = "challenge"
    """For another statement."""
    ORIGIN = "origin"
    """From another origin."""
    AUTHENTICATOR_DATA = "authenticator_data"
    """Not the bytes of an assertion's authenticator data."""
    USER_NOT_PRESENT = "user_not_present"
    """Nobody touched the authenticator."""
    USER_NOT_VERIFIED = "user_not_verified"
    """The authenticator did not verify who touched it."""
    RELYING_PARTY = "relying_party"
    """For another relying party."""
    SIGNATURE = "signature"
    """Not signed by the credential's key."""
    COUNTER = "counter"
    """The counter did not rise: the key may have been copied."""
    KIND = "kind"
    """The root names a use of a standing consent and comes with none, or the other way round."""
    STATEMENT = "statement"
    """No standing consent that a root may rest on: its amounts, entries or times are none."""
    CONSENT_OTHER = "consent_other"
    """The root names another standing consent."""
    CONSENT_PERSON = "consent_person"
    """The root is another person's or authority's, or of another time."""
    CONSENT_MISSION = "consent_mission"
    """For another mission."""
    CONSENT_AGENT = "consent_agent"
    """Held by an instance of another agent."""
    CONSENT_GATEWAY = "consent_gateway"
    """For another gateway."""
    CONSENT_SCOPE = "consent_scope"
    """The root grants something else."""
    CONSENT_LIFETIME = "consent_lifetime"
    """The root lives longer."""
    CONSENT_DEPTH = "consent_depth"
    """The root may be delegated deeper."""
    CONSENT_EPOCH = "consent_epoch"
    """Of another epoch."""
    CONSENT_USED_UP = "consent_used_up"
    """The number of the use is beyond the last one."""
    CONSENT_EXPIRED = "consent_expired"
    """The root outlives the consent."""


class ConsentRefused(Exception):
    """A refusal of an assertion or consent."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(f"refused: {flaw.value}")
        self.flaw = flaw


def require(holds: bool, flaw: Flaw) -> None:
    """Refuses with ``flaw`` unless ``holds``."""
    if not holds:
        raise ConsentRefused(flaw)
