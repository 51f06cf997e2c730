"""Holds the entries of a log against their JSON Schema with jsonschema, which knows nothing of us.

    schema.py SCHEMA-FILE <EXPORTED-LINES

Every entry must be valid. Every entry with a member taken out, added, or replaced by something that it
cannot be, must not. Writes one JSON object with how many of each were tried.
"""

import copy
import json
import sys

from jsonschema import Draft202012Validator


def without(value: dict, schema: dict):
    """The object without each of the members that the schema requires of it."""
    for name in schema["required"]:
        less = copy.deepcopy(value)
        del less[name]
        yield f"without {name}", less


def wrong(value: dict):
    """The object with each member replaced by what no member is."""
    for name in value:
        for other in (None, 1.5, [[]], {"x": {}}, "\u0001", -1, 1 << 53):
            if name == "clear" or other == value[name]:
                continue
            yield f"{name} = {other!r}", {**value, name: other}


def main(schema_file: str) -> dict:
    with open(schema_file, encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    whole = Draft202012Validator(schema)
    tried = {"valid": 0, "refused": 0, "types": set()}
    for line in sys.stdin:
        entry = json.loads(line)["entry"]
        whole.validate(entry)
        tried["valid"] += 1
        tried["types"].add(entry["type"])
        definition = schema["$defs"][entry["type"]]
        body = definition["properties"]["body"]
        changed = list(without(entry, definition)) + list(wrong(entry))
        changed.append(("more", {**entry, "more": 1}))
        bodies = list(without(entry["body"], body)) + list(wrong(entry["body"]))
        bodies.append(("more", {**entry["body"], "more": 1}))
        changed += [(f"body {what}", {**entry, "body": other}) for what, other in bodies]
        for what, other in changed:
            if whole.is_valid(other):
                sys.exit(f"{entry['type']} {what} is valid: {json.dumps(other)}")
            tried["refused"] += 1
    return {**tried, "types": sorted(tried["types"])}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
