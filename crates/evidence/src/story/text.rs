use std::fmt;

use super::{LogPlace, PolicyFact, ScopeFact, Story};
use crate::{Replay, ReportOutcome};

/// Plain text, a few lines for each fact. Control characters of what others wrote are left out.
impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = Page(Vec::new());
        self.head(&mut page);
        self.who(&mut page);
        self.what(&mut page);
        self.whose(&mut page);
        self.allowed_by(&mut page);
        self.still(&mut page);
        f.write_str(&page.0.join("\n"))
    }
}

impl ScopeFact {
    /// What was decided, with the mark of what was not enforced.
    fn decided(&self) -> String {
        let mark = match self.unenforced {
            Some(_) => ", unenforced",
            None => "",
        };
        format!("{} ({}){mark}", self.ruling.name(), self.reason)
    }
}

impl fmt::Display for PolicyFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

struct Page(Vec<String>);

impl Page {
    fn head(&mut self, text: &str) {
        self.0.push(String::new());
        self.0.push(text.to_owned());
    }

    fn line(&mut self, name: &str, text: impl fmt::Display) {
        let clean: String = text
            .to_string()
            .chars()
            .map(|one| if one.is_control() { ' ' } else { one })
            .collect();
        self.0.push(format!("   {name:<12} {clean}"));
    }

    fn maybe(&mut self, name: &str, text: Option<impl fmt::Display>) {
        if let Some(text) = text {
            self.line(name, text);
        }
    }

    fn places(&mut self, places: &[LogPlace]) {
        for place in places {
            let LogPlace {
                origin,
                index,
                entry,
                leaf,
                ..
            } = place;
            self.line(
                "log",
                format!("{origin} entry {index} ({entry}), leaf {leaf}"),
            );
        }
    }
}

/// What is said in the place of what was erased.
const ERASED: &str = "erased";

impl Story {
    fn has_lost(&self, part: &str) -> bool {
        self.erased.contains(&part)
    }

    /// What is said where a part of the story is not there.
    fn absent(&self, part: &str) -> &'static str {
        match self.has_lost(part) {
            true => ERASED,
            false => "not disclosed",
        }
    }

    fn head(&self, page: &mut Page) {
        let action = &self.action;
        page.0
            .push(format!("{} in {}", self.execution, self.session));
        page.line(
            "evidence",
            match self.evidence {
                ReportOutcome::Verified => "verified",
                ReportOutcome::Unenforced => {
                    "what is there holds; policy was not enforced in all calls"
                }
                ReportOutcome::Erased => "erased in part: what is left is verified",
                ReportOutcome::Failed => "FAILED: run verify and read its findings first",
                ReportOutcome::SelfAsserted => "SELF-ASSERTED",
            },
        );
        page.line(
            "call",
            format!("{} {}/{}", action.kind.name(), action.server, action.name),
        );
        match (&action.arguments, self.has_lost("arguments")) {
            (None, true) => page.line("arguments", ERASED),
            (arguments, _) => page.maybe("arguments", arguments.as_ref()),
        }
        page.line("decision", self.allowed.decided());
        if action.gap {
            page.line(
                "gap",
                "the gateway broke off before an outcome: it may have happened",
            );
        }
        page.maybe("outcome", action.outcome.map(|outcome| outcome.name()));
        page.places(&action.places);
    }

    fn who(&self, page: &mut Page) {
        let fact = &self.instance;
        page.head("1. Which instance did it");
        page.line("instance", &fact.instance);
        page.line("agent", &fact.agent);
        page.maybe("launch", fact.launch);
        page.maybe("node", fact.node.as_ref());
        match &fact.ended {
            Some(end) => page.line("process", format!("ended {} ({})", end.at, end.reason)),
            None => page.line("process", "the log knows of no end"),
        }
        page.places(&fact.places);
    }

    fn what(&self, page: &mut Page) {
        let fact = &self.made_of;
        page.head("2. What code, prompt, tools and policy it was");
        page.line(
            "manifest",
            format!("{} {}", fact.manifest_id, fact.manifest),
        );
        page.maybe("intent", fact.intent.as_ref());
        page.maybe("code", fact.code);
        page.maybe("executable", fact.executable);
        page.maybe("prompt", fact.prompt);
        page.line("tools", fact.tools);
        page.line("policy", fact.policy);
        page.line(
            "rests on",
            format!("{}, {}", fact.attestation_level, fact.isolation),
        );
        page.places(&fact.places);
    }

    fn whose(&self, page: &mut Page) {
        let fact = &self.on_behalf;
        page.head("3. On whose behalf, for which goal");
        page.line(
            "principal",
            fact.principal
                .as_deref()
                .unwrap_or_else(|| self.absent("principal")),
        );
        page.line("assurance", fact.assurance);
        page.maybe("operator", fact.operator.as_ref());
        page.line(
            "goal",
            fact.goal
                .as_deref()
                .unwrap_or_else(|| self.absent("mission")),
        );
        page.maybe("step", fact.step.as_ref());
        page.line("mission", fact.mission_digest);
        if self.has_lost("chain") {
            page.line("delegation", ERASED);
        }
        for link in &fact.chain {
            let text = format!(
                "{} -> {} until {}",
                link.delegator, link.delegate, link.expires
            );
            page.line("delegation", text);
        }
        page.places(&fact.places);
    }

    fn allowed_by(&self, page: &mut Page) {
        let fact = &self.allowed;
        page.head("4. Who or what allowed it, and was it in scope");
        page.line("decision", fact.decided());
        for policy in &fact.determining {
            page.line("policy", policy);
        }
        if let Some(said) = &fact.unenforced {
            let verdict = format!(
                "policy says {} ({}), which was not enforced: observed by {}",
                said.verdict.name(),
                said.reason,
                said.by.name()
            );
            page.line("unenforced", verdict);
            for policy in &said.determining {
                page.line("unenforced", policy);
            }
        }
        for approval in &fact.approvals {
            let marks: Vec<_> = approval.marks.iter().map(|mark| mark.name()).collect();
            let marks = if marks.is_empty() {
                String::new()
            } else {
                format!(" [{}]", marks.join(", "))
            };
            let (by, verdict) = (approval.approver, approval.verdict.name());
            page.line(
                "approval",
                format!("{} {verdict} by {by}{marks}", approval.approval),
            );
        }
        page.line(
            "replay",
            match fact.replay {
                Replay::Rederived => "the same decision comes out again",
                Replay::Unproven => "denied for a reason that is not in evidence",
                Replay::Differs => "ANOTHER DECISION COMES OUT",
                Replay::Erased => "erased: what was presented is gone",
            },
        );
        page.places(&fact.places);
    }

    fn still(&self, page: &mut Page) {
        let fact = &self.authority;
        page.head("5. Is that authority still valid");
        page.line("valid", if fact.valid { "yes" } else { "no" });
        for reason in &fact.over {
            page.line("because", reason);
        }
        page.maybe("chain until", fact.chain_expires);
        page.line("token until", fact.credential_expires);
        page.line("asked at", self.asked_at);
        page.places(&fact.places);
    }
}
