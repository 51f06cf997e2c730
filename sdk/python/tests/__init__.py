"""The suite: ``python3 -m unittest discover -s tests -t .`` in ``sdk/python``."""
