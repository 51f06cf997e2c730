"""Writes vectors. It shares nothing with any verifier: tokens, keys and verdicts are made here from
the format's text, signatures by ``cryptography``."""
