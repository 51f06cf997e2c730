"""Revocation: what was withdrawn before its time, and which chains die with it."""
