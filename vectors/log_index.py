"""Writes log_index.jsonl: what a reader of the completeness index of a log must say, one vector a
line.

Shares nothing with a reader. `--check` proves that the file is what this writes.
"""

import base64
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
FILE = HERE / "log_index.jsonl"
ZERO = bytes(32)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def b64(data):
    return base64.b64encode(data).decode()


def u64(number):
    return number.to_bytes(8, "big")


def key(name):
    return sha(b"\x05", name.encode())


def chain(leaves):
    """Entries, last and head of the entries (index, leaf hash) of one instance."""
    head = ZERO
    for index, leaf in leaves:
        head = sha(b"\x04", head, u64(index), leaf)
    return len(leaves), leaves[-1][0], head


def leaf_hash(at, held):
    entries, last, head = held
    return sha(b"\x02", at, u64(entries), u64(last), head)


def bit(at, depth):
    return at[depth // 8] >> (7 - depth % 8) & 1


def root(held, depth=0):
    """The root over a dictionary from keys to chains."""
    if not held:
        return sha()
    if len(held) == 1:
        return leaf_hash(*next(iter(held.items())))
    halves = [{k: v for k, v in held.items() if bit(k, depth) == side} for side in (0, 1)]
    return sha(b"\x03", root(halves[0], depth + 1), root(halves[1], depth + 1))


def prove(held, at):
    """What stands at the end of the way of a key, and the hashes beside it, the deepest first."""
    siblings, depth = [], 0
    while len(held) > 1:
        side = bit(at, depth)
        beside = {k: v for k, v in held.items() if bit(k, depth) != side}
        siblings.insert(0, root(beside, depth + 1))
        held = {k: v for k, v in held.items() if bit(k, depth) == side}
        depth += 1
    return next(iter(held.items()), None), siblings


def name(number):
    return f"spiffe://td.example/agent/a/instance/{number}"


def log(count, size=None):
    """The entries of a log of so many instances, in turns: what each of them has."""
    size = count * 3 if size is None else size
    held = {}
    for index in range(size):
        who = name(index * index % count)
        held.setdefault(who, []).append((index, sha(b"\x00", f"entry {index}".encode())))
    return held


def index(entries):
    return {key(who): chain(leaves) for who, leaves in entries.items()}


vectors = []


def add(kind, title, **members):
    vectors.append({"kind": kind, "name": title, **members})


def shown(end):
    if end is None:
        return None
    at, (entries, last, head) = end
    return {"key": b64(at), "entries": entries, "last": last, "head": b64(head)}


def add_root(title, entries):
    held = index(entries)
    add(
        "root",
        title,
        instances=[
            {"name": who, "entries": [[place, b64(leaf)] for place, leaf in leaves]}
            for who, leaves in entries.items()
        ],
        count=len(held),
        root=b64(root(held)),
    )


def add_path(title, who, top, end, siblings, expect, reason=None):
    verdict = {"expect": expect} | ({"reason": reason} if reason else {})
    add(
        "path",
        title,
        instance=who,
        root=b64(top),
        end=shown(end),
        siblings=[b64(sibling) for sibling in siblings],
        **verdict,
    )


# Roots.
add_root("no instance", {})
for count in (1, 2, 3, 5, 16, 40):
    add_root(f"{count} instances", log(count))
add_root("the same entries in another order of instances", dict(reversed(log(5).items())))
add_root("one entry more", log(5, 16))
add_root("one entry fewer", log(5, 14))
add_root("a name that is not ASCII", {"spiffe://td.example/é": [(0, sha(b"\x00x"))]})
add_root("places above 2^32", {name(0): [(2**32, sha(b"\x00a")), (2**53 - 1, sha(b"\x00b"))]})

# Paths.
entries = log(40)
held = index(entries)
top = root(held)
here = sorted(entries, key=lambda who: len(prove(held, key(who))[1]))
shallow, deep = here[0], here[-1]
gone = [name(number) for number in range(40, 120)]
empty_end = next(who for who in gone if prove(held, key(who))[0] is None)
other_end = next(who for who in gone if prove(held, key(who))[0] is not None)

for who in (shallow, deep):
    add_path(f"present: {who[-2:]}", who, top, *prove(held, key(who)), "present")
add_path("absent: nothing stands there", empty_end, top, *prove(held, key(empty_end)), "absent")
add_path("absent: another one stands there", other_end, top, *prove(held, key(other_end)), "absent")
add_path("absent from the empty index", deep, root({}), None, [], "absent")
one = {key(deep): held[key(deep)]}
add_path("present and alone", deep, root(one), *prove(one, key(deep)), "present")
add_path("absent beside the only one", shallow, root(one), *prove(one, key(shallow)), "absent")


def refuse(title, who, reason="root_mismatch", top=top, end=..., siblings=...):
    true_end, true_siblings = prove(held, key(who))
    end = true_end if end is ... else end
    siblings = true_siblings if siblings is ... else siblings
    add_path(title, who, top, end, siblings, "reject", reason)


own_end, own = prove(held, key(deep))
entries_of, last_of, head_of = own_end[1]
refuse("the count is one lower", deep, end=(key(deep), (entries_of - 1, last_of, head_of)))
refuse("the count is one higher", deep, end=(key(deep), (entries_of + 1, last_of, head_of)))
refuse("another last entry", deep, end=(key(deep), (entries_of, last_of + 1, head_of)))
refuse("another instance's head", deep, end=(key(deep), held[key(shallow)]))
refuse("the chain without its last entry", deep, end=(key(deep), chain(entries[deep][:-1])))
refuse("the chain without its first entry", deep, end=(key(deep), chain(entries[deep][1:])))
refuse("the chain in another order", deep, end=(key(deep), chain(entries[deep][::-1])))
refuse("present said to be absent", deep, end=None)
refuse("absent said to be present", empty_end, end=(key(empty_end), held[key(deep)]))
refuse("absent with an end that is another's way", empty_end, "elsewhere", end=own_end)
refuse("present with another leaf as the end", deep, "elsewhere", end=(key(shallow), held[key(shallow)]))
refuse("another root", deep, top=root(index(log(40, 119))))
refuse("the root of one entry more", deep, top=root(index(log(40, 121))))
refuse("the root of the log tree", deep, top=sha(b"\x01", own[0], own[1]))
refuse("no hashes", deep, siblings=[])
refuse("the deepest hash is missing", deep, siblings=own[1:])
refuse("the highest hash is missing", deep, siblings=own[:-1])
refuse("a hash more at the deep end", deep, siblings=[sha(), *own])
refuse("a hash more at the high end", deep, siblings=[*own, sha()])
refuse("two hashes changed places", deep, siblings=[own[1], own[0], *own[2:]])
refuse("the hashes in the order from the root", deep, siblings=own[::-1])
refuse("more hashes than bits", deep, "too_deep", siblings=[sha()] * 257)
refuse("as many hashes as bits", deep, siblings=[sha()] * 256)
skipped = {at: chain for at, chain in held.items() if at != key(deep)}
refuse("an index that leaves the instance out", deep, top=root(skipped))
add_path(
    "absent from an index that leaves the instance out: the root says so",
    deep,
    root(skipped),
    *prove(skipped, key(deep)),
    "absent",
)
# Hashes without their prefixes, with those of the log's tree, with the key left out.
for title, leaf in (
    ("a leaf hashed as the log's tree does", lambda at, h: sha(b"\x00", at, u64(h[0]), u64(h[1]), h[2])),
    ("a leaf without a prefix", lambda at, h: sha(at, u64(h[0]), u64(h[1]), h[2])),
    ("a leaf without its key", lambda at, h: sha(b"\x02", u64(h[0]), u64(h[1]), h[2])),
    ("a leaf with little-endian numbers", lambda at, h: sha(
        b"\x02", at, h[0].to_bytes(8, "little"), h[1].to_bytes(8, "little"), h[2])),
):
    refuse(title, deep, top=leaf(key(deep), held[key(deep)]), siblings=[])
across = next(who for who in here if bit(key(who), 0) != bit(key(deep), 0))
beside = (key(across), held[key(across)])
left, right = sorted([own_end, beside], key=lambda leaf: bit(leaf[0], 0))
straight = [leaf_hash(*left), leaf_hash(*right)]
for title, made in (
    ("a node hashed as the log's tree does", sha(b"\x01", *straight)),
    ("a node without a prefix", sha(*straight)),
    ("a node with its sides exchanged", sha(b"\x03", *straight[::-1])),
):
    refuse(title, deep, top=made, end=own_end, siblings=[leaf_hash(*beside)])


def file(title, text, expect, reason=None):
    verdict = {"expect": expect} | ({"reason": reason} if reason else {})
    add("file", title, file=b64(text if isinstance(text, bytes) else text.encode()), **verdict)


def text(who, end, siblings, entry=b"{}"):
    if end is None:
        line = "absent"
    else:
        at, (entries, last, head) = end
        place = "present" if at == key(who) else f"other {b64(at)}"
        line = f"{place} {entries} {last} {b64(head)}"
    lines = ["chancery-index-proof/1", f"instance {who}", f"entry {b64(entry)}", line]
    lines += [b64(sibling) for sibling in siblings]
    return "\n".join(lines) + "\n\n" + INCLUSION


INCLUSION = f"c2sp.org/tlog-proof@v1\nindex 120\n{b64(sha(b'1'))}\n\ntd.example/log\n121\nnote\n"
GOOD = text(deep, own_end, own)
LINES = GOOD.split("\n")


def with_line(at, line):
    return "\n".join([*LINES[:at], line, *LINES[at + 1 :]])


file("present", GOOD, "accept")
file("absent, nothing there", text(empty_end, *prove(held, key(empty_end))), "accept")
file("absent, another one there", text(other_end, *prove(held, key(other_end))), "accept")
file("of the empty index", text(deep, None, []), "accept")
file("a name with spaces", text("a b", None, []), "accept")
file("a longest name", text("x" * 2048, None, []), "accept")
file("a longest path", text(deep, None, [sha()] * 256), "accept")
file("nothing", "", "reject", "no_inclusion")
file("another version", with_line(0, "chancery-index-proof/2"), "reject", "header")
file("a space before", " " + GOOD, "reject", "header")
file("CRLF", GOOD.replace("\n", "\r\n"), "reject", "no_inclusion")
file("CR behind the header", with_line(0, LINES[0] + "\r"), "reject", "header")
file("no instance line", with_line(1, "name x"), "reject", "instance")
file("an empty name", with_line(1, "instance "), "reject", "instance")
file("a name that is too long", with_line(1, "instance " + "x" * 2049), "reject", "instance")
file("a control character in the name", text("a\tb", None, []), "reject", "instance")
file("no entry line", with_line(2, "entry"), "reject", "entry")
file("an empty entry", with_line(2, "entry "), "reject", "entry")
file("an entry without padding", with_line(2, "entry e30"), "reject", "entry")
file("an entry in the other alphabet", text(deep, None, [], b"\xff\xef\xff").replace("/+//", "_-__"), "reject", "entry")
file("no end", with_line(3, LINES[4]), "reject", "end")
file("an end of another word", with_line(3, LINES[3].replace("present", "here")), "reject", "end")
file("an end with a number less", with_line(3, LINES[3].replace(" ", "", 1)), "reject", "end")
file("an end with a word more", with_line(3, LINES[3] + " 1"), "reject", "end")
file("absent with more", with_line(3, "absent 1"), "reject", "end")
head = b64(head_of)
file("a leading zero", with_line(3, f"present 01 {last_of} {head}"), "reject", "end")
file("a sign", with_line(3, f"present +1 {last_of} {head}"), "reject", "end")
file("no entries", with_line(3, f"present 0 {last_of} {head}"), "reject", "end")
file("more entries than places", with_line(3, f"present {last_of + 2} {last_of} {head}"), "reject", "end")
file("a count beyond 64 bits", with_line(3, f"present 1 {2**64} {head}"), "reject", "end")
file("a head that is no hash", with_line(3, f"present 1 1 {head[:-4]}"), "reject", "end")
file("the instance itself as another", with_line(3, f"other {b64(key(deep))} 1 1 {head}"), "reject", "end")
file("another without its key", with_line(3, f"other 1 1 {head}"), "reject", "end")
file("a hash that is cut off", with_line(4, LINES[4][:-4]), "reject", "hash")
file("a hash with bits behind it", with_line(4, LINES[4][:-2] + "F="), "reject", "hash")
file("a space behind a hash", with_line(4, LINES[4] + " "), "reject", "hash")
file("too many hashes", text(deep, None, [sha()] * 257), "reject", "too_many_hashes")
file("no inclusion proof", GOOD.split("\n\n")[0] + "\n", "reject", "no_inclusion")
file("an empty inclusion proof", GOOD.split("\n\n")[0] + "\n\n", "reject", "inclusion")
file("an inclusion proof without a checkpoint", GOOD.rsplit("\n\n", 1)[0] + "\n", "reject", "inclusion")
file("an inclusion proof of another version", GOOD.replace("@v1", "@v2"), "reject", "inclusion")
file("a place with a leading zero", GOOD.replace("index 120", "index 0120"), "reject", "inclusion")
file("not text", GOOD.encode() + b"\xff", "reject", "not_text")


def main():
    made = "".join(
        json.dumps({"number": number, **vector}, ensure_ascii=False, separators=(",", ":")) + "\n"
        for number, vector in enumerate(vectors, 1)
    )
    if sys.argv[1:] == ["--check"]:
        if FILE.read_text() != made:
            sys.exit(f"{FILE.name}: not what log_index.py writes")
    else:
        FILE.write_text(made)
    print(f"{len(vectors)} vectors")


if __name__ == "__main__":
    main()
