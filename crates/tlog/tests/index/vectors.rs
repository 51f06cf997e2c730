//! `vectors/log_index.jsonl`: each vector has the verdict that it states.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_tlog::{
    IndexKey, IndexMap, IndexPath, IndexPathError, IndexProof, IndexProofError, IndexedChain,
    LeafHash, TreeHash,
};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../vectors/log_index.jsonl");

fn hash(value: &Value) -> TreeHash {
    value.as_str().unwrap().parse().unwrap()
}

fn texts(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

/// The root and the number of instances, put in one by one.
fn root(vector: &Value) -> (String, u64) {
    let mut map = IndexMap::new();
    for instance in texts(&vector["instances"]) {
        let key = IndexKey::of(instance["name"].as_str().unwrap());
        for entry in texts(&instance["entries"]) {
            let leaf = LeafHash::from_bytes(*hash(&entry[1]).as_bytes());
            let index = entry[0].as_u64().unwrap();
            let chain = IndexedChain::followed_by(map.get(&key), index, &leaf);
            map.set(key, chain);
        }
    }
    (map.root().to_string(), map.instances())
}

/// The key of a leaf is that of a name; keys of others are written by a file that names them.
fn end(vector: &Value) -> Option<(IndexKey, IndexedChain)> {
    let end = vector["end"].as_object()?;
    let chain = IndexedChain::new(
        end["entries"].as_u64().unwrap(),
        end["last"].as_u64().unwrap(),
        hash(&end["head"]),
    );
    Some((named(&hash(&end["key"])), chain.unwrap()))
}

fn named(key: &TreeHash) -> IndexKey {
    let numbers = 0..200;
    let mut keys = numbers
        .map(|number| IndexKey::of(&format!("spiffe://td.example/agent/a/instance/{number}")));
    keys.find(|known| known.as_bytes() == key.as_bytes())
        .unwrap()
}

fn path(vector: &Value) -> &'static str {
    let path = IndexPath {
        end: end(vector),
        siblings: texts(&vector["siblings"]).map(hash).collect(),
    };
    let key = IndexKey::of(vector["instance"].as_str().unwrap());
    match path.verify(&key, &hash(&vector["root"])) {
        Ok(Some(_)) => "present",
        Ok(None) => "absent",
        Err(IndexPathError::TooDeep) => "too_deep",
        Err(IndexPathError::Elsewhere) => "elsewhere",
        Err(IndexPathError::RootMismatch) => "root_mismatch",
    }
}

fn file(vector: &Value) -> &'static str {
    let bytes = STANDARD.decode(vector["file"].as_str().unwrap()).unwrap();
    match IndexProof::parse(&bytes) {
        Ok(proof) => {
            assert_eq!(proof.to_string().as_bytes(), bytes);
            "accept"
        }
        Err(IndexProofError::TooLong) => "too_long",
        Err(IndexProofError::NotText) => "not_text",
        Err(IndexProofError::Header) => "header",
        Err(IndexProofError::Instance) => "instance",
        Err(IndexProofError::Entry) => "entry",
        Err(IndexProofError::End) => "end",
        Err(IndexProofError::Hash) => "hash",
        Err(IndexProofError::TooManyHashes) => "too_many_hashes",
        Err(IndexProofError::NoInclusion) => "no_inclusion",
        Err(IndexProofError::Inclusion(_)) => "inclusion",
        Err(_) => "another",
    }
}

#[test]
fn vectors_have_the_verdicts_that_they_state() {
    let vectors: Vec<Value> = VECTORS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for vector in &vectors {
        let stated = match vector["expect"].as_str() {
            Some("reject") => vector["reason"].as_str().unwrap(),
            Some(expect) => expect,
            None => "",
        };
        let found = match vector["kind"].as_str().unwrap() {
            "root" => {
                let stated = (vector["root"].as_str(), vector["count"].as_u64());
                let (root, count) = root(vector);
                let same = stated == (Some(&root), Some(count));
                if same { "" } else { "another root" }
            }
            "path" => path(vector),
            _ => file(vector),
        };
        refused += usize::from(vector["expect"] == "reject");
        if found != stated {
            wrong.push(format!(
                "{} {}: {found}, not {stated}",
                vector["number"], vector["name"]
            ));
        }
    }
    println!("{} vectors", vectors.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(refused > 60 && vectors.len() - refused > 20);
}
