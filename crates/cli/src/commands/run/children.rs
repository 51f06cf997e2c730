//! Children that nobody waits for: what they wrote and how they ended, until somebody asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chancery_agent::{MAX_ENDS, SpawnEnd, SpawnEnds, SpawnError};
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;
use tokio::sync::watch;

/// Most bytes that are kept of what a child writes; what follows is read and thrown away, so that the
/// child does not stand still.
const OUTPUT_BYTES: u64 = 64 << 10;

/// Most ends that are kept: those of the earliest names go first.
const MOST_KEPT: usize = 4_096;

/// A child's end, once it has come.
type End = watch::Receiver<Option<SpawnEnd>>;

/// The children of one parent, by their SPIFFE IDs.
#[derive(Debug, Default)]
pub(super) struct Children(Mutex<BTreeMap<String, End>>);

impl Children {
    /// Follows a child to its end.
    pub(super) fn watch(&self, instance: &str, mut process: Child) {
        let (told, end) = watch::channel(None);
        let mut all = self.all();
        while all.len() >= MOST_KEPT {
            let over = all.iter().find(|(_, end)| end.borrow().is_some());
            let Some(over) = over.map(|(name, _)| name.clone()) else {
                break;
            };
            all.remove(&over);
        }
        all.insert(instance.to_owned(), end);
        drop(all);
        let instance = instance.to_owned();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            if let Some(out) = process.stdout.take() {
                let mut out = out.take(OUTPUT_BYTES);
                // A pipe that breaks is the child's end.
                let _ = out.read_to_end(&mut kept).await;
                let _ = tokio::io::copy(&mut out.into_inner(), &mut tokio::io::sink()).await;
            }
            let status = process.wait().await.ok();
            told.send_replace(Some(SpawnEnd {
                instance,
                exit_code: status.and_then(|status| status.code()).unwrap_or(-1),
                stdout: String::from_utf8_lossy(&kept).into_owned(),
            }));
        });
    }

    /// Waits until all of them have ended; each end is handed out once.
    pub(super) async fn ends(&self, instances: &[String]) -> Result<SpawnEnds, SpawnError> {
        if instances.len() > MAX_ENDS {
            return Err(SpawnError {
                reason: "spawn_too_many".to_owned(),
                message: format!("the ends of {} children in one answer", instances.len()),
                remedy: Some(format!(
                    "ask for {MAX_ENDS} at most, and then for the others"
                )),
            });
        }
        let waited: Vec<End> = {
            let all = self.all();
            let known = instances.iter().map(|name| {
                let end = all.get(name).cloned();
                end.ok_or_else(|| unknown(name))
            });
            known.collect::<Result<_, _>>()?
        };
        let mut ends = Vec::new();
        for (name, mut end) in instances.iter().zip(waited) {
            let ended = end.wait_for(Option::is_some).await.ok();
            let ended = ended.and_then(|ended| ended.clone());
            ends.push(ended.ok_or_else(|| unknown(name))?);
        }
        let mut all = self.all();
        for name in instances {
            all.remove(name);
        }
        Ok(SpawnEnds { ends })
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, End>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(name: &str) -> SpawnError {
    SpawnError {
        reason: "child_unknown".to_owned(),
        message: format!("{name} was not started here, or its end was handed out"),
        remedy: Some("see the roster: chancery roster".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::process::Command;

    use super::*;

    fn child(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        command.spawn().unwrap()
    }

    #[tokio::test]
    async fn an_end_is_handed_out_once_and_to_nobody_who_names_another() {
        let children = Children::default();
        children.watch("a", child("echo one; exit 3"));
        children.watch("b", child("yes | head -c 200000"));
        let names = ["b".to_owned(), "a".to_owned()];
        let stranger = ["a".to_owned(), "c".to_owned()];
        let refused = children.ends(&stranger).await.unwrap_err();
        assert_eq!(refused.reason, "child_unknown");
        let ends = children.ends(&names).await.unwrap().ends;
        assert_eq!(ends[0].stdout.len() as u64, OUTPUT_BYTES);
        assert_eq!(ends[0].exit_code, 0);
        assert_eq!((ends[1].stdout.as_str(), ends[1].exit_code), ("one\n", 3));
        assert!(children.ends(&names).await.is_err());
        // More than an answer holds are not asked for, and nothing of them is lost.
        let many: Vec<String> = (0..=MAX_ENDS).map(|number| number.to_string()).collect();
        many.iter()
            .for_each(|name| children.watch(name, child("true")));
        let refused = children.ends(&many).await.unwrap_err();
        assert_eq!(refused.reason, "spawn_too_many");
        let (first, last) = many.split_at(MAX_ENDS);
        assert_eq!(children.ends(first).await.unwrap().ends.len(), MAX_ENDS);
        assert_eq!(children.ends(last).await.unwrap().ends.len(), 1);
        assert_eq!(children.ends(&[]).await.unwrap().ends, []);
    }
}
