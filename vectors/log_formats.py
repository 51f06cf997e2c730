"""Writes log_tile_paths.jsonl and log_cosignatures.jsonl: what a reader of C2SP tlog-tiles paths
and of tlog-cosignature lines must say, one vector a line.

Shares nothing with a reader. `--check` proves that the files are what this writes. ML-DSA-44 signs
otherwise each time: a signature that the file has already, and that verifies, stays. Keys have
fixed seeds (SHA-256 of `chancery-vector-seed:` and the name; test keys only).
"""

import base64
import hashlib
import json
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

HERE = pathlib.Path(__file__).parent
PATHS = HERE / "log_tile_paths.jsonl"
COSIGNATURES = HERE / "log_cosignatures.jsonl"

paths = []
cosignatures = []


# Paths of tiles and bundles.


def accept_path(path, level, index, width):
    paths.append({"path": path, "expect": "accept", "level": level, "index": index, "width": width})


def refuse_path(path):
    paths.append({"path": path, "expect": "reject"})


def files_of(size):
    """Every tile and bundle of a log of `size` entries; level -1 has the bundles."""
    made = []
    for level in range(-1, 8):
        held = size if level < 0 else size >> 8 * level
        prefix = "tile/" + ("entries" if level < 0 else str(level)) + "/"
        for index in range(-(-held // 256)):
            digits = f"{index:03d}" if index < 1000 else f"x{index // 1000:03d}/{index % 1000:03d}"
            width = min(256, held - index * 256)
            made.append(prefix + digits + (f".p/{width}" if width < 256 else ""))
    return made


for path in (
    ("tile/0/000", 0, 0, 256),
    ("tile/0/999", 0, 999, 256),
    ("tile/0/x001/000", 0, 1000, 256),
    ("tile/0/x001/x234/067", 0, 1234067, 256),
    ("tile/1/x999/x999/999", 1, 999999999, 256),
    ("tile/0/x018/x446/x744/x073/x709/x551/615", 0, 2**64 - 1, 256),
    ("tile/63/000", 63, 0, 256),
    ("tile/7/000.p/1", 7, 0, 1),
    ("tile/0/000.p/255", 0, 0, 255),
    ("tile/2/x001/067.p/9", 2, 1067, 9),
    ("tile/entries/000", -1, 0, 256),
    ("tile/entries/x001/x234/067", -1, 1234067, 256),
    ("tile/entries/273.p/112", -1, 273, 112),
):
    accept_path(*path)
for path in (
    "",
    "tile",
    "tile/",
    "/tile/0/000",
    "tile/0/000/",
    "tile/0/000\n",
    " tile/0/000",
    "tile//000",
    "tile/0//000",
    "Tile/0/000",
    "tile/00/000",
    "tile/01/000",
    "tile/+1/000",
    "tile/-1/000",
    "tile/64/000",
    "tile/256/000",
    "tile/data/000",
    "tile/entry/000",
    "tile/0/",
    "tile/0/0",
    "tile/0/00",
    "tile/0/0000",
    "tile/0/1000",
    "tile/0/00a",
    "tile/0/00\u0661",
    "tile/0/x001",
    "tile/0/001/000",
    "tile/0/x000/000",
    "tile/0/x000/x001/000",
    "tile/0/X001/000",
    "tile/0/x01/000",
    "tile/0/x001/x234",
    "tile/0/x001/234/067",
    "tile/0/x018/x446/x744/x073/x709/x551/616",
    "tile/0/x999/x999/x999/x999/x999/x999/999",
    "tile/0/000.p",
    "tile/0/000.p/",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/0/000.p/257",
    "tile/0/000.p/01",
    "tile/0/000.p/+1",
    "tile/0/000.p/1/",
    "tile/0/000.p/1.p/1",
    "tile/0/000.P/1",
    "tile/0/.p/1",
    "tile/0/../000",
    "tile/0/%30%30%30",
    "tile/0/000?x",
    "tile\\0\\000",
):
    refuse_path(path)
for size in (0, 1, 255, 256, 257, 512, 65535, 65536, 70000):
    made = files_of(size)
    paths.append({"size": size, "files": len(made), "last": made[-1:], "digest": hashlib.sha256(
        "".join(path + "\n" for path in sorted(made)).encode()).hexdigest()})


# Cosignatures.


def seed(name):
    return hashlib.sha256(b"chancery-vector-seed:" + name.encode()).digest()


def b64(data):
    return base64.b64encode(data).decode()


def u64(number, order="big"):
    return number.to_bytes(8, order)


class Cosigner:
    def __init__(self, name, kind, of=None):
        self.name, self.kind = name, kind
        make = {4: Ed25519PrivateKey.from_private_bytes, 6: MLDSA44PrivateKey.from_seed_bytes}
        self.key = make[kind](seed(of or name))
        body = bytes([kind]) + self.key.public_key().public_bytes_raw()
        self.id = hashlib.sha256(name.encode() + b"\n" + body).digest()[:4]
        self.vkey = f"{name}+{self.id.hex()}+{b64(body)}"

    def sign(self, message, context=None):
        """A signature, the known one where there is one."""
        if self.kind == 4:
            return self.key.sign(message)
        for known in KNOWN:
            try:
                self.key.public_key().verify(known, message, context)
                return known
            except InvalidSignature:
                pass
        signature = self.key.sign(message, context)
        KNOWN.append(signature)
        return signature

    def line(self, body, key_id=None, name=None):
        return f"\u2014 {name or self.name} {b64((key_id or self.id) + body)}"


def known_signatures():
    if not COSIGNATURES.exists():
        return []
    lines = [json.loads(line)["line"] for line in COSIGNATURES.read_text().splitlines()]
    bodies = [base64.b64decode(line.split(" ")[2]) for line in lines]
    return [body[-2420:] for body in bodies if len(body) >= 2432]


KNOWN = known_signatures()
ORIGIN, SIZE, TIME = "log.example/a", 70000, 1_800_000_000
ROOT = hashlib.sha256(b"a root").digest()
TEXT = f"{ORIGIN}\n{SIZE}\n{b64(ROOT)}\n"


def subtree(name, time=TIME, origin=ORIGIN, start=0, end=SIZE, root=ROOT, head=b"subtree/v1\n\0"):
    name, origin = name.encode(), origin.encode()
    return b"".join((
        head, bytes([len(name)]), name, u64(time), bytes([len(origin)]), origin,
        u64(start), u64(end), root,
    ))


def add(title, cosigner, line, expect, reason=None, timestamp=None, text=TEXT):
    verdict = {"expect": expect}
    verdict |= {"timestamp": timestamp} if expect == "accept" else {"reason": reason}
    cosignatures.append({"name": title, "vkey": cosigner.vkey, "text": text, "line": line, **verdict})


W6, W4 = Cosigner("witness.example/w", 6), Cosigner("witness.example/w", 4)
OTHER = Cosigner("witness.example/other", 6)
LONG = Cosigner("w" * 255, 6)


def accept(title, cosigner, message, time=TIME, text=TEXT):
    body = u64(time) + cosigner.sign(message)
    add(title, cosigner, cosigner.line(body), "accept", timestamp=time, text=text)


def wrong(title, cosigner, message, time=TIME, **sign):
    body = u64(time) + cosigner.sign(message, **sign)
    add(title, cosigner, cosigner.line(body), "reject", "wrong")


accept("ML-DSA-44", W6, subtree(W6.name))
accept("ML-DSA-44 that says nothing of the time", W6, subtree(W6.name, time=0), time=0)
accept("ML-DSA-44 at the latest time", W6, subtree(W6.name, time=2**63 - 1), time=2**63 - 1)
accept("ML-DSA-44 of the longest name", LONG, subtree(LONG.name))
accept("Ed25519", W4, f"cosignature/v1\ntime {TIME}\n{TEXT}".encode())
empty = f"{ORIGIN}\n0\n{b64(hashlib.sha256().digest())}\n"
accept("ML-DSA-44 of the empty log", W6, subtree(W6.name, end=0, root=hashlib.sha256().digest()), text=empty)
wrong("another cosigner's name in the message", W6, subtree(OTHER.name))
wrong("another log's name in the message", W6, subtree(W6.name, origin="log.example/b"))
wrong("names that run together otherwise", W6, subtree("witness.example/w", origin="log.example/a "))
wrong("one entry fewer", W6, subtree(W6.name, end=SIZE - 1))
wrong("one entry more", W6, subtree(W6.name, end=SIZE + 1))
wrong("a subtree that does not start at zero", W6, subtree(W6.name, start=65536))
wrong("start and end exchanged", W6, subtree(W6.name, start=SIZE, end=0))
wrong("another root", W6, subtree(W6.name, root=hashlib.sha256(b"another").digest()))
wrong("signed for another time", W6, subtree(W6.name, time=TIME + 1))
wrong("signed for no time and dated", W6, subtree(W6.name, time=0))
wrong("signed for a time and not dated", W6, subtree(W6.name), time=0)
wrong("another version in the message", W6, subtree(W6.name, head=b"subtree/v2\n\0"))
wrong("no zero behind the header", W6, subtree(W6.name, head=b"subtree/v1\n"))
wrong("a newline in the place of the zero", W6, subtree(W6.name, head=b"subtree/v1\n\n"))
wrong("the text of a 0x04 cosignature", W6, f"cosignature/v1\ntime {TIME}\n{TEXT}".encode())
wrong("the text of the checkpoint alone", W6, TEXT.encode())
wrong("with a context", W6, subtree(W6.name), context=b"subtree/v1")
wrong("Ed25519 over the message of ML-DSA-44", W4, subtree(W4.name))
wrong("Ed25519 for another time", W4, f"cosignature/v1\ntime {TIME + 1}\n{TEXT}".encode())
wrong("Ed25519 over the text alone", W4, TEXT.encode())
little = subtree(W6.name).replace(u64(SIZE), u64(SIZE, "little"))
wrong("a little-endian size", W6, little)
good = W6.sign(subtree(W6.name))
for at in (0, 1210, 2419):
    flipped = bytearray(good)
    flipped[at] ^= 1
    add(f"a flipped bit at {at}", W6, W6.line(u64(TIME) + bytes(flipped)), "reject", "wrong")
add("another key's signature", W6, W6.line(u64(TIME) + OTHER.sign(subtree(OTHER.name))), "reject", "wrong")
add("a byte too few", W6, W6.line(u64(TIME) + good[:-1]), "reject", "length")
add("a byte too many", W6, W6.line(u64(TIME) + good + b"\0"), "reject", "length")
add("no timestamp", W6, W6.line(good), "reject", "length")
add("a timestamp alone", W6, W6.line(u64(TIME)), "reject", "length")
add("an Ed25519 signature for the ML-DSA-44 key", W6, W6.line(u64(TIME) + bytes(64)), "reject", "length")
add("an ML-DSA-44 signature for the Ed25519 key", W4, W4.line(u64(TIME) + good), "reject", "length")
add("a timestamp above 2^63-1", W6, W6.line(u64(2**63) + good), "reject", "timestamp")
add("the key id of another key", W6, W6.line(u64(TIME) + good, key_id=W4.id), "reject", "unknown")
add("the name of another cosigner", W6, W6.line(u64(TIME) + good, name=OTHER.name), "reject", "unknown")
add("a key id that is no one's", W6, W6.line(u64(TIME) + good, key_id=bytes(4)), "reject", "unknown")


def numbered(vectors):
    return "".join(
        json.dumps({"number": number, **vector}, separators=(",", ":")) + "\n"
        for number, vector in enumerate(vectors, 1)
    )


def main():
    for file, vectors in ((PATHS, paths), (COSIGNATURES, cosignatures)):
        text = numbered(vectors)
        if "--check" not in sys.argv[1:]:
            file.write_text(text)
            print(f"{file.name}: {len(vectors)} vectors")
        elif file.read_text() != text:
            sys.exit(f"{file.name} is not what {pathlib.Path(__file__).name} writes; run it")


main()
