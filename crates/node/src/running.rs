use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chancery_types::id::{InstanceId, LaunchId};

use crate::launch::Launch;
use crate::process::Process;
use crate::procfs::PidNamespace;

/// The launches that run, and what each of them is found by: among ten thousand nobody looks at all of them
/// for one.
#[derive(Debug, Default)]
pub(crate) struct Running {
    launches: BTreeMap<LaunchId, Arc<Launch>>,
    of_process: HashMap<i32, BTreeSet<LaunchId>>,
    of_namespace: HashMap<PidNamespace, BTreeSet<LaunchId>>,
    of_instance: HashMap<InstanceId, LaunchId>,
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

    pub(crate) fn remove(&mut self, id: LaunchId) -> Option<Arc<Launch>> {
        let launch = self.launches.remove(&id)?;
        for pid in launch.pids() {
            take_out(&mut self.of_process, pid, id);
        }
        if let Some(namespace) = launch.namespace {
            take_out(&mut self.of_namespace, namespace, id);
        }
        self.of_instance.remove(&launch.instance().instance());
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

    /// Those that one of these processes or the namespace may belong to, by id: whether it does, each is to
    /// be asked itself.
    pub(crate) fn near<'p>(
        &self,
        processes: impl IntoIterator<Item = &'p Process>,
        namespace: Option<PidNamespace>,
    ) -> Vec<Arc<Launch>> {
        let processes = processes.into_iter();
        let by_process = processes.filter_map(|process| self.of_process.get(&process.pid()));
        let by_namespace = namespace.and_then(|namespace| self.of_namespace.get(&namespace));
        let ids: BTreeSet<_> = by_process.chain(by_namespace).flatten().collect();
        let found = ids.into_iter().filter_map(|id| self.launches.get(id));
        found.cloned().collect()
    }

    /// Those that have a process of one of these numbers, whether it runs or not.
    pub(crate) fn with_pids(&self, pids: &[i32]) -> Vec<Arc<Launch>> {
        let ids = pids.iter().filter_map(|pid| self.of_process.get(pid));
        let ids: BTreeSet<_> = ids.flatten().collect();
        let found = ids.into_iter().filter_map(|id| self.launches.get(id));
        found.cloned().collect()
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
