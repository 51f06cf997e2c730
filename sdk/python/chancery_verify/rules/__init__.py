"""The operator's rules for chains: how long, how deep, to whom."""
