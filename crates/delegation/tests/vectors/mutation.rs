use std::collections::BTreeMap;

use chancery_crypto::SigningKey;
use chancery_types::{Algorithm, Digest, Secret, base64url};
use serde_json::{Map, Value, json};

/// Numbers that look random and are the same in every run (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// The keys of the vectors whose seeds this can repeat, by their `kid`.
pub(crate) struct Keys(BTreeMap<String, SigningKey>);

impl Keys {
    pub(crate) fn new() -> Self {
        let names = (0..9).map(|number| format!("holder-{number}"));
        let names = names.chain(["authority".to_owned(), "mallory".to_owned()]);
        let keys = names.map(|name| seeded(&name));
        Self(keys.map(|key| (key.public().kid(), key)).collect())
    }
}

/// The Ed25519 key of the vectors that has this name.
pub(crate) fn seeded(name: &str) -> SigningKey {
    let seed = Digest::of(format!("chancery-vector-seed:{name}"));
    // PKCS#8 of an Ed25519 key (RFC 8410) up to its 32 bytes.
    let mut der = vec![
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    der.extend(seed.as_bytes());
    SigningKey::from_pkcs8(Algorithm::Ed25519, Secret::new(der)).unwrap()
}

/// A chain with one thing changed, at random. Most changes are signed again by whoever the header
/// names, so that what stands behind the signatures is judged as well.
pub(crate) fn mutate(dice: &mut Dice, keys: &Keys, chains: &[Vec<String>]) -> Vec<String> {
    let mut chain = dice.pick(chains).clone();
    let at = dice.below(chain.len());
    match dice.below(12) {
        0 => flip(dice, &mut chain[at]),
        1 => reorder(dice, &mut chain, at),
        2 => {
            let other = dice.pick(chains);
            chain[at] = dice.pick(other).clone();
        }
        3 => chain[at] = with_header(dice, keys, &chain[at]),
        4..=5 => chain[at] = with_text(dice, keys, &chain[at]),
        6..=8 => {
            let other = dice.pick(chains);
            let other = dice.pick(other);
            chain[at] = crossed(dice, keys, &chain[at], other);
            relink(dice, keys, &mut chain, at);
        }
        _ => {
            let again = with_claim(dice, keys, &chain[at]);
            chain[at] = again;
            relink(dice, keys, &mut chain, at);
        }
    }
    chain
}

/// Changes a character of a token.
fn flip(dice: &mut Dice, token: &mut String) {
    const CHARACTERS: &[u8] = b"ABgz09-_=.+/ \n,\x7f";
    let mut bytes = std::mem::take(token).into_bytes();
    if !bytes.is_empty() {
        let place = dice.below(bytes.len());
        match dice.below(3) {
            0 => bytes[place] = *dice.pick(CHARACTERS),
            1 => drop(bytes.remove(place)),
            _ => bytes.insert(place, *dice.pick(CHARACTERS)),
        }
    }
    *token = String::from_utf8(bytes).unwrap_or_default();
}

/// Drops, doubles, exchanges or reverses links.
fn reorder(dice: &mut Dice, chain: &mut Vec<String>, at: usize) {
    match dice.below(5) {
        0 => drop(chain.remove(at)),
        1 => chain.insert(at, chain[at].clone()),
        2 => {
            let other = dice.below(chain.len());
            chain.swap(at, other);
        }
        3 => chain.reverse(),
        _ => chain.truncate(at),
    }
}

struct Parts {
    header: Map<String, Value>,
    payload: Vec<u8>,
    claims: Map<String, Value>,
}

fn parts(token: &str) -> Option<Parts> {
    let (input, _) = token.rsplit_once('.')?;
    let (header, payload) = input.split_once('.')?;
    let header = base64url::decode(header).ok()?;
    let payload = base64url::decode(payload).ok()?;
    Some(Parts {
        header: serde_json::from_slice(&header).ok()?,
        claims: serde_json::from_slice(&payload).ok()?,
        payload,
    })
}

/// A token of that header and payload, signed by whom the header names where that is known.
fn signed(keys: &Keys, header: &Map<String, Value>, payload: &[u8]) -> String {
    let header_text = Value::Object(header.clone()).to_string();
    let input = format!(
        "{}.{}",
        base64url::encode(header_text),
        base64url::encode(payload)
    );
    let kid = header.get("kid").and_then(Value::as_str);
    let key = kid.and_then(|kid| keys.0.get(kid));
    let signature = key.map_or_else(|| vec![0; 64], |key| key.sign(input.as_bytes()).unwrap());
    format!("{input}.{}", base64url::encode(signature))
}

fn with_header(dice: &mut Dice, keys: &Keys, token: &str) -> String {
    let Some(mut parts) = parts(token) else {
        return String::new();
    };
    let kid = keys.0.keys().nth(dice.below(keys.0.len())).unwrap().clone();
    let changes = [
        ("alg", json!("ES256")),
        ("alg", json!("none")),
        ("alg", json!(1)),
        ("typ", json!("adt-pop+jwt")),
        ("typ", json!("JWT")),
        ("kid", json!(kid)),
        ("kid", json!("")),
        ("kid", json!(null)),
        ("jwk", json!({})),
        ("crit", json!([])),
    ];
    let (name, value) = dice.pick(&changes).clone();
    if dice.below(4) == 0 {
        parts.header.remove(name);
    } else {
        parts.header.insert(name.to_owned(), value);
    }
    signed(keys, &parts.header, &parts.payload)
}

/// Changes a byte of the payload, or a piece of its text, and signs it again.
fn with_text(dice: &mut Dice, keys: &Keys, token: &str) -> String {
    const PIECES: &[(&str, &str)] = &[
        ("18", "1.8"),
        ("\":1", "\":01"),
        ("\":1", "\":1e1"),
        ("\":1", "\":-1"),
        ("\":0", "\":-0"),
        ("\":7", "\":7.0"),
        ("\"", "'"),
        ("a", "\\u0061"),
        ("e", "\\ud800"),
        ("s", "\u{e9}"),
        ("{", "{\"a\":1,\"a\":1,"),
        (":", ": "),
        (",", ",,"),
        ("}", ",}"),
        ("/src", "/src/../etc"),
        ("/src", "/src/%2e"),
        ("\":[", "\":[null,"),
        ("[", "[["),
        ("\"exp\"", "\"exp\":1,\"exp\""),
        ("\"jti\"", "\"JTI\""),
    ];
    const BYTES: &[u8] = b"\"\\{}[],:019.-eE ntu\x00\x1f\x7f\xff";
    let Some(parts) = parts(token) else {
        return String::new();
    };
    let mut payload = parts.payload;
    if dice.below(2) == 0 {
        let place = dice.below(payload.len());
        match dice.below(3) {
            0 => payload[place] = *dice.pick(BYTES),
            1 => drop(payload.remove(place)),
            _ => payload.insert(place, *dice.pick(BYTES)),
        }
    } else if let Ok(text) = String::from_utf8(payload.clone()) {
        let (from, to) = dice.pick(PIECES);
        let found: Vec<_> = text.match_indices(from).map(|(place, _)| place).collect();
        if !found.is_empty() {
            let (before, behind) = text.split_at(*dice.pick(&found));
            payload = format!("{before}{}", behind.replacen(from, to, 1)).into_bytes();
        }
    }
    signed(keys, &parts.header, &payload)
}

/// Changes, removes or adds a member anywhere in the claims, and signs them again.
fn with_claim(dice: &mut Dice, keys: &Keys, token: &str) -> String {
    let Some(parts) = parts(token) else {
        return String::new();
    };
    let mut claims = Value::Object(parts.claims);
    for _ in 0..=dice.below(2) {
        let pointers = pointers(&claims);
        let pointer = dice.pick(&pointers).clone();
        change(dice, keys, &mut claims, &pointer);
    }
    signed(keys, &parts.header, claims.to_string().as_bytes())
}

/// Takes one claim from another token, and signs the claims again.
fn crossed(dice: &mut Dice, keys: &Keys, token: &str, other: &str) -> String {
    let (Some(mut own), Some(other)) = (parts(token), parts(other)) else {
        return String::new();
    };
    let names: Vec<_> = other.claims.keys().cloned().collect();
    let name = dice.pick(&names);
    own.claims.insert(name.clone(), other.claims[name].clone());
    let payload = Value::Object(own.claims).to_string();
    signed(keys, &own.header, payload.as_bytes())
}

fn change(dice: &mut Dice, keys: &Keys, claims: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/").replace("~0", "~");
    match (dice.below(5), claims.pointer_mut(parent)) {
        (0, Some(Value::Object(members))) => drop(members.remove(&name)),
        (0, Some(Value::Array(items))) => drop(items.pop()),
        (1, Some(Value::Object(members))) => {
            let names = [
                "sid", "act", "par_hash", "aud", "forbid", "y", "limits", "args",
            ];
            let value = value(dice, keys);
            members.insert((*dice.pick(&names)).to_owned(), value);
        }
        (1, Some(Value::Array(items))) => {
            let value = items.first().cloned().unwrap_or(Value::Null);
            items.push(value);
        }
        _ => {
            let Some(member) = claims.pointer_mut(pointer) else {
                return;
            };
            *member = match member.as_i64() {
                Some(number) if dice.below(2) == 0 => {
                    json!(number.wrapping_add([-1, 1, 60, -60, 3_600, 100_000][dice.below(6)]))
                }
                _ => value(dice, keys),
            };
        }
    }
}

fn value(dice: &mut Dice, keys: &Keys) -> Value {
    let key = keys.0.values().nth(dice.below(keys.0.len())).unwrap();
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(9_007_199_254_740_991_u64),
        json!(18_446_744_073_710_u64),
        json!(1.5),
        json!(""),
        json!("*"),
        json!("a b"),
        json!("spiffe://acme.example/agent/worker/instance/0"),
        json!("spiffe://acme.example/gateway/other"),
        json!(["spiffe://acme.example/gateway/home"]),
        json!([]),
        json!({}),
        json!(key.public()),
        json!({"type": "mcp_tool", "server": "fs", "tool": "read_file"}),
        json!([{"type": "mcp_tool", "server": "fs", "tool": "read_file"}]),
        json!([{"type": "mcp_resource", "server": "fs", "uri": "u", "args": {}}]),
        json!({"path_prefix": "/src"}),
        json!({"exact": "/src/a"}),
        json!({"one_of": ["/src/a", 1]}),
        json!({"int_range": [0, 9]}),
        json!({"cidr": "10.0.0.0/8"}),
        json!({"max_calls": 1}),
        json!("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        json!("8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PA"),
    ];
    dice.pick(&values).clone()
}

fn pointers(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |name: String, member: &Value| {
        found.extend(pointers(member).iter().map(|rest| format!("/{name}{rest}")));
        found.push(format!("/{name}"));
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            add(name.replace('~', "~0").replace('/', "~1"), member);
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, member)| add(index.to_string(), member)),
        _ => {}
    }
    found
}

/// Lets the links below continue what was changed, half of the time, so that they are judged too.
fn relink(dice: &mut Dice, keys: &Keys, chain: &mut [String], changed: usize) {
    if dice.below(2) == 0 {
        return;
    }
    for at in changed.saturating_add(1)..chain.len() {
        let parent = chain[at - 1]
            .rsplit_once('.')
            .map(|(input, _)| Digest::of(input));
        if let (Some(parent), Some(mut parts)) = (parent, parts(&chain[at])) {
            parts
                .claims
                .insert("par_hash".to_owned(), parent.to_base64url().into());
            let payload = Value::Object(parts.claims).to_string();
            chain[at] = signed(keys, &parts.header, payload.as_bytes());
        }
    }
}
