use super::*;

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags, 0, 0, 0, 1]);
    bytes.extend(payload);
    bytes
}

fn raw(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap()];
    bytes.extend(text.as_bytes());
    bytes
}

/// `:authority` by static index, literal with indexing.
fn authority(value: &[u8]) -> Vec<u8> {
    [&[0x41], value].concat()
}

fn rewritten(bytes: &[u8]) -> Vec<u8> {
    let mut whole = bytes.to_vec();
    Frames::new().rewrite(&mut whole);
    for size in [1, 2, 3, 7] {
        let mut frames = Frames::new();
        let mut pieces = bytes.to_vec();
        pieces
            .chunks_mut(size)
            .for_each(|piece| frames.rewrite(piece));
        assert_eq!(pieces, whole, "in pieces of {size}");
    }
    assert_eq!(whole.len(), bytes.len());
    whole
}

fn connection(frames: &[Vec<u8>]) -> Vec<u8> {
    [PREFACE.to_vec(), frames.concat()].concat()
}

/// Huffman codes of the characters that these tests spell (RFC 7541 appendix B).
fn huffman(text: &str) -> Vec<u8> {
    let code = |c: char| match c {
        ' ' => (0x14, 6),
        '%' => (0x15, 6),
        '-' => (0x16, 6),
        '.' => (0x17, 6),
        '/' => (0x18, 6),
        '2' => (0x2, 5),
        '3' => (0x19, 6),
        ':' => (0x5c, 7),
        'B' => (0x5d, 7),
        'F' => (0x61, 7),
        'a' => (0x3, 5),
        'c' => (0x4, 5),
        'i' => (0x6, 5),
        'k' => (0x75, 7),
        'm' => (0x29, 6),
        'o' => (0x7, 5),
        'p' => (0x2b, 6),
        's' => (0x8, 5),
        't' => (0x9, 5),
        '@' => (0x1ffa, 13),
        '\u{1}' => (0x7fffd8, 23),
        other => panic!("{other}"),
    };
    let mut bits: Vec<u8> = Vec::new();
    for c in text.chars() {
        let (code, length): (u32, u32) = code(c);
        bits.extend(
            (0..length)
                .rev()
                .map(|place| u8::from(code >> place & 1 == 1)),
        );
    }
    while !bits.len().is_multiple_of(8) {
        bits.push(1);
    }
    let bytes: Vec<u8> = bits
        .chunks(8)
        .map(|byte| byte.iter().fold(0, |n, bit| n << 1 | bit))
        .collect();
    [vec![0x80 | u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

#[test]
fn rewrites_what_grpc_core_sends() {
    let path = "tmp%2Fspire%2Fapi.sock";
    let sent = connection(&[
        frame(4, 0, &[0; 12]),
        frame(
            1,
            4,
            &[vec![0x83, 0x86], authority(&raw(path)), vec![0x88]].concat(),
        ),
    ]);
    let expected = connection(&[
        frame(4, 0, &[0; 12]),
        frame(
            1,
            4,
            &[
                vec![0x83, 0x86],
                authority(&raw("tmp-2Fspire-2Fapi.sock")),
                vec![0x88],
            ]
            .concat(),
        ),
    ]);
    assert_eq!(rewritten(&sent), expected);
}

#[test]
fn rewrites_every_spelling_of_the_name() {
    let value = raw("/a:b");
    let good = raw("-a-b");
    let name = raw(":authority");
    let coded = [
        vec![0x88],
        vec![0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f],
    ]
    .concat();
    for start in [
        vec![0x41],
        vec![0x01],
        vec![0x11],
        [vec![0x40], name.clone()].concat(),
        [vec![0x00], name.clone()].concat(),
        [vec![0x10], name].concat(),
        [vec![0x40], coded].concat(),
    ] {
        let sent = connection(&[frame(1, 4, &[start.clone(), value.clone()].concat())]);
        let expected = connection(&[frame(1, 4, &[start, good.clone()].concat())]);
        assert_eq!(rewritten(&sent), expected);
    }
}

#[test]
fn rewrites_huffman_coded_values() {
    for (sent, expected) in [
        ("tmp%2Fapi.sock", "tmp.2Fapi.sock"),
        ("/tmp/api.sock", "3tmp3api.sock"),
        (":: %%//", "BB-..33"),
        ("\u{1}@/", "\u{1}@3"),
        ("a-.3B2", "a-.3B2"),
        ("aaaaaaa", "aaaaaaa"),
    ] {
        let block = |text| connection(&[frame(1, 4, &authority(&huffman(text)))]);
        assert_eq!(rewritten(&block(sent)), block(expected), "{sent:?}");
    }
}

#[test]
fn follows_padding_priority_and_continuation() {
    let block = [vec![0x83], authority(&raw("a/b")), vec![0x86]].concat();
    let good = [vec![0x83], authority(&raw("a-b")), vec![0x86]].concat();
    for cut in 0..block.len() {
        let frames = |block: &[u8]| {
            let (first, rest) = block.split_at(cut);
            let padded = [&[3], &[0xff; 5][..], first, b"///"].concat();
            connection(&[
                frame(1, PADDED | PRIORITY, &padded),
                frame(CONTINUATION, 0, &[]),
                frame(CONTINUATION, 4, rest),
                frame(0, 1, b"/data/:"),
                frame(1, 4, block),
            ])
        };
        assert_eq!(rewritten(&frames(&block)), frames(&good), "cut at {cut}");
    }
}

#[test]
fn leaves_everything_else_alone() {
    let long = "/".repeat(300);
    // 127 + 173: a length of two bytes.
    let path = [vec![0x44, 0x7f, 0xad, 0x01], long.clone().into_bytes()].concat();
    let named = [vec![0x40], raw("x-authority"), raw("/a/b")].concat();
    let prefix = [vec![0x40], raw(":authorit"), raw("/a/b")].concat();
    let longer = [vec![0x40], raw(":authorityy"), raw("/a/b")].concat();
    let indexed = vec![0x81, 0xbe, 0xff, 0x80, 0x01, 0x3f, 0xe1, 0x1f];
    let dynamic = [vec![0x7f, 0x00], raw("/a/b")].concat();
    let never = [vec![0x1f, 0x80, 0x01], raw("/a/b")].concat();
    let block = [path, named, prefix, longer, indexed, dynamic, never].concat();
    let sent = connection(&[frame(1, 4, &block), frame(0, 0, long.as_bytes())]);
    assert_eq!(rewritten(&sent), sent);
    let http1 = b"GET /a/b HTTP/1.1\r\nHost: /a/b\r\n\r\n".to_vec();
    assert_eq!(rewritten(&http1), http1);
}

#[test]
fn a_long_value_is_rewritten_to_its_end() {
    let value = |c: &str| [vec![0x01, 0x7f, 0xad, 0x01], c.repeat(300).into_bytes()].concat();
    let sent = connection(&[frame(1, 4, &value("/"))]);
    assert_eq!(rewritten(&sent), connection(&[frame(1, 4, &value("-"))]));
}

#[test]
fn broken_lengths_end_the_rewriting() {
    let broken = [
        frame(1, PADDED, &[]),
        frame(1, PADDED, &[9, 0]),
        frame(1, PRIORITY, &[0; 4]),
    ];
    for broken in broken {
        let sent = connection(&[broken, frame(1, 4, &authority(&raw("a/b")))]);
        assert_eq!(rewritten(&sent), sent);
    }
    let endless = [vec![0x01, 0x7f], vec![0xff; 8], b"/a/b".to_vec()].concat();
    let after = frame(1, 4, &authority(&raw("a/b")));
    let sent = connection(&[frame(1, 4, &endless), after]);
    let good = frame(1, 4, &authority(&raw("a-b")));
    assert_eq!(rewritten(&sent), connection(&[frame(1, 4, &endless), good]));
}

#[test]
fn answers_to_pings_are_seen_and_nothing_else_is() {
    let answer = |payload: &[u8]| frame(PING, ACK, payload);
    let sent = connection(&[
        answer(b"12345678"),
        frame(PING, 0, b"asked by"),
        frame(1, 4, &authority(&raw("a/b"))),
        answer(b"1234567"),
        answer(b"123456789"),
        frame(4, ACK, b"settings"),
        answer(b"87654321"),
    ]);
    for size in [1, 3, 8, 1_000] {
        let mut frames = Frames::new();
        let mut seen = Vec::new();
        for piece in sent.clone().chunks_mut(size) {
            frames.rewrite(piece);
            seen.extend(frames.answers());
        }
        assert_eq!(seen, [*b"12345678", *b"87654321"], "in pieces of {size}");
    }
}

#[test]
fn random_bytes_change_nothing_but_authorities() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..2_000 {
        let payload: Vec<u8> = (0..random() % 64)
            .map(|_| random().to_le_bytes()[0])
            .collect();
        let flags = random().to_le_bytes()[0];
        let kind = random().to_le_bytes()[0] % 10;
        let sent = connection(&[frame(kind, flags, &payload), frame(4, 0, b"//")]);
        let seen = rewritten(&sent);
        if kind != HEADERS && kind != CONTINUATION {
            assert_eq!(seen, sent);
        }
    }
}
