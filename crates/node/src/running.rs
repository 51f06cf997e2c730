use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chancery_types::id::{InstanceId, LaunchId};

use crate::launch::Launch;
use crate::procfs::PidNamespace;

/// The launches that run, and what each of them is found by: among ten thousand nobody looks at all of them
/// for one.
///
/// INVARIANT: a launch that has begun is on the list or lingers, never neither, as long as one of its processes
/// runs, so that whatever that process starts finds it. And a child looks at its parent after it is on the list
/// itself: of two that begin and end at once, either the child sees that end, or the end finds the child.
#[derive(Debug, Default)]
pub(crate) struct Running {
    launches: BTreeMap<LaunchId, Arc<Launch>>,
    of_process: HashMap<i32, BTreeSet<LaunchId>>,
    of_namespace: HashMap<PidNamespace, BTreeSet<LaunchId>>,
    of_instance: HashMap<InstanceId, LaunchId>,
    /// Launches that are off the list while a process of theirs runs still: whatever it starts has a parent
    /// that ended.
    lingering: Vec<Arc<Launch>>,
}

impl Running {
    pub(crate) fn insert(&mut self, launch: Arc<Launch>) {
        let id = launch.id();
        for pid in launch.pids() {
            self.of_process.entry(pid).or_default().insert(id);
        }
        if let Some(namespace) = launch.namespace {
            self.of_namespace.entry(namespace).or_default().insert(id);
        }
        self.of_instance.insert(launch.instance().instance(), id);
        self.launches.insert(id, launch);
    }

    /// Takes one off the list; it lingers where one of its processes runs still.
    pub(crate) fn remove(&mut self, id: LaunchId) -> Option<Arc<Launch>> {
        let launch = self.launches.remove(&id)?;
        for pid in launch.pids() {
            take_out(&mut self.of_process, pid, id);
        }
        if let Some(namespace) = launch.namespace {
            take_out(&mut self.of_namespace, namespace, id);
        }
        self.of_instance.remove(&launch.instance().instance());
        if launch.has_left_a_process() {
            self.lingering.push(Arc::clone(&launch));
        }
        Some(launch)
    }

    pub(crate) fn len(&self) -> usize {
        self.launches.len()
    }

    /// All of them, by id.
    pub(crate) fn all(&self) -> Vec<Arc<Launch>> {
        self.launches.values().cloned().collect()
    }

    /// The one of an instance.
    pub(crate) fn of_instance(&self, instance: InstanceId) -> Option<&Arc<Launch>> {
        self.launches.get(self.of_instance.get(&instance)?)
    }

    /// Those that a process of one of these numbers or the namespace may belong to, by id: whether it does,
    /// each is to be asked itself.
    pub(crate) fn near(
        &self,
        pids: impl IntoIterator<Item = i32>,
        namespace: Option<PidNamespace>,
    ) -> Vec<Arc<Launch>> {
        let pids = pids.into_iter();
        let by_process = pids.filter_map(|pid| self.of_process.get(&pid));
        let by_namespace = namespace.and_then(|namespace| self.of_namespace.get(&namespace));
        let ids: BTreeSet<_> = by_process.chain(by_namespace).flatten().collect();
        let found = ids.into_iter().filter_map(|id| self.launches.get(id));
        found.cloned().collect()
    }

    /// Those that a process below processes of these numbers may have been started by: on the list, and those
    /// that linger.
    pub(crate) fn above(&mut self, pids: &[i32]) -> Vec<Arc<Launch>> {
        self.lingering.retain(|launch| launch.has_left_a_process());
        let mut above = self.near(pids.iter().copied(), None);
        above.extend(self.lingering.iter().cloned());
        above
    }

    pub(crate) fn get(&self, id: LaunchId) -> Option<&Arc<Launch>> {
        self.launches.get(&id)
    }

    /// Whether some of them have a pid namespace of their own.
    pub(crate) fn have_namespaces(&self) -> bool {
        !self.of_namespace.is_empty()
    }
}

fn take_out<K: Eq + std::hash::Hash>(
    index: &mut HashMap<K, BTreeSet<LaunchId>>,
    key: K,
    id: LaunchId,
) {
    if let Some(ids) = index.get_mut(&key) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(&key);
        }
    }
}
