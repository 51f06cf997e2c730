//! `vectors/log_tile_paths.jsonl` and `vectors/log_cosignatures.jsonl`: each vector has the verdict
//! that it states.

use chancery_crypto::AwsLc;
use chancery_tlog::{
    Checkpoint, CosignatureError, CosignerError, NoteSignature, TileKind, TilePath, VerifierKey,
    tiles_for, verify_cosignature,
};
use chancery_types::Digest;
use serde_json::Value;

const PATHS: &str = include_str!("../../../../vectors/log_tile_paths.jsonl");
const COSIGNATURES: &str = include_str!("../../../../vectors/log_cosignatures.jsonl");

fn read(vectors: &str) -> Vec<Value> {
    let lines = vectors.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn stated(vector: &Value) -> TilePath {
    let number = |name: &str| vector[name].as_u64().unwrap();
    let kind = match u8::try_from(vector["level"].as_i64().unwrap()) {
        Ok(level) => TileKind::Hashes(level),
        Err(_) => TileKind::Entries,
    };
    let width = u16::try_from(number("width")).unwrap();
    TilePath::new(kind, number("index"), width).unwrap()
}

#[test]
fn s1_paths_have_the_verdicts_that_they_state() {
    let vectors = read(PATHS);
    let mut refused = 0;
    for vector in &vectors {
        let Some(text) = vector["path"].as_str() else {
            let mut files: Vec<String> = tiles_for(vector["size"].as_u64().unwrap())
                .map(|path| path.to_string())
                .collect();
            let last = files.last().map(String::as_str);
            assert_eq!(vector["last"][0].as_str(), last);
            assert_eq!(vector["files"], files.len());
            files.sort();
            let lines: String = files.iter().map(|path| format!("{path}\n")).collect();
            assert_eq!(vector["digest"], Digest::of(lines).to_hex(), "{vector}");
            continue;
        };
        match vector["expect"].as_str() {
            Some("accept") => {
                assert_eq!(text.parse(), Ok(stated(vector)), "{text}");
                assert_eq!(stated(vector).to_string(), text);
            }
            _ => {
                refused += 1;
                assert!(text.parse::<TilePath>().is_err(), "{text:?}");
            }
        }
    }
    println!("{} vectors", vectors.len());
    assert!(refused >= 50 && vectors.len() - refused > 20);
}

fn judge(vector: &Value) -> Result<u64, &'static str> {
    let key: VerifierKey = vector["vkey"].as_str().unwrap().parse().unwrap();
    let line: NoteSignature = vector["line"].as_str().unwrap().parse().unwrap();
    let checkpoint: Checkpoint = vector["text"].as_str().unwrap().parse().unwrap();
    if !key.is_named_by(&line) {
        return Err("unknown");
    }
    verify_cosignature(&key, &checkpoint, &line, &AwsLc).map_err(|error| match error {
        CosignerError::Malformed(CosignatureError::Length) => "length",
        CosignerError::Malformed(CosignatureError::Timestamp) => "timestamp",
        CosignerError::Wrong => "wrong",
        _ => "another",
    })
}

#[test]
fn v2_cosignatures_have_the_verdicts_that_they_state() {
    let vectors = read(COSIGNATURES);
    let mut refused = 0;
    for vector in &vectors {
        let stated = match vector["reason"].as_str() {
            Some(reason) => Err(reason),
            None => Ok(vector["timestamp"].as_u64().unwrap()),
        };
        refused += usize::from(stated.is_err());
        assert_eq!(judge(vector), stated, "{}", vector["name"]);
    }
    println!("{} vectors", vectors.len());
    assert!(refused > 30 && vectors.len() - refused > 5);
}
