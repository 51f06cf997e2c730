//! Agrees with every verdict of the Merkle proof vectors of transparency-dev.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_tlog::{
    LeafHash, Subtree, TreeHash, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};
use chancery_types::Digest;
use serde_json::Value;

/// One vector; a member that is not there is an answer of its own.
struct Vector(Value);

impl Vector {
    fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_else(|| panic!("{name}"))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        decode(&self.0[name])
    }

    /// A root. Some vectors hold a remark in the place of a root that only has to equal or differ
    /// from another; our roots are 32 bytes by their type, so a remark stands for its digest.
    fn root(&self, name: &str) -> TreeHash {
        let bytes = self.bytes(name);
        let hash = <[u8; 32]>::try_from(bytes.as_slice());
        TreeHash::from_bytes(hash.unwrap_or_else(|_| *Digest::of(&bytes).as_bytes()))
    }

    /// The leaf hash, if it can be one at all.
    fn leaf(&self) -> Option<LeafHash> {
        let bytes = self.bytes("leafHash").try_into();
        bytes.ok().map(LeafHash::from_bytes)
    }

    /// The hashes of the proof, if they all can be hashes.
    fn proof(&self) -> Option<Vec<TreeHash>> {
        let hashes = self.0["proof"].as_array().map_or(&[][..], Vec::as_slice);
        hashes
            .iter()
            .map(|hash| decode(hash).try_into().ok().map(TreeHash::from_bytes))
            .collect()
    }

    fn accepted(&self, kind: &str) -> Option<()> {
        let proof = self.proof()?;
        match kind {
            "inclusion" => verify_inclusion(
                self.number("leafIdx"),
                self.number("treeSize"),
                self.leaf()?,
                &proof,
                &self.root("root"),
            ),
            "consistency" => verify_consistency(
                self.number("size1"),
                self.number("size2"),
                &proof,
                &self.root("root1"),
                &self.root("root2"),
            ),
            "subtreeinclusion" => verify_subtree_inclusion(
                self.number("leafIdx"),
                Subtree::new(self.number("start"), self.number("end")).ok()?,
                self.leaf()?,
                &proof,
                &self.root("root"),
            ),
            "subtreeconsistency" => verify_subtree_consistency(
                Subtree::new(self.number("start"), self.number("end")).ok()?,
                self.number("size"),
                &proof,
                &self.root("root1"),
                &self.root("root2"),
            ),
            other => panic!("unknown kind of proof: {other}"),
        }
        .ok()
    }
}

fn decode(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap_or_default()).unwrap()
}

fn fixtures() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures");
    std::env::var_os("CHANCERY_FIXTURES").map_or_else(
        || default.into(),
        |path| Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path),
    )
}

fn json_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            json_files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "json") {
            found.push(path);
        }
    }
}

#[test]
fn every_merkle_vector_agrees() {
    let folder = fixtures().join("merkle");
    if !folder.is_dir() {
        println!("skipped: no Merkle vectors at {}", folder.display());
        return;
    }
    let mut wrong = Vec::new();
    let mut seen = 0;
    for kind in [
        "inclusion",
        "consistency",
        "subtreeinclusion",
        "subtreeconsistency",
    ] {
        if !folder.join(kind).is_dir() {
            println!("skipped: no {kind} vectors in {}", folder.display());
            continue;
        }
        let mut files = Vec::new();
        json_files(&folder.join(kind), &mut files);
        for file in files {
            let text = std::fs::read(&file).unwrap();
            let vector = Vector(serde_json::from_slice(&text).unwrap());
            let accepted = vector.accepted(kind).is_some();
            if accepted == vector.0["wantErr"].as_bool().unwrap_or(false) {
                wrong.push(file);
            }
            seen += 1;
        }
    }
    println!("{seen} vectors");
    assert!(wrong.is_empty(), "{} disagree: {wrong:#?}", wrong.len());
    assert!(seen > 0, "no vector in {}", folder.display());
}
