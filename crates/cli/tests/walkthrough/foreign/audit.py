"""Audits a served log with aics-tlog, a reader of C2SP logs that knows nothing of ours.

    audit.py URL VKEY [OLD-CHECKPOINT-FILE]

Verifies the checkpoint, authenticates every tile and entry bundle against it, proves every entry to
be included, and, with an older checkpoint, that the log continues it. Writes one JSON object.
"""

import json
import sys
from pathlib import Path

from aics_tlog import (
    HttpTileReader,
    VerifiedTileReader,
    audit_tiles,
    consistency_proof_from_tiles,
    inclusion_proof_from_tiles,
    leaf_hash,
    parse_note,
    parse_vkey,
    verify_checkpoint,
    verify_consistency,
    verify_inclusion,
)


def opened(note: bytes, key):
    """The size and root of a checkpoint that the key signed."""
    result = verify_checkpoint(parse_note(note.decode("utf-8")), key, [], 0, expected_origin=key.name)
    if not result.ok:
        raise ValueError(result.error)
    return result.size, result.root


def main(url: str, vkey: str, older: str | None = None) -> dict:
    key = parse_vkey(vkey)
    reader = HttpTileReader(url, proxies={})
    size, root = opened(reader.read_checkpoint(), key)
    report = audit_tiles(reader, size, root)
    verified = VerifiedTileReader(reader, size, root)
    proved = 0
    for index in range(size):
        leaf = leaf_hash(verified.entry(index))
        proof = inclusion_proof_from_tiles(verified, index, size)
        if not verify_inclusion(leaf, index, size, proof, root):
            raise ValueError(f"entry {index} is not included")
        proved += 1
    found = {"size": size, "proved": proved, "tiles": report.tiles, "bundles": report.bundles}
    if older is not None:
        old_size, old_root = opened(Path(older).read_bytes(), key)
        proof = consistency_proof_from_tiles(verified, old_size, size) if 0 < old_size < size else []
        if not verify_consistency(old_size, size, old_root, root, proof):
            raise ValueError("the log does not continue the older checkpoint")
        found["continues"] = old_size
    return found


if __name__ == "__main__":
    try:
        print(json.dumps(main(*sys.argv[1:])))
    except (ValueError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
