"""Chains: verified link by link from an authority that the verifier knows, down to the holder."""
