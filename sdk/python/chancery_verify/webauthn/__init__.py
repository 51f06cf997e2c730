"""WebAuthn assertions over statements whose digest is the challenge."""
