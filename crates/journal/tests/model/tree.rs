//! What a disk holds: for every file and every folder what is durable, and what was done since.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Component, Path};

use crate::random::Random;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
const ROOT: u64 = 0;

/// What a power cut keeps of what was not synced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep {
    Nothing,
    Everything,
    /// New names, and nothing of what is in the files.
    Names,
    /// What is in the files, and no new names.
    Contents,
    /// Of each sector and of each name any of its versions.
    Random,
    /// The sectors whose bits are set, counted over all files, in the order of writing.
    Sectors(u64),
}

#[derive(Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<u64, Node>,
    made: u64,
}

#[derive(Debug)]
enum Node {
    File(File),
    Folder(Folder),
}

#[derive(Debug, Default)]
struct File {
    cached: Vec<u8>,
    durable: Vec<u8>,
    /// Every version of each sector since the last sync.
    sectors: BTreeMap<usize, Vec<[u8; SECTOR]>>,
    /// Every length since then.
    lengths: Vec<usize>,
}

#[derive(Debug, Default)]
struct Folder {
    cached: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    /// What each name stood for since the last sync.
    names: BTreeMap<String, Vec<Option<u64>>>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let root = Node::Folder(Folder::default());
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            made: ROOT,
        }
    }

    pub(crate) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.find(path)? {
            Some(id) => Ok(Some(self.file(id)?.cached.clone())),
            None => Ok(None),
        }
    }

    /// What a file would hold if power were cut now and nothing that is not synced were kept.
    pub(crate) fn durable(&self, path: &Path) -> Option<Vec<u8>> {
        let mut id = ROOT;
        for name in names(path) {
            match self.nodes.get(&id)? {
                Node::Folder(folder) => id = *folder.durable.get(&name)?,
                Node::File(_) => return None,
            }
        }
        Some(self.file(id).ok()?.durable.clone())
    }

    pub(crate) fn list(&self, path: &Path) -> Result<Vec<String>> {
        match self.find(path)? {
            Some(id) => Ok(self.folder(id)?.cached.keys().cloned().collect()),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        matches!(self.find(path), Ok(Some(_)))
    }

    /// A new file under a name; what had the name before goes on under its other names.
    pub(crate) fn create(&mut self, path: &Path) -> Result<u64> {
        if self.exists(path) {
            self.point(path, None)?;
        }
        let id = self.add(Node::File(File::default()));
        self.point(path, Some(id))?;
        Ok(id)
    }

    pub(crate) fn open(&self, path: &Path) -> Result<u64> {
        let id = self
            .find(path)?
            .ok_or_else(|| Error::from(ErrorKind::NotFound))?;
        self.file(id).map(|_| id)
    }

    pub(crate) fn create_folder(&mut self, path: &Path) -> Result<bool> {
        if let Some(id) = self.find(path)? {
            return self.folder(id).map(|_| false);
        }
        let id = self.add(Node::Folder(Folder::default()));
        self.point(path, Some(id))?;
        Ok(true)
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let id = self
            .find(from)?
            .ok_or_else(|| Error::from(ErrorKind::NotFound))?;
        self.point(to, Some(id))?;
        self.point(from, None)
    }

    pub(crate) fn remove(&mut self, path: &Path) -> Result<()> {
        if !self.exists(path) {
            return Ok(());
        }
        for name in self.list(path).unwrap_or_default() {
            self.remove(&path.join(name))?;
        }
        self.point(path, None)
    }

    pub(crate) fn write(&mut self, id: u64, bytes: &[u8], offset: u64) -> Result<()> {
        let Some(Node::File(file)) = self.nodes.get_mut(&id) else {
            return Err(ErrorKind::NotFound.into());
        };
        file.write(bytes, usize::try_from(offset).unwrap());
        Ok(())
    }

    pub(crate) fn sync_file(&mut self, id: u64) -> Result<()> {
        let Some(Node::File(file)) = self.nodes.get_mut(&id) else {
            return Err(ErrorKind::NotFound.into());
        };
        file.sync();
        Ok(())
    }

    /// A sync that fails: any part becomes durable, and what did not is taken for written from now
    /// on, as Linux does.
    pub(crate) fn fail_sync(&mut self, id: u64, random: &mut Random) {
        if let Some(Node::File(file)) = self.nodes.get_mut(&id) {
            file.fail_sync(random);
        }
    }

    pub(crate) fn sync_folder(&mut self, path: &Path) -> Result<()> {
        let id = self
            .find(path)?
            .ok_or_else(|| Error::from(ErrorKind::NotFound))?;
        match self.nodes.get_mut(&id) {
            Some(Node::Folder(folder)) => {
                folder.sync();
                Ok(())
            }
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(crate) fn sync_all(&mut self) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => file.sync(),
                Node::Folder(folder) => folder.sync(),
            }
        }
    }

    pub(crate) fn fail_sync_all(&mut self, random: &mut Random) {
        for node in self.nodes.values_mut() {
            if let Node::File(file) = node {
                file.fail_sync(random);
            }
        }
    }

    /// Forgets what was read into memory, so that the next read shows what is durable.
    pub(crate) fn drop_cache(&mut self, id: u64) {
        if let Some(Node::File(file)) = self.nodes.get_mut(&id) {
            file.cached = file.durable.clone();
        }
    }

    /// Power is cut: what is durable stays, and of the rest what `keep` says.
    pub(crate) fn cut(&mut self, keep: Keep, random: &mut Random) {
        let mut mask = match keep {
            Keep::Sectors(mask) => mask,
            _ => 0,
        };
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => file.cut(|versions| match keep {
                    Keep::Nothing | Keep::Names => 0,
                    Keep::Everything | Keep::Contents => versions,
                    Keep::Random => random.below(versions as u64 + 1) as usize,
                    Keep::Sectors(_) if versions == 0 => 0,
                    Keep::Sectors(_) => {
                        let kept = mask & 1 == 1;
                        mask >>= 1;
                        if kept { versions } else { 0 }
                    }
                }),
                Node::Folder(folder) => folder.cut(|versions| match keep {
                    Keep::Nothing | Keep::Contents | Keep::Sectors(_) => 0,
                    Keep::Everything | Keep::Names => versions,
                    Keep::Random => random.below(versions as u64 + 1) as usize,
                }),
            }
        }
        let mut reached = BTreeSet::new();
        let mut next = vec![ROOT];
        while let Some(id) = next.pop() {
            if reached.insert(id)
                && let Some(Node::Folder(folder)) = self.nodes.get(&id)
            {
                next.extend(folder.durable.values());
            }
        }
        self.nodes.retain(|id, _| reached.contains(id));
    }

    fn add(&mut self, node: Node) -> u64 {
        self.made += 1;
        self.nodes.insert(self.made, node);
        self.made
    }

    /// Makes a name stand for something else, or for nothing.
    fn point(&mut self, path: &Path, id: Option<u64>) -> Result<()> {
        let parent = path.parent().ok_or(ErrorKind::InvalidInput)?;
        let parent = self.find(parent)?.ok_or(ErrorKind::NotFound)?;
        let name = names(path).pop().ok_or(ErrorKind::InvalidInput)?;
        let Some(Node::Folder(folder)) = self.nodes.get_mut(&parent) else {
            return Err(ErrorKind::NotADirectory.into());
        };
        match id {
            Some(id) => folder.cached.insert(name.clone(), id),
            None => folder.cached.remove(&name),
        };
        folder.names.entry(name).or_default().push(id);
        Ok(())
    }

    fn find(&self, path: &Path) -> Result<Option<u64>> {
        let mut id = ROOT;
        for name in names(path) {
            match self.folder(id)?.cached.get(&name) {
                Some(found) => id = *found,
                None => return Ok(None),
            }
        }
        Ok(Some(id))
    }

    fn file(&self, id: u64) -> Result<&File> {
        match self.nodes.get(&id) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder(_)) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn folder(&self, id: u64) -> Result<&Folder> {
        match self.nodes.get(&id) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }
}

impl File {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.cached.len() < end {
            self.cached.resize(end, 0);
            self.lengths.push(end);
        }
        let place = self.cached.get_mut(offset..end).unwrap();
        place.copy_from_slice(bytes);
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            let mut version = [0; SECTOR];
            copy(self.cached.get(sector * SECTOR..).unwrap(), &mut version);
            self.sectors.entry(sector).or_default().push(version);
        }
    }

    fn sync(&mut self) {
        self.cut_to(usize::MAX, |versions| versions);
        self.durable.resize(self.cached.len(), 0);
    }

    fn fail_sync(&mut self, random: &mut Random) {
        let cached = self.cached.clone();
        self.cut(|versions| random.below(versions as u64 + 1) as usize);
        self.cached = cached;
    }

    /// Chooses a version of the length and of each sector; the durable one has the number zero.
    fn cut(&mut self, mut choose: impl FnMut(usize) -> usize) {
        let length = match choose(self.lengths.len()).checked_sub(1) {
            Some(version) => self.lengths.get(version).copied().unwrap(),
            None => self.durable.len(),
        };
        self.cut_to(length, choose);
        self.durable.resize(length, 0);
        self.cached = self.durable.clone();
    }

    fn cut_to(&mut self, length: usize, mut choose: impl FnMut(usize) -> usize) {
        let written = self.cached.len().min(length).max(self.durable.len());
        self.durable.resize(written, 0);
        for (sector, versions) in std::mem::take(&mut self.sectors) {
            let Some(version) = choose(versions.len()).checked_sub(1) else {
                continue;
            };
            let from = versions.get(version).unwrap();
            let to = self.durable.get_mut(sector * SECTOR..);
            copy(from, to.unwrap_or_default());
        }
        self.lengths.clear();
    }
}

impl Folder {
    fn sync(&mut self) {
        self.durable = self.cached.clone();
        self.names.clear();
    }

    fn cut(&mut self, mut choose: impl FnMut(usize) -> usize) {
        for (name, versions) in std::mem::take(&mut self.names) {
            match choose(versions.len())
                .checked_sub(1)
                .and_then(|version| versions.get(version))
            {
                Some(Some(id)) => _ = self.durable.insert(name, *id),
                Some(None) => _ = self.durable.remove(&name),
                None => {}
            }
        }
        self.cached = self.durable.clone();
    }
}

/// Copies as much as both have.
fn copy(from: &[u8], to: &mut [u8]) {
    let both = from.len().min(to.len());
    let to = to.get_mut(..both).unwrap();
    to.copy_from_slice(from.get(..both).unwrap());
}

fn names(path: &Path) -> Vec<String> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_str()?.to_owned()),
        _ => None,
    });
    parts.collect()
}
