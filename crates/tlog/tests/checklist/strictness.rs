//! V1 and V11: one spelling for everything, and a bound on its length.

use chancery_tlog::{
    AddCheckpoint, AddCheckpointError, CosignatureLines, CosignatureLinesError,
    MAX_ADD_CHECKPOINT_BYTES, MAX_NOTE_BYTES, Note, NoteError, NoteSignature, RecordedSize,
    TreeHash, prove_consistency,
};

use crate::world::{Log, ORIGIN, note, tree};

fn request() -> AddCheckpoint {
    let log = Log::new(ORIGIN);
    let proof = prove_consistency(&tree(20), 7, 20).unwrap();
    AddCheckpoint::new(7, proof, log.sign(&tree(20))).unwrap()
}

#[test]
fn v1_requests_round_trip() {
    let request = request();
    let text = request.to_string();
    let again = AddCheckpoint::parse(text.as_bytes()).unwrap();
    assert_eq!(again, request);
    assert_eq!(again.to_string(), text);
    assert_eq!(
        (again.old_size(), again.checkpoint().signatures().len()),
        (7, 2)
    );
}

#[test]
fn v1_requests_have_one_spelling() {
    let text = request().to_string();
    let hash = TreeHash::empty().to_string();
    let first = text.lines().nth(1).unwrap().to_owned();
    for (bad, error) in [
        (String::new(), AddCheckpointError::NoCheckpoint),
        ("old 7\n".into(), AddCheckpointError::NoCheckpoint),
        (text.replacen("old 7\n", "", 1), AddCheckpointError::OldSize),
        (
            text.replacen("old 7", "old 07", 1),
            AddCheckpointError::OldSize,
        ),
        (
            text.replacen("old 7", "old +7", 1),
            AddCheckpointError::OldSize,
        ),
        (
            text.replacen("old 7", "old -7", 1),
            AddCheckpointError::OldSize,
        ),
        (
            text.replacen("old 7", "old  7", 1),
            AddCheckpointError::OldSize,
        ),
        (
            text.replacen("old 7", "old 7 ", 1),
            AddCheckpointError::OldSize,
        ),
        (
            text.replacen("old 7", "old\t7", 1),
            AddCheckpointError::OldSize,
        ),
        (
            text.replacen("old 7", "OLD 7", 1),
            AddCheckpointError::OldSize,
        ),
        (
            text.replacen("old 7", "old ", 1),
            AddCheckpointError::OldSize,
        ),
        (
            text.replacen("old 7", "old 18446744073709551616", 1),
            AddCheckpointError::OldSize,
        ),
        (
            text.replacen("old 7\n", "old 7\r\n", 1),
            AddCheckpointError::OldSize,
        ),
        (format!("\n{text}"), AddCheckpointError::OldSize),
        (
            text.replacen(&first, first.trim_end_matches('='), 1),
            AddCheckpointError::Hash,
        ),
        (
            text.replacen(&first, &format!("{first}\r"), 1),
            AddCheckpointError::Hash,
        ),
        (
            text.replacen(&first, &format!(" {first}"), 1),
            AddCheckpointError::Hash,
        ),
        (text.replacen(&first, "AAAA", 1), AddCheckpointError::Hash),
        (
            text.replacen(
                "old 7\n",
                &format!("old 7\n{}", format!("{hash}\n").repeat(63)),
                1,
            ),
            AddCheckpointError::TooManyHashes,
        ),
        (
            text.trim_end_matches('\n').to_owned(),
            AddCheckpointError::Note(NoteError::NoFinalNewline),
        ),
        (
            format!("{text}more"),
            AddCheckpointError::Note(NoteError::NoFinalNewline),
        ),
        (
            format!("{text}more\n"),
            AddCheckpointError::Note(NoteError::SignatureLine),
        ),
        (
            text.split("\n\n").take(2).collect::<Vec<_>>().join("\n\n") + "\n",
            AddCheckpointError::Note(NoteError::NoSignatures),
        ),
    ] {
        let found = AddCheckpoint::parse(bad.as_bytes());
        assert_eq!(found, Err(error), "{bad:.120}");
    }
    let bytes = [b"\xff", text.as_bytes()].concat();
    assert_eq!(
        AddCheckpoint::parse(&bytes),
        Err(AddCheckpointError::NotText)
    );
}

#[test]
fn v1_a_request_takes_63_hashes_and_no_more() {
    let log = Log::new(ORIGIN);
    let note = log.sign(&tree(3));
    let hashes = |count| vec![TreeHash::empty(); count];
    let most = AddCheckpoint::new(1, hashes(63), note.clone()).unwrap();
    assert!(AddCheckpoint::parse(most.to_string().as_bytes()).is_ok());
    let error = AddCheckpoint::new(1, hashes(64), note).unwrap_err();
    assert_eq!(error, AddCheckpointError::TooManyHashes);
}

#[test]
fn v1_answers_have_one_spelling() {
    let log = Log::new(ORIGIN);
    let lines = log.lines(&log.checkpoint(&tree(3)));
    let answer = CosignatureLines::new(lines).unwrap();
    let text = answer.to_string();
    assert_eq!(CosignatureLines::parse(text.as_bytes()).unwrap(), answer);
    let line = CosignatureLinesError::Line;
    for (bad, error) in [
        (String::new(), CosignatureLinesError::Empty),
        ("\n".into(), line(NoteError::SignatureLine)),
        (
            text.trim_end_matches('\n').to_owned(),
            CosignatureLinesError::NoFinalNewline,
        ),
        (format!("{text}\n"), line(NoteError::SignatureLine)),
        (format!("\n{text}"), line(NoteError::SignatureLine)),
        (text.replace('\n', "\r\n"), line(NoteError::SignatureLine)),
        (
            text.replace('\u{2014}', "-"),
            line(NoteError::SignatureLine),
        ),
        (
            text.replace("==\n", "\n").replace("=\n", "\n"),
            line(NoteError::SignatureLine),
        ),
        (text.repeat(17), CosignatureLinesError::TooMany),
    ] {
        let found = CosignatureLines::parse(bad.as_bytes());
        assert_eq!(found, Err(error), "{bad:.120}");
    }
    assert_eq!(
        CosignatureLines::parse(b"\xff\n"),
        Err(CosignatureLinesError::NotText)
    );
    assert_eq!(
        CosignatureLines::new(Vec::new()),
        Err(CosignatureLinesError::Empty)
    );
}

#[test]
fn v1_conflicts_have_one_spelling() {
    for size in [0, 1, 700, u64::MAX] {
        let text = RecordedSize(size).to_string();
        assert_eq!(text.parse(), Ok(RecordedSize(size)));
    }
    for bad in [
        "",
        "\n",
        "7",
        "07\n",
        "+7\n",
        "-7\n",
        " 7\n",
        "7 \n",
        "7\r\n",
        "7\n\n",
        "\n7\n",
        "0x7\n",
        "18446744073709551616\n",
        "\u{0667}\n",
    ] {
        assert!(bad.parse::<RecordedSize>().is_err(), "{bad:?}");
    }
}

#[test]
fn v11_a_note_takes_more_than_16_post_quantum_signatures() {
    let log = Log::new(ORIGIN);
    let checkpoint = log.checkpoint(&tree(3));
    let post_quantum = log.lines(&checkpoint)[1].clone();
    let many = vec![post_quantum; 18];
    let text = note(&checkpoint, &many).to_string();
    assert!(text.len() > 50_000);
    assert_eq!(Note::parse(text.as_bytes()).unwrap().signatures(), many);
    let request = AddCheckpoint::new(0, Vec::new(), note(&checkpoint, &many)).unwrap();
    assert!(AddCheckpoint::parse(request.to_string().as_bytes()).is_ok());
}

#[test]
fn v11_lengths_are_bounded() {
    let long = "x".repeat(MAX_NOTE_BYTES + 1);
    assert_eq!(Note::parse(long.as_bytes()), Err(NoteError::TooLong));
    assert_eq!(
        CosignatureLines::parse(long.as_bytes()),
        Err(CosignatureLinesError::TooLong)
    );
    let long = "x".repeat(MAX_ADD_CHECKPOINT_BYTES + 1);
    assert_eq!(
        AddCheckpoint::parse(long.as_bytes()),
        Err(AddCheckpointError::TooLong)
    );
    let log = Log::new(ORIGIN);
    let own = log.sign(&tree(3));
    let wide = NoteSignature::new("w".parse().unwrap(), [0; 4], vec![7; 100_000]);
    assert_eq!(own.with(&[wide]), Err(NoteError::TooLong));
}
