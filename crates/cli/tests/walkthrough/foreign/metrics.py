"""Reads metrics with prometheus_client, which knows nothing of us.

    metrics.py URL

Writes one JSON object: of each family its type and its samples.
"""

import json
import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families


def main(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=20) as answer:
        text = answer.read().decode("ascii")
    families = {}
    for family in text_string_to_metric_families(text):
        if family.name in families:
            sys.exit(f"{family.name} stands there twice")
        samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
        families[family.name] = {"type": family.type, "help": family.documentation, "samples": samples}
    return families


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
