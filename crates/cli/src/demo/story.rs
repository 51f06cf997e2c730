//! The story: what had to happen, what did, and where it stands in the log.

use serde::Serialize;

use crate::output;

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

    /// As a table for people.
    pub(crate) fn to_text(&self) -> String {
        let rows = self.steps.iter().enumerate().map(|(place, step)| {
            let mark = if step.ok {
                "as it must"
            } else {
                "NOT AS IT MUST"
            };
            [
                (place + 1).to_string(),
                step.title.clone(),
                step.seen.clone(),
                mark.to_owned(),
            ]
        });
        let table = output::table(["", "step", "seen", ""], rows);
        format!(
            "{table}\n\nThis run is: {}\nrun folder      {}\ntrust document  {}\n",
            self.marks.join(", "),
            self.run_folder,
            self.trust
        )
    }
}
