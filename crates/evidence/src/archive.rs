//! Evidence as one file: a tar archive of one spelling.
//!
//! The form is POSIX ustar, so that `tar` lists it and takes it apart wherever there is one. Of its many
//! spellings one is written and read: files alone, sorted by path, mode 0644, without owner and time. The
//! same evidence is the same bytes, and whatever an archive could hide (a link, a path that leaves the
//! folder, a file that stands twice, bytes behind the end) is no archive of evidence.

use std::collections::BTreeSet;

use crate::Files;

/// The unit of the format.
const BLOCK: usize = 512;

/// Most bytes of a path: what the header has room for without an extension.
const MOST_PATH_BYTES: usize = 100;

/// Most files.
const MOST_FILES: usize = 1 << 20;

/// Most bytes of one file: what a reader of a folder takes.
const MOST_FILE_BYTES: usize = 64 << 20;

/// Most bytes of the whole: the writer makes no file that a reader would refuse.
pub const MOST_ARCHIVE_BYTES: usize = 2 << 30;

/// Why bytes are no archive of evidence, or files cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The header of a file is none, or of another spelling than the one that is written.
    #[error("byte {0}: no header of a file, in the one form that evidence has")]
    Header(usize),
    /// It is the header of something else: `tar` knows links, devices, folders and extensions too.
    #[error("byte {0}: a link, a device, a folder or an extension; evidence has files alone")]
    NoFile(usize),
    /// The path is not one of evidence: 1 to 100 letters, digits, `.`, `-`, `_` and `/`, without empty
    /// parts, `.` and `..`.
    #[error("{0:?}: no path of evidence")]
    Path(String),
    /// The files are not sorted, or one stands twice.
    #[error("{0}: not in its place; files are sorted by path, and each is there once")]
    Order(String),
    /// A path is a file and a folder.
    #[error("{0}: a file and a folder")]
    Folder(String),
    /// There is more than evidence may have.
    #[error("{0}: more than 64 MiB, or with it more than 2 GiB or 1048576 files")]
    TooLarge(String),
    /// It ends before it is whole.
    #[error("byte {0}: cut short")]
    Short(usize),
    /// Something stands between two files.
    #[error("byte {0}: not zero, where nothing may stand")]
    Padding(usize),
    /// Something stands behind the end, be it zeros.
    #[error("byte {0}: more than the two blocks of zeros that end it")]
    End(usize),
}

impl Files {
    /// The files as one file.
    pub fn to_archive(&self) -> Result<Vec<u8>, ArchiveError> {
        let mut archive = Vec::new();
        let mut order = Order::default();
        for (path, content) in self.iter() {
            order.next(path, content.len())?;
            archive.extend(header(path, content.len()));
            archive.extend(content);
            archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        }
        // The end of every archive.
        archive.resize(archive.len() + 2 * BLOCK, 0);
        Ok(archive)
    }

    /// Reads such a file: what is taken is exactly what [`Files::to_archive`] writes.
    pub fn from_archive(archive: &[u8]) -> Result<Self, ArchiveError> {
        let mut files = Self::new();
        let mut order = Order::default();
        let mut at = 0;
        loop {
            let block = archive.get(at..at + BLOCK);
            let block = block.ok_or(ArchiveError::Short(archive.len()))?;
            if block.iter().all(|byte| *byte == 0) {
                break;
            }
            let (path, length) = read_header(block).ok_or_else(|| no_header(block, at))?;
            order.next(&path, length)?;
            at += BLOCK;
            let content = archive.get(at..at + length);
            let content = content.ok_or(ArchiveError::Short(archive.len()))?;
            at += length;
            let padding = archive.get(at..at.next_multiple_of(BLOCK));
            let padding = padding.ok_or(ArchiveError::Short(archive.len()))?;
            if padding.iter().any(|byte| *byte != 0) {
                return Err(ArchiveError::Padding(at));
            }
            at = at.next_multiple_of(BLOCK);
            files.insert(path, content.to_vec());
        }
        let end = archive.get(at..).unwrap_or_default();
        if end.len() < 2 * BLOCK {
            return Err(ArchiveError::Short(archive.len()));
        }
        if end.len() > 2 * BLOCK || end.iter().any(|byte| *byte != 0) {
            return Err(ArchiveError::End(at));
        }
        Ok(files)
    }
}

/// Holds that paths come in their order and can all be files of one folder.
#[derive(Debug, Default)]
struct Order {
    paths: BTreeSet<String>,
    /// Bytes of the archive up to here.
    bytes: usize,
}

impl Order {
    fn next(&mut self, path: &str, length: usize) -> Result<(), ArchiveError> {
        if !is_path(path) {
            return Err(ArchiveError::Path(path.to_owned()));
        }
        if length > MOST_FILE_BYTES || self.paths.len() >= MOST_FILES {
            return Err(ArchiveError::TooLarge(path.to_owned()));
        }
        self.bytes += BLOCK + length.next_multiple_of(BLOCK);
        if self.bytes + 2 * BLOCK > MOST_ARCHIVE_BYTES {
            return Err(ArchiveError::TooLarge(path.to_owned()));
        }
        if self.paths.last().is_some_and(|last| last.as_str() >= path) {
            return Err(ArchiveError::Order(path.to_owned()));
        }
        // A file sorts before what stands below a folder of its name.
        let mut folders = path
            .match_indices('/')
            .filter_map(|(end, _)| path.get(..end));
        if let Some(folder) = folders.find(|folder| self.paths.contains(*folder)) {
            return Err(ArchiveError::Folder(folder.to_owned()));
        }
        self.paths.insert(path.to_owned());
        Ok(())
    }
}

/// Whether a text is a path below a folder, and nothing else on any system.
fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
    path.len() <= MOST_PATH_BYTES && path.split('/').all(part)
}

/// The header of a file (POSIX.1-2017, pax, section "ustar Interchange Format").
fn header(path: &str, length: usize) -> [u8; BLOCK] {
    let size = format!("{length:011o}\0");
    // Where each member begins; what lies between is zeros.
    let mut header = filled(&[
        (0, path.as_bytes()),
        (100, b"0000644\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, size.as_bytes()),
        (136, b"00000000000\0"),
        (148, b"        "),
        (156, b"0"),
        (257, b"ustar\x0000"),
    ]);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    for (to, from) in header.iter_mut().skip(148).zip(sum.as_bytes()) {
        *to = *from;
    }
    header
}

fn filled(members: &[(usize, &[u8])]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    for (begin, member) in members {
        for (to, from) in block.iter_mut().skip(*begin).zip(*member) {
            *to = *from;
        }
    }
    block
}

/// Path and length of a file; none where its header is not the one that they have.
fn read_header(block: &[u8]) -> Option<(String, usize)> {
    let name = block.get(..MOST_PATH_BYTES)?;
    let end = name.iter().position(|byte| *byte == 0);
    let path = str::from_utf8(name.get(..end.unwrap_or(name.len()))?).ok()?;
    let size = str::from_utf8(block.get(124..135)?).ok()?;
    let length = usize::from_str_radix(size, 8).ok()?;
    (header(path, length)[..] == *block).then(|| (path.to_owned(), length))
}

/// What a block is that is no header of a file.
fn no_header(block: &[u8], at: usize) -> ArchiveError {
    let is_header = block.get(257..262) == Some(b"ustar");
    match block.get(156) {
        Some(kind) if is_header && *kind != b'0' => ArchiveError::NoFile(at),
        _ => ArchiveError::Header(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Files {
        let content = |path: &str| path.repeat(600 / path.len().max(1)).into_bytes();
        let files = paths.iter().map(|path| ((*path).to_owned(), content(path)));
        files.collect()
    }

    fn some() -> Files {
        let long = format!("log/{}", "x".repeat(96));
        files(&[
            "a",
            "index.json",
            "log/gateway/tile/0/x001/067.p/112",
            &long,
        ])
    }

    #[test]
    fn is_read_as_it_was_written() {
        for files in [Files::new(), files(&["a"]), some()] {
            let archive = files.to_archive().unwrap();
            assert_eq!(archive.len() % BLOCK, 0);
            assert_eq!(Files::from_archive(&archive), Ok(files));
        }
    }

    #[test]
    fn has_one_spelling() {
        let archive = some().to_archive().unwrap();
        for at in 0..archive.len() {
            let mut changed = archive.clone();
            changed[at] ^= 1;
            if let Ok(read) = Files::from_archive(&changed) {
                // A byte of a content: everything else counts.
                assert_eq!(read.to_archive().unwrap(), changed, "byte {at}");
                assert_ne!(read, some());
            }
        }
        for end in 0..archive.len() {
            assert!(
                Files::from_archive(&archive[..end]).is_err(),
                "cut at {end}"
            );
        }
        let longer = [&archive[..], &[0; BLOCK]].concat();
        assert!(Files::from_archive(&longer).is_err());
    }

    #[test]
    fn takes_no_path_that_is_not_below_its_folder() {
        let long = "x".repeat(101);
        for path in [
            "", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a\\b", "a b", "é",
            "a\0", "C:a", &long,
        ] {
            let refused = files(&[path]).to_archive();
            assert_eq!(
                refused,
                Err(ArchiveError::Path(path.to_owned())),
                "{path:?}"
            );
        }
        // Written by somebody else.
        let mut archive = files(&["ab/c"]).to_archive().unwrap();
        let forged = header("../c", 600);
        archive[..BLOCK].copy_from_slice(&forged);
        assert_eq!(
            Files::from_archive(&archive),
            Err(ArchiveError::Path("../c".to_owned()))
        );
    }

    #[test]
    fn takes_no_file_twice_and_none_that_is_a_folder() {
        let one = files(&["b"]).to_archive().unwrap();
        let other = files(&["a"]).to_archive().unwrap();
        let body = |archive: &[u8]| archive[..archive.len() - 2 * BLOCK].to_vec();
        let twice = [body(&one), one.clone()].concat();
        assert_eq!(
            Files::from_archive(&twice),
            Err(ArchiveError::Order("b".to_owned()))
        );
        let unsorted = [body(&one), other].concat();
        assert_eq!(
            Files::from_archive(&unsorted),
            Err(ArchiveError::Order("a".to_owned()))
        );
        for paths in [&["a", "a/b"][..], &["a", "a-b", "a/b/c"]] {
            let refused = files(paths).to_archive();
            assert!(matches!(refused, Err(ArchiveError::Folder(_))), "{paths:?}");
        }
    }

    /// The header with other members, and the sum that is right for it.
    fn forged(members: &[(usize, &[u8])]) -> [u8; BLOCK] {
        let mut forged = header("a", 600);
        for (begin, member) in members {
            forged[*begin..][..member.len()].copy_from_slice(member);
        }
        forged[148..156].fill(b' ');
        let sum: u32 = forged.iter().map(|byte| u32::from(*byte)).sum();
        forged[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        forged
    }

    fn read_forged(members: &[(usize, &[u8])]) -> Result<Files, ArchiveError> {
        let mut archive = files(&["a"]).to_archive().unwrap();
        archive[..BLOCK].copy_from_slice(&forged(members));
        Files::from_archive(&archive)
    }

    #[test]
    fn takes_nothing_but_files() {
        assert_eq!(read_forged(&[]), Ok(files(&["a"])));
        // Hard and symbolic links, devices, a folder, a pipe, pax and GNU extensions, the old file.
        for kind in b"1234567xgLKSVD\0".chunks(1) {
            let to: &[u8] = b"/etc/passwd";
            for members in [&[(156, kind)][..], &[(156, kind), (157, to)]] {
                let refused = read_forged(members);
                assert_eq!(refused, Err(ArchiveError::NoFile(0)), "{kind:?}");
            }
        }
    }

    #[test]
    fn takes_no_header_of_another_spelling() {
        let others: [(usize, &[u8]); 14] = [
            (100, b"0000755\0"),
            (100, b"0004644\0"),
            (100, b"000644 \0"),
            (108, b"0000001\0"),
            (116, b"0000001\0"),
            (124, b"     001130\0"),
            (124, b"+0000001130\0"),
            (124, b"\x80\0\0\0\0\0\0\0\0\0\x02\x58"),
            (136, b"14000000000\0"),
            (157, b"b"),
            (257, b"ustar  \0"),
            (265, b"root"),
            (329, b"0000001\0"),
            (345, b".."),
        ];
        for other in others.into_iter().chain([(2, &b"b"[..]), (500, &b"x"[..])]) {
            let refused = read_forged(&[other]);
            assert_eq!(refused, Err(ArchiveError::Header(0)), "{other:?}");
        }
        // The sum in another spelling, and a wrong one.
        for sum in [&b"0"[..], b" ", b"7"] {
            let mut archive = files(&["a"]).to_archive().unwrap();
            let right = archive[148];
            archive[148..149].copy_from_slice(sum);
            let read = Files::from_archive(&archive);
            assert_eq!(read.is_ok(), sum == [right], "{sum:?}");
        }
    }

    #[test]
    fn says_where_it_is_cut_padded_or_goes_on() {
        let whole = files(&["a"]).to_archive().unwrap();
        let end = whole.len() - 2 * BLOCK;
        for length in [0, 1, BLOCK, BLOCK + 600, end, end + BLOCK, whole.len() - 1] {
            let refused = Files::from_archive(&whole[..length]);
            assert_eq!(refused, Err(ArchiveError::Short(length)));
        }
        for more in [&[0][..], &[0; BLOCK], &[1], &whole] {
            let longer = [&whole[..], more].concat();
            assert_eq!(Files::from_archive(&longer), Err(ArchiveError::End(end)));
        }
        for at in [BLOCK + 600, end - 1] {
            let mut padded = whole.clone();
            padded[at] = 1;
            let refused = Files::from_archive(&padded);
            assert_eq!(refused, Err(ArchiveError::Padding(BLOCK + 600)));
        }
        let mut other = whole.clone();
        other[end + BLOCK] = 1;
        assert_eq!(Files::from_archive(&other), Err(ArchiveError::End(end)));
    }

    #[test]
    fn is_as_large_as_a_reader_takes_and_no_larger() {
        let mut order = Order::default();
        let most = MOST_ARCHIVE_BYTES / (MOST_FILE_BYTES + BLOCK);
        for file in 0..most {
            assert_eq!(order.next(&format!("{file:03}"), MOST_FILE_BYTES), Ok(()));
        }
        let over = order.next("a", MOST_FILE_BYTES);
        assert_eq!(over, Err(ArchiveError::TooLarge("a".to_owned())));
    }

    #[test]
    fn a_length_is_believed_of_no_header_alone() {
        let mut archive = files(&["a"]).to_archive().unwrap();
        for length in [MOST_FILE_BYTES, MOST_FILE_BYTES + 1, 0o777_7777_7777] {
            archive[..BLOCK].copy_from_slice(&header("a", length));
            assert!(Files::from_archive(&archive).is_err(), "{length}");
        }
    }
}
