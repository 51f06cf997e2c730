//! Many workloads, and what they tell.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command as Program};
use tokio::sync::mpsc;

use super::usage::Usage;
use super::workload::{Command, Event, WORKLOAD};

/// How long something that has to come may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// So many workloads; they end when it is dropped.
pub(crate) struct Fleet {
    workloads: Vec<(Child, ChildStdin)>,
    events: mpsc::UnboundedReceiver<(usize, Event)>,
}

impl Fleet {
    /// Starts them; none of them is an instance of anything yet.
    pub(crate) fn start(sockets: &Path, count: usize) -> anyhow::Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let mut workloads = Vec::new();
        for number in 0..count {
            let mut child = Program::new(std::env::current_exe()?)
                .arg(WORKLOAD)
                .arg(sockets)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let input = child.stdin.take().context("a workload without input")?;
            let output = child.stdout.take().context("a workload without output")?;
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(output).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let event = serde_json::from_str(&line)
                        .unwrap_or_else(|error| Event::Failed(format!("{line}: {error}")));
                    if sender.send((number, event)).is_err() {
                        return;
                    }
                }
            });
            workloads.push((child, input));
        }
        Ok(Self { workloads, events })
    }

    pub(crate) const fn len(&self) -> usize {
        self.workloads.len()
    }

    /// Tells one of them something.
    pub(crate) async fn tell(&mut self, number: usize, command: &Command) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        let workload = self.workloads.get_mut(number).context("no such workload")?;
        Ok(workload.1.write_all(&line).await?)
    }

    /// Tells all of them something.
    pub(crate) async fn tell_all(&mut self, command: &Command) -> anyhow::Result<()> {
        for number in 0..self.len() {
            self.tell(number, command).await?;
        }
        Ok(())
    }

    /// Takes what they tell until `take` has had enough. What fails ends it.
    pub(crate) async fn until(
        &mut self,
        mut take: impl FnMut(usize, &Event) -> bool,
    ) -> anyhow::Result<()> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            let (number, event) = next
                .context("the workloads tell nothing")?
                .context("the workloads have ended")?;
            if let Event::Failed(why) = &event {
                anyhow::bail!("workload {number}: {why}");
            }
            if take(number, &event) {
                return Ok(());
            }
        }
    }

    /// What they told already.
    pub(crate) fn told(&mut self) -> Option<(usize, Event)> {
        self.events.try_recv().ok()
    }

    /// Makes each of them an instance of that agent, so many at a time; those that have a stream open hear
    /// of it there.
    pub(crate) async fn register_all(&mut self, agent: &str) -> anyhow::Result<Vec<String>> {
        self.tell_all(&Command::Register(agent.to_owned())).await?;
        let mut ids = vec![String::new(); self.len()];
        let mut missing = self.len();
        self.until(|number, event| {
            if let (Event::Registered(id), Some(place)) = (event, ids.get_mut(number)) {
                id.clone_into(place);
                missing -= 1;
            }
            missing == 0
        })
        .await?;
        ensure!(
            ids.iter().all(|id| !id.is_empty()),
            "a workload is no instance"
        );
        Ok(ids)
    }

    /// Opens the stream of each of them, until each has had its first message with `svids` SVIDs; when the
    /// first one was told, and when the last one had them.
    pub(crate) async fn open_all(&mut self, svids: usize) -> anyhow::Result<(u64, u64)> {
        let begun = super::monotonic();
        self.tell_all(&Command::Open).await?;
        let mut fresh = vec![0; self.len()];
        let mut last = begun;
        let mut missing = self.len();
        self.until(|number, event| {
            if let (Event::Received(received), Some(count)) = (event, fresh.get_mut(number)) {
                let before = *count;
                *count += received.fresh;
                last = last.max(received.at);
                missing -= usize::from(before < svids && *count >= svids);
            }
            missing == 0
        })
        .await?;
        Ok((begun, last))
    }

    /// What all of them have used, together.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let mut sum = Usage::default();
        for (child, _) in &self.workloads {
            let one = Usage::of(child.id().context("a workload has ended")?)?;
            sum.cpu += one.cpu;
            sum.resident += one.resident;
        }
        Ok(sum)
    }
}
