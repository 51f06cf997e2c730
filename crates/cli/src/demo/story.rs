//! The story: what had to happen, what did, and where it stands in the log.

use std::fmt::Write as _;

use serde::Serialize;

/// One step of the mission.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Step {
    /// What happens.
    pub(crate) title: String,
    /// What was seen: ids, reason codes, figures.
    pub(crate) seen: String,
    /// Whether it went as it must.
    pub(crate) ok: bool,
}

/// The whole mission.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Story {
    /// In order.
    pub(crate) steps: Vec<Step>,
    /// What is weaker than it could be, in the words of the evidence.
    pub(crate) marks: Vec<String>,
    /// The folder that is left behind.
    pub(crate) run_folder: String,
    /// The trust document, outside of the run folder.
    pub(crate) trust: String,
}

impl Step {
    /// What was seen, one thing a line.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.seen.split("; ").filter(|line| !line.is_empty())
    }
}

impl Story {
    pub(crate) fn tell(&mut self, title: &str, ok: bool, seen: impl Into<String>) {
        self.steps.push(Step {
            title: title.to_owned(),
            seen: seen.into(),
            ok,
        });
    }

    /// Whether every step went as it must.
    pub(crate) fn went_well(&self) -> bool {
        self.steps.iter().all(|step| step.ok)
    }

    /// How many steps went as they must.
    pub(crate) fn summary(&self) -> String {
        let well = self.steps.iter().filter(|step| step.ok).count();
        format!("{well} of {} steps went as they must.", self.steps.len())
    }

    /// For people: each step, and below it what was seen.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for (place, step) in self.steps.iter().enumerate() {
            let mark = if step.ok { "" } else { "NOT AS IT MUST: " };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:>3}. {mark}{}", place + 1, step.title);
            for line in step.lines() {
                let _ = writeln!(text, "     {line}");
            }
        }
        let _ = write!(
            text,
            "\n{}\nThis run is: {}\n\nrun folder      {}\ntrust document  {}\n",
            self.summary(),
            self.marks.join(", "),
            self.run_folder,
            self.trust
        );
        text
    }
}
