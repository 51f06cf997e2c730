"""What stands in a token: claims, entries, constraints and limits, read strictly."""
