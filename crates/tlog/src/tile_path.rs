use std::fmt;
use std::str::FromStr;

use crate::text::decimal;

/// Hashes in a full tile and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

const MAX_LEVEL: u8 = 63;

/// What a resource of a tiled log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Entries, `tile/entries/...`.
    Entries,
    /// Hashes at a level from 0 to 63, `tile/<level>/...`.
    Hashes(u8),
}

/// The path of a tile or entry bundle below a log's prefix (C2SP tlog-tiles). Display and parsing
/// round-trip; no other spelling is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    /// INVARIANT: 1 to [`TILE_WIDTH`].
    width: u16,
}

/// Why a text is not the path of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a tile path")]
pub struct TilePathError;

impl TilePath {
    /// The tile or bundle of that index and width.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, TilePathError> {
        let level_fits = !matches!(kind, TileKind::Hashes(level) if level > MAX_LEVEL);
        if !level_fits || !(1..=TILE_WIDTH).contains(&width) {
            return Err(TilePathError);
        }
        Ok(Self { kind, index, width })
    }

    /// What the resource holds.
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// The place among the resources of its kind.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The number of hashes or entries.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it is as wide as it can be.
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full resource that this one becomes or is.
    pub const fn to_full(self) -> Self {
        Self {
            width: TILE_WIDTH,
            ..self
        }
    }

    /// The folder of the partial versions of this resource, `....p`.
    pub fn partial_folder(&self) -> String {
        format!("{}.p", self.to_full())
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries/")?,
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut unit = 1_u64;
        while self.index / unit >= 1_000 {
            unit *= 1_000;
        }
        while unit > 1 {
            write!(f, "x{:03}/", self.index / unit % 1_000)?;
            unit /= 1_000;
        }
        write!(f, "{:03}", self.index % 1_000)?;
        if !self.is_full() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for TilePath {
    type Err = TilePathError;

    fn from_str(text: &str) -> Result<Self, TilePathError> {
        let rest = text.strip_prefix("tile/").ok_or(TilePathError)?;
        let (kind, rest) = rest.split_once('/').ok_or(TilePathError)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => {
                let level = decimal(level).ok_or(TilePathError)?;
                TileKind::Hashes(level.try_into().map_err(|_| TilePathError)?)
            }
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, decimal(width).ok_or(TilePathError)?),
            None => (rest, u64::from(TILE_WIDTH)),
        };
        let mut index = 0_u64;
        for element in number.split('/') {
            let digits = element.strip_prefix('x').unwrap_or(element);
            let three = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
            let value = digits.parse::<u64>().ok().filter(|_| three);
            index = index
                .checked_mul(1_000)
                .and_then(|index| index.checked_add(value?))
                .ok_or(TilePathError)?;
        }
        let width = width.try_into().map_err(|_| TilePathError)?;
        let path = Self::new(kind, index, width)?;
        // Writing it again finds missing or superfluous `x`, leading elements of zeros, `.p/256`.
        (path.to_string() == text)
            .then_some(path)
            .ok_or(TilePathError)
    }
}

/// Every tile and entry bundle that a log of `size` entries has, bundles first, then level by
/// level.
pub fn tiles_for(size: u64) -> impl Iterator<Item = TilePath> {
    kinds().flat_map(move |kind| {
        let count = items_of(kind, size).div_ceil(u64::from(TILE_WIDTH));
        (0..count).filter_map(move |index| tile_at(kind, index, size))
    })
}

/// The tile or bundle of that kind and index in a log of `size` entries, as wide as it is there.
pub fn tile_at(kind: TileKind, index: u64, size: u64) -> Option<TilePath> {
    let before = index.checked_mul(u64::from(TILE_WIDTH))?;
    let left = items_of(kind, size).checked_sub(before)?;
    let width = left.min(u64::from(TILE_WIDTH)).try_into().ok()?;
    TilePath::new(kind, index, width).ok()
}

/// The kinds of resources that a log of 64-bit size can have.
pub(crate) fn kinds() -> impl Iterator<Item = TileKind> {
    std::iter::once(TileKind::Entries).chain((0..8).map(TileKind::Hashes))
}

/// How many entries or hashes of a kind a log of `size` entries has.
pub(crate) fn items_of(kind: TileKind, size: u64) -> u64 {
    match kind {
        TileKind::Entries => size,
        TileKind::Hashes(level) => size.checked_shr(u32::from(level) * 8).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(level: u8, index: u64, width: u16) -> TilePath {
        TilePath::new(TileKind::Hashes(level), index, width).unwrap()
    }

    #[test]
    fn spells_like_the_specification() {
        for (path, text) in [
            (hashes(0, 0, 256), "tile/0/000"),
            (hashes(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (hashes(63, 999, 255), "tile/63/999.p/255"),
            (hashes(1, 1_000, 1), "tile/1/x001/000.p/1"),
            (
                hashes(0, u64::MAX, 256),
                "tile/0/x018/x446/x744/x073/x709/x551/615",
            ),
            (
                TilePath::new(TileKind::Entries, 5, 3).unwrap(),
                "tile/entries/005.p/3",
            ),
        ] {
            assert_eq!(path.to_string(), text);
            assert_eq!(text.parse(), Ok(path));
        }
    }

    #[test]
    fn refuses_other_spellings() {
        for bad in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/00/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/+1/000",
            "tile/0/0000",
            "tile/0/x000",
            "tile/0/x000/001",
            "tile/0/001/000",
            "tile/0/x001/x000",
            "tile/0/x1/000",
            "tile/0/000.p/0",
            "tile/0/000.p/01",
            "tile/0/000.p/256",
            "tile/0/000.p/65537",
            "tile/0/000.p",
            "tile/0/000.p/",
            "tile/0/000.p/1/",
            "tile/0/000/",
            "tile/0//000",
            "tile/0/../000",
            "tile/entries/x001",
            "tile/Entries/000",
            "tile/data/000",
            "/tile/0/000",
            "tile/0/000 ",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/x999/x018/x446/x744/x073/x709/x551/615",
        ] {
            assert_eq!(bad.parse::<TilePath>(), Err(TilePathError), "{bad:?}");
        }
        assert!(TilePath::new(TileKind::Hashes(64), 0, 1).is_err());
        assert!(TilePath::new(TileKind::Entries, 0, 0).is_err());
        assert!(TilePath::new(TileKind::Entries, 0, 257).is_err());
    }

    #[test]
    fn sizes_of_the_specification() {
        let names = |size| {
            tiles_for(size)
                .map(|path| path.to_string())
                .collect::<Vec<_>>()
        };
        assert!(names(0).is_empty());
        assert_eq!(names(1), ["tile/entries/000.p/1", "tile/0/000.p/1"]);
        assert_eq!(
            names(256),
            ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
        );
        let large: Vec<_> = tiles_for(70_000).collect();
        let of = |kind| large.iter().filter(move |path| path.kind() == kind);
        assert_eq!(
            of(TileKind::Hashes(0))
                .filter(|path| path.is_full())
                .count(),
            273
        );
        assert_eq!(
            of(TileKind::Hashes(0)).next_back(),
            Some(&hashes(0, 273, 112))
        );
        assert_eq!(
            of(TileKind::Hashes(1)).copied().collect::<Vec<_>>(),
            [hashes(1, 0, 256), hashes(1, 1, 17)]
        );
        assert_eq!(
            of(TileKind::Hashes(2)).copied().collect::<Vec<_>>(),
            [hashes(2, 0, 1)]
        );
        assert_eq!(of(TileKind::Entries).count(), 274);
        assert_eq!(large.len(), 274 + 274 + 2 + 1);
    }
}
