use chancery_journal::Journal;

/// What stands at an index says so itself, in a length that varies.
fn entry(writer: u32, number: u32) -> Vec<u8> {
    let size = 3 + (number as usize * 911) % 5_000;
    format!("{writer} {number} {}", "x".repeat(size)).into_bytes()
}

/// Four threads append until the process is killed, and say which index they were given.
pub(crate) fn append_for_ever(journal: &Journal, run: u32) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let writer = run * 10 + thread;
                for number in 0.. {
                    let index = journal.append_blocking(entry(writer, number)).unwrap();
                    println!("ack {index} {writer} {number}.");
                }
            });
        }
    });
}

/// What a line of such a process confirms; the last one may be cut anywhere.
pub(crate) fn acknowledged(line: &str) -> Option<(u64, Vec<u8>)> {
    let parts: Vec<_> = line
        .strip_prefix("ack ")?
        .strip_suffix('.')?
        .split(' ')
        .collect();
    let [index, writer, number] = parts.as_slice() else {
        return None;
    };
    let entry = entry(writer.parse().ok()?, number.parse().ok()?);
    Some((index.parse().ok()?, entry))
}
