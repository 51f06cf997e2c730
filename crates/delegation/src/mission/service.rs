use super::{Mission, Step};
use crate::token::Call;

/// Why a call serves no step of its mission. A person may let it happen all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved<'a> {
    /// The call names no step.
    NoStep,
    /// The mission has no such step.
    UnknownStep(&'a str),
    /// The step does not list the means.
    Unlisted(&'a str),
}

impl Unserved<'_> {
    /// How a log names the question.
    pub fn label(self) -> String {
        match self {
            Self::NoStep => "mission:no-step".to_owned(),
            Self::UnknownStep(step) => format!("mission:unknown-step:{step}"),
            Self::Unlisted(step) => format!("mission:unlisted:{step}"),
        }
    }
}

impl Mission {
    /// Which of the forbidden means apply to the call. As with every prohibition, one whose
    /// constraints cannot be judged applies.
    pub fn forbids(&self, call: &Call<'_>) -> Vec<usize> {
        let forbidden = self.forbid.iter().enumerate();
        forbidden
            .filter(|(_, entry)| entry.applies_to(call))
            .map(|(place, _)| place)
            .collect()
    }

    /// The step of that id.
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// Whether the step that a call names lists the means that it uses.
    pub fn served<'s>(&self, step: Option<&'s str>, call: &Call<'_>) -> Result<(), Unserved<'s>> {
        let id = step.ok_or(Unserved::NoStep)?;
        let step = self.step(id).ok_or(Unserved::UnknownStep(id))?;
        if step.lists(call) {
            Ok(())
        } else {
            Err(Unserved::Unlisted(id))
        }
    }

    /// The only step that lists the call: what a caller means who names none. Of several none is
    /// meant.
    pub fn only_step_for(&self, call: &Call<'_>) -> Option<&Step> {
        let mut listing = self.steps.iter().filter(|step| step.lists(call));
        let only = listing.next()?;
        listing.next().is_none().then_some(only)
    }
}

impl Step {
    /// Whether one of its means permits the call.
    pub fn lists(&self, call: &Call<'_>) -> bool {
        self.means.iter().any(|entry| entry.permits(call))
    }
}
