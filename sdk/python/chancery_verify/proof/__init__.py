"""Proof of possession: that the one who presents a chain holds its leaf's key, for this call."""
