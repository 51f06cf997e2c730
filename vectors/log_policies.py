"""Writes log_policies.jsonl: what a reader of C2SP tlog-policy files must say, one vector a line.

Shares nothing with a reader. `--check` proves that the file is what this writes. Keys have fixed
seeds (SHA-256 of `chancery-vector-seed:` and the name; test keys only).
"""

import base64
import hashlib
import json
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HERE = pathlib.Path(__file__).parent
FILE = HERE / "log_policies.jsonl"


def seed(name):
    return hashlib.sha256(b"chancery-vector-seed:" + name.encode()).digest()


def public(name):
    return Ed25519PrivateKey.from_private_bytes(seed(name)).public_key().public_bytes_raw()


def post_quantum(name):
    """1,312 bytes that stand for a key: a policy reads keys and verifies nothing."""
    out = b""
    while len(out) < 1312:
        out += hashlib.sha256(seed(name) + len(out).to_bytes(4, "big")).digest()
    return out[:1312]


def vkey(name, kind, key):
    body = bytes([kind]) + key
    key_id = hashlib.sha256(name.encode() + b"\n" + body).digest()[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(body).decode()}"


def log(name="log.example/a", of=None):
    return vkey(name, 1, public(of or name))


def witness(name, of=None):
    return vkey(name, 4, public(of or name))


W = [f"w{n}.example" for n in range(1, 7)]
LINES = [f"witness W{n} {witness(name)}" for n, name in enumerate(W, 1)]
LOG = f"log {log()}"
HEAD = "\n".join([LOG, *LINES[:3]]) + "\n"

accepted = []
refused = []


def accept(name, policy, *met):
    """`met`: pairs of the names that cosigned and whether that is the quorum."""
    accepted.append((name, policy, met))


def refuse(name, policy, reason, line):
    refused.append((name, policy, reason, line))


accept("no quorum is asked for", "quorum none\n", ((), True))
accept("a log and no witness", f"{LOG}\nquorum none\n", ((), True))
accept("witnesses that are not asked for", HEAD + "quorum none\n", ((), True), (("W1",), True))
accept("one witness is the quorum", HEAD + "quorum W2\n", ((), False), (("W1", "W3"), False), (("W2",), True))
accept("any", HEAD + "group g any W1 W2 W3\nquorum g\n", ((), False), (("W3",), True))
accept("all", HEAD + "group g all W1 W2 W3\nquorum g\n", (("W1", "W2"), False), (("W1", "W2", "W3"), True))
accept("a number", HEAD + "group g 2 W1 W2 W3\nquorum g\n", (("W2",), False), (("W1", "W3"), True))
accept("one of one", HEAD + "group g 1 W1\nquorum g\n", ((), False), (("W1",), True), (("W2",), False))
two_levels = "\n".join(
    [
        LOG,
        *LINES,
        "group X 2 W1 W2 W3",
        "group Y any W4 W5 W6",
        "group both all X Y",
        "quorum both",
        "",
    ]
)
accept(
    "two levels",
    two_levels,
    (("W1", "W2", "W3"), False),
    (("W4", "W5", "W6"), False),
    (("W1", "W4"), False),
    (("W1", "W3", "W6"), True),
)
accept("a group of groups of one", HEAD + "group a any W1\ngroup b all a\nquorum b\n", (("W1",), True), (("W2",), False))
accept("a group that is not the quorum", HEAD + "group g all W1 W2\nquorum W3\n", (("W1", "W2"), False), (("W3",), True))
accept("witness lines after the quorum", f"{LINES[0]}\nquorum W1\n{LINES[1]}\n", (("W2",), False), (("W1",), True))
accept("log lines after the quorum", f"quorum none\n{LOG}\n", ((), True))
accept("tabs and spaces", f"\t {LOG.replace(' ', '   ')}\t\n  {LINES[0].replace(' ', chr(9))} \nquorum\tW1\n", (("W1",), True))
accept("empty lines and comments", f"# a comment\n\n \t\n  # another: quorum W9\n{LINES[0]}\nquorum W1\n", (("W1",), True))
accept("octets above 127 in a comment", b"# \xff\xfe\nquorum none\n", ((), True))
accept("octets above 127 in a name", LINES[0].replace("W1", "\u212a").encode() + b"\nquorum \xe2\x84\xaa\n", ((), False))
accept("an octet that is no UTF-8 in a name", LINES[0].encode().replace(b"W1", b"\xff") + b"\nquorum \xff\n", ((), False))
accept("a non-breaking space is no space", LINES[0].replace("W1", "W\u00a01").encode() + "\nquorum W\u00a01\n".encode(), ((), False))
accept("addresses", f"{LOG} https://log.example/\n{LINES[0]} https://w1.example/\nquorum W1\n", (("W1",), True))
accept("two keys of one log", f"{LOG}\nlog {vkey('log.example/a', 6, post_quantum('a'))}\nquorum none\n", ((), True))
accept("a post-quantum witness", f"witness W1 {vkey('w1.example', 6, post_quantum('w1'))}\nquorum W1\n", (("W1",), True))
accept("two keys of one witness", f"witness W1 {witness(W[0])}\nwitness W1q {vkey(W[0], 6, post_quantum('w1'))}\ngroup g all W1 W1q\nquorum g\n", (("W1",), False), (("W1", "W1q"), True))
accept("names in two cases are two names", f"{LINES[0]}\n{LINES[1].replace('W2', 'w1')}\nquorum w1\n", (("W1",), False), (("w1",), True))
accept("a name like a keyword", LINES[0].replace("W1", "quorum") + "\nquorum quorum\n", (("quorum",), True))
accept("a name like a number", LINES[0].replace("W1", "2") + "\ngroup all 1 2\nquorum all\n", (("2",), True))
accept(
    "32 of each",
    "".join(f"log {log(f'l{n}')}\n" for n in range(32))
    + "".join(f"witness v{n} {witness(f'v{n}')}\n" for n in range(32))
    + "".join(f"group g{n} any v{n}\n" for n in range(31))
    + "group top 31 " + " ".join(f"g{n}" for n in range(31)) + "\nquorum top\n",
    (tuple(f"v{n}" for n in range(30)), False),
    (tuple(f"v{n}" for n in range(31)), True),
)

refuse("nothing", "", "no_quorum", 0)
refuse("an empty line alone", "\n", "no_quorum", 0)
refuse("no quorum line", HEAD, "no_quorum", 0)
refuse("a quorum in a comment", HEAD + "# quorum W1\n", "no_quorum", 0)
refuse("no final newline", "quorum none", "final_newline", 0)
refuse("a second quorum", "quorum none\nquorum none\n", "second_quorum", 2)
refuse("a second quorum of the same name", HEAD + "quorum W1\nquorum W1\n", "second_quorum", 6)
refuse("a quorum without a name", "quorum\n", "words", 1)
refuse("a quorum of two names", HEAD + "quorum W1 W2\n", "words", 5)
refuse("a quorum nobody defines", HEAD + "quorum W4\n", "unknown_name", 5)
refuse("a quorum that is defined later", f"quorum W1\n{LINES[0]}\n", "unknown_name", 1)
refuse("a quorum that is a key's name", HEAD + f"quorum {W[0]}\n", "unknown_name", 5)
refuse("a quorum in capitals", HEAD + "quorum NONE\n", "unknown_name", 5)
refuse("a carriage return", "quorum none\r\n", "control", 1)
refuse("a zero octet", "quorum none\x00\n", "control", 1)
refuse("an escape in a comment", "# \x1b[0m\nquorum none\n", "control", 1)
refuse("a delete", "# \x7f\nquorum none\n", "control", 1)
refuse("a form feed between words", "quorum\x0cnone\n", "control", 1)
refuse("an unknown keyword", "mirror M\nquorum none\n", "keyword", 1)
refuse("a keyword in capitals", "Quorum none\n", "keyword", 1)
refuse("a byte order mark", b"\xef\xbb\xbfquorum none\n", "keyword", 1)
refuse("a comment behind a line", "quorum none # nobody\n", "words", 1)
refuse("a log without a key", "log\nquorum none\n", "words", 1)
refuse("a log with four words", f"{LOG} http://a http://b\nquorum none\n", "words", 1)
refuse("a log with a cosignature key", f"log {vkey('log.example/a', 4, public('a'))}\nquorum none\n", "key_type", 1)
refuse("a log with a key of another type", f"log {vkey('log.example/a', 2, public('a'))}\nquorum none\n", "key", 1)
refuse("a log key with another id", f"log {log().replace('+', '+0', 1)}\nquorum none\n", "key", 1)
refuse("a log key cut short", f"log {vkey('log.example/a', 1, public('a')[:31])}\nquorum none\n", "key", 1)
refuse("a log key without padding", f"log {vkey('log.example/a', 6, post_quantum('a')).rstrip('=')}x\nquorum none\n", "key", 1)
refuse("the same log twice", f"{LOG}\n{LOG}\nquorum none\n", "duplicate_key", 2)
refuse("the same log key under another name", f"{LOG}\nlog {log('log.example/b', of='log.example/a')}\nquorum none\n", "duplicate_key", 2)
refuse("a witness without a name", f"witness {witness(W[0])}\nquorum none\n", "words", 1)
refuse("a witness with five words", f"{LINES[0]} http://a http://b\nquorum none\n", "words", 1)
refuse("a witness with a text key", f"witness W1 {vkey(W[0], 1, public(W[0]))}\nquorum W1\n", "key_type", 1)
refuse("a witness key of small order", f"witness W1 {vkey(W[0], 4, bytes(32))}\nquorum W1\n", "key", 1)
refuse("the same witness twice", f"{LINES[0]}\n{LINES[0].replace('W1', 'W2')}\nquorum W1\n", "duplicate_key", 2)
refuse("the same witness key under another key name", f"{LINES[0]}\nwitness W2 {witness('other.example', of=W[0])}\nquorum W1\n", "duplicate_key", 2)
refuse("a witness that is the log", f"{LOG}\nwitness W1 {vkey(W[0], 4, public('log.example/a'))}\nquorum W1\n", "duplicate_key", 2)
refuse("a log that is a witness", f"{LINES[0]}\nlog {log('log.example/a', of=W[0])}\nquorum W1\n", "duplicate_key", 2)
refuse("a name twice", f"{LINES[0]}\n{LINES[1].replace('W2', 'W1')}\nquorum W1\n", "duplicate_name", 2)
refuse("a group called like a witness", HEAD + "group W1 any W2\nquorum W1\n", "duplicate_name", 5)
refuse("a witness called like a group", f"{LINES[0]}\ngroup g any W1\n{LINES[1].replace('W2', 'g')}\nquorum g\n", "duplicate_name", 3)
refuse("a witness called none", LINES[0].replace("W1", "none") + "\nquorum none\n", "reserved_name", 1)
refuse("a group called none", HEAD + "group none any W1\nquorum none\n", "reserved_name", 5)
refuse("none in a group", HEAD + "group g any W1 none\nquorum g\n", "reserved_name", 5)
refuse("a group without members", HEAD + "group g any\nquorum g\n", "words", 5)
refuse("a group without a threshold", HEAD + "group g W1 W2\nquorum g\n", "threshold", 5)
refuse("a threshold of zero", HEAD + "group g 0 W1 W2\nquorum g\n", "threshold", 5)
refuse("a threshold above the members", HEAD + "group g 3 W1 W2\nquorum g\n", "threshold", 5)
refuse("a threshold with a sign", HEAD + "group g +1 W1 W2\nquorum g\n", "threshold", 5)
refuse("a threshold with a leading zero", HEAD + "group g 01 W1 W2\nquorum g\n", "threshold", 5)
refuse("a threshold in hexadecimal", HEAD + "group g 0x1 W1 W2\nquorum g\n", "threshold", 5)
refuse("a threshold below zero", HEAD + "group g -1 W1 W2\nquorum g\n", "threshold", 5)
refuse("a threshold beyond 64 bits", HEAD + "group g 18446744073709551617 W1 W2\nquorum g\n", "threshold", 5)
refuse("a threshold in capitals", HEAD + "group g ANY W1 W2\nquorum g\n", "threshold", 5)
refuse("a member nobody defines", HEAD + "group g any W1 W4\nquorum g\n", "unknown_name", 5)
refuse("a member that is defined later", f"{LINES[0]}\ngroup g any W1 W2\n{LINES[1]}\nquorum g\n", "unknown_name", 2)
refuse("a group in itself", HEAD + "group g any g\nquorum g\n", "unknown_name", 5)
refuse("a member twice", HEAD + "group g 2 W1 W1\nquorum g\n", "member_twice", 5)
refuse("a member of two groups", HEAD + "group a any W1 W2\ngroup b any W2 W3\nquorum a\n", "member_twice", 6)
refuse("a group in two groups", HEAD + "group a any W1\ngroup b any a W2\ngroup c any a W3\nquorum c\n", "member_twice", 7)
refuse("a member in its group and in the group of that", HEAD + "group a any W1\ngroup b all a W1\nquorum b\n", "member_twice", 6)
refuse("names that differ in case", HEAD + "quorum w1\n", "unknown_name", 5)
refuse("a letter that looks alike", LINES[0].replace("W1", "K").encode() + "\nquorum \u212a\n".encode(), "unknown_name", 2)


def octets(policy):
    return policy if isinstance(policy, bytes) else policy.encode()


def vectors():
    number = 0
    for name, policy, met in accepted:
        number += 1
        yield {
            "number": number,
            "name": name,
            "policy": base64.b64encode(octets(policy)).decode(),
            "expect": "accept",
            "met": [{"cosigned": list(names), "is": verdict} for names, verdict in met],
        }
    for name, policy, reason, line in refused:
        number += 1
        yield {
            "number": number,
            "name": name,
            "policy": base64.b64encode(octets(policy)).decode(),
            "expect": "reject",
            "reason": reason,
            "line": line,
        }


def main():
    text = "".join(json.dumps(vector, separators=(",", ":")) + "\n" for vector in vectors())
    if "--check" in sys.argv[1:]:
        if FILE.read_text() != text:
            sys.exit(f"{FILE.name} is not what {pathlib.Path(__file__).name} writes; run it")
        return
    FILE.write_text(text)
    print(f"{len(accepted)} accepted, {len(refused)} refused")


main()
