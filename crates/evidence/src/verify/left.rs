//! What the logs alone still say of a chain that was erased: its links as they were enrolled before it
//! was used, from the leaf up to the root that the server's log has. The person, the keys of links
//! that no member holds, and what each link grants are gone.

use chancery_audit::{
    Decision, DelegationEnrol, DelegationRoot, Event, Label, Ruling, SessionEnd, Verdict,
};
use chancery_delegation::{Reason, RevocationSet};
use chancery_types::{Digest, RevocationKind};

use super::case::{Case, Desk};
use super::chains::{Presented, enrolled_root};
use super::decisions::Replay;
use super::follower::Follower;
use super::roll::Logged;
use crate::report::Axis;
use crate::{ObjectKind, Withdrawn};

/// Causes of a revoked session's end that no log tells once the chain is gone: who the person is, and
/// which key the root's holder has.
const UNTOLD: [RevocationKind; 2] = [RevocationKind::Person, RevocationKind::Key];

/// What is left of a chain.
pub(super) struct Left<'c> {
    /// The leaf first.
    links: Vec<&'c DelegationEnrol>,
    pub(super) root: &'c DelegationRoot,
    /// Who acts by it.
    pub(super) holder: &'c Label,
    /// The agent keys of those holders who are in the session.
    keys: Vec<Digest>,
}

/// What does not hold of it.
type Fault = (Axis, &'static str, &'static str);

const REFUSED: &str = "chain_refused";

impl Follower<'_, '_> {
    /// A decision about what was erased: nothing is decided again, and what the logs say of it must
    /// still hold.
    pub(super) fn decided_before(&mut self, logged: &Logged, decision: &Decision) -> Replay {
        self.demand_named(logged, decision);
        if decision.outcome == Ruling::Deny {
            return Replay::Erased;
        }
        self.check_facts(logged, decision);
        self.check_presented(logged, decision);
        self.check_heard(logged, decision);
        let case = self.case;
        for known in case.entries() {
            if let Event::ApprovalGrant(grant) = &known.entry.event
                && grant.verdict == Verdict::Approve
                && decision.approvals.contains(&grant.approval)
            {
                let id = grant.approver.to_string();
                self.heard.check_approver(case, self.desk, &id, logged);
            }
        }
        Replay::Erased
    }

    /// The chain that was presented verifies and is of who acts by it; where it was erased, what is left
    /// of it holds.
    fn check_presented(&mut self, logged: &Logged, decision: &Decision) {
        let (case, chains) = (self.case, &mut self.chains);
        let withdrawn = [Reason::Revoked, Reason::StaleEpoch];
        let (axis, reason, text) = match chains.present(case, self.desk, decision.chain, logged) {
            Presented::Missing => {
                let (leaf, instance) = (&decision.leaf, &decision.instance);
                return self.check_left(logged, decision.chain, leaf, instance);
            }
            Presented::Verified(chain)
                if Label::or_digest(chain.leaf_subject().as_str()) == decision.instance =>
            {
                return;
            }
            Presented::Verified(_) => {
                let text = "another one holds the chain than acts by it".to_owned();
                (Axis::Authenticity, REFUSED, text)
            }
            Presented::Absent => {
                let text = "no chain was presented".to_owned();
                (Axis::Authenticity, REFUSED, text)
            }
            Presented::Refused(refusal) => {
                let (axis, reason) = match withdrawn.contains(&refusal.reason) {
                    true => (Axis::Revocation, "allowed_revoked"),
                    false => (Axis::Authenticity, REFUSED),
                };
                (
                    axis,
                    reason,
                    format!("the chain does not verify: {refusal}"),
                )
            }
        };
        self.desk.found.add(axis, case.place(logged), reason, text);
    }

    /// What the rules for sessions made of the call is what follows without its arguments.
    fn check_facts(&mut self, logged: &Logged, decision: &Decision) {
        let (case, at) = (self.case, logged.entry.at);
        let policy = self
            .policies
            .in_force(case, self.desk, decision.policy, logged);
        let (Some(policy), Some(open)) = (policy, self.session.as_open()) else {
            return;
        };
        if let Err(what) = open.check_erased(at, decision, &policy, &self.commons) {
            let text = format!("without the arguments, which were erased, its {what} differ");
            let (axis, place) = (Axis::Scope, case.place(logged));
            self.desk.found.add(axis, place, "facts_differ", text);
        }
    }

    /// Whatever a decision names is there or was erased.
    fn demand_named(&mut self, logged: &Logged, decision: &Decision) {
        let place = self.case.place(logged);
        let proof = Some(decision.proof).filter(|proof| *proof != Digest::of(b""));
        let named = [
            (Some(decision.request.args_digest), ObjectKind::Arguments),
            (proof, ObjectKind::Proof),
            (decision.opinion, ObjectKind::Opinion),
        ];
        let (found, objects) = (&mut self.desk.found, &mut self.desk.objects);
        for (digest, kind) in named {
            if let Some(digest) = digest {
                objects.demand(digest, kind, found, &place);
            }
        }
    }

    /// Where a chain was erased: the links that were enrolled before lead from who acts by it to a root
    /// that the server's log has, none of them is over, and nothing of them was withdrawn.
    pub(super) fn check_left(
        &mut self,
        logged: &Logged,
        chain: Digest,
        leaf: &Label,
        instance: &Label,
    ) {
        if !self.desk.objects.is_erased(chain) {
            return;
        }
        let (case, place) = (self.case, self.case.place(logged));
        let left = match Left::read(case, logged, leaf, instance) {
            Ok(left) => left,
            Err((axis, reason, text)) => {
                let text = format!("the chain was erased; by the logs {text}");
                self.desk.found.add(axis, place, reason, text);
                return;
            }
        };
        let known = case.standing(logged);
        match left.causes(known.epoch, known.revoked).first() {
            Some(what) => {
                let text = format!("rests on a chain whose {what} was withdrawn before");
                let axis = Axis::Revocation;
                self.desk.found.add(axis, place, "allowed_revoked", text);
            }
            None => self.heard.check_left(case, self.desk, &left, logged),
        }
    }
}

impl<'c> Left<'c> {
    fn read(
        case: &'c Case<'_>,
        at: &Logged,
        leaf: &Label,
        instance: &Label,
    ) -> Result<Self, Fault> {
        // A session is opened before the links of the one who opens it are enrolled.
        let links = match at.entry.event {
            Event::SessionOpen(_) => Vec::new(),
            _ => links(case, at, leaf, instance)?,
        };
        let jti = links.last().map_or(leaf, |link| &link.delegation);
        let authenticity = |reason, text| (Axis::Authenticity, reason, text);
        let (logged, root) = enrolled_root(case, jti.as_str()).ok_or(authenticity(
            "root_not_enrolled",
            "it has no root in the server's log",
        ))?;
        let mission = case.opened().map(|(_, open)| open.mission);
        let same = links.last().is_none_or(|link| {
            link.link == root.link && link.delegate == root.delegate && link.expires == root.expires
        });
        if !same || mission != Some(root.mission) {
            let text = "its root is another one than the server's log has";
            return Err(authenticity("root_differs", text));
        }
        if at.entry.at >= root.expires {
            return Err(authenticity(REFUSED, "its root was over"));
        }
        if !case.is_before(logged, at) {
            let text = "its root was enrolled after it was used";
            return Err((Axis::Completeness, "root_late", text));
        }
        let holder = links.first().map_or(&root.delegate, |link| &link.delegate);
        let keys = case.entries().filter_map(|known| match &known.entry.event {
            Event::SessionJoin(join)
                if root.delegate == join.instance
                    || links.iter().any(|link| link.delegate == join.instance) =>
            {
                Some(join.agent_key)
            }
            _ => None,
        });
        Ok(Self {
            keys: keys.collect(),
            links,
            root,
            holder,
        })
    }

    /// What of it is withdrawn, in the words of refusals.
    pub(super) fn causes(&self, epoch: u64, revoked: &RevocationSet) -> Vec<&'static str> {
        let root = self.root;
        let links = self.links.iter();
        let links = links.map(|link| (&link.delegation, &link.delegate));
        let mut causes = Vec::new();
        for (jti, holder) in links.chain([(&root.delegation, &root.delegate)]) {
            let token = revoked.has_token(jti.as_str());
            causes.extend(token.then_some(RevocationKind::Token.name()));
            let instance = revoked.of_instance(holder.as_str());
            causes.extend(instance.map(RevocationKind::name));
        }
        let key = |key: &Digest| revoked.since(RevocationKind::Key, &key.to_string());
        let of_root = [
            (
                revoked.has_session(&root.session.to_string()),
                RevocationKind::Session,
            ),
            (revoked.has_mission(&root.mission), RevocationKind::Mission),
            (
                root.standing.is_some_and(|id| revoked.has_consent(id)),
                RevocationKind::Consent,
            ),
            (
                self.keys.iter().any(|known| key(known).is_some()),
                RevocationKind::Key,
            ),
        ];
        let fallen = of_root.into_iter().filter(|(is_revoked, _)| *is_revoked);
        causes.extend(fallen.map(|(_, kind)| kind.name()));
        causes.extend((root.epoch != epoch).then_some("epoch"));
        causes
    }
}

/// The enrolled links of a chain, the leaf first: each was held by who acts or delegates by it, was
/// not over, and does not outlive the one above it.
fn links<'c>(
    case: &'c Case<'_>,
    at: &Logged,
    leaf: &Label,
    instance: &Label,
) -> Result<Vec<&'c DelegationEnrol>, Fault> {
    let refused = |text| (Axis::Authenticity, REFUSED, text);
    let mut links: Vec<&DelegationEnrol> = Vec::new();
    let mut wanted = Some(leaf);
    while let Some(jti) = wanted {
        let before = case
            .entries()
            .take_while(|known| known.leaf.index < at.leaf.index);
        let mut enrolled = before.filter_map(|known| match &known.entry.event {
            Event::DelegationEnrol(link) if link.delegation == *jti => Some(link),
            _ => None,
        });
        let text = "a link of it was not enrolled before";
        let link = enrolled
            .next()
            .ok_or((Axis::Completeness, "link_not_enrolled", text))?;
        let holder = links.last().map_or(instance, |below| &below.delegator);
        if link.delegate != *holder {
            return Err(refused("another one holds a link of it than uses it"));
        }
        if at.entry.at >= link.expires {
            return Err(refused("a link of it was over"));
        }
        let narrows = links.last().is_none_or(|below| {
            Some(below.depth) == link.depth.checked_add(1) && below.expires <= link.expires
        });
        if !narrows {
            return Err(refused("a link of it does not narrow the one above it"));
        }
        links.push(link);
        wanted = link.parent.as_ref();
    }
    let authority = links.last().map(|root| &root.delegator);
    let known = case.trust.delegation_authorities.iter();
    let is_known = known
        .map(|one| Label::or_digest(&one.issuer))
        .any(|issuer| Some(&issuer) == authority);
    match is_known {
        true => Ok(links),
        false => Err(refused("no authority of the trust document made its root")),
    }
}

/// A session that ended as revoked was, as far as the logs tell it of a chain that was erased.
pub(super) fn check_revoked_end(
    case: &Case<'_>,
    desk: &mut Desk<'_>,
    state: &Withdrawn,
    (logged, end): (&Logged, &SessionEnd),
) {
    let said = end.cause.as_ref().map(Label::as_str).unwrap_or_default();
    if UNTOLD.iter().any(|kind| kind.name() == said) {
        return;
    }
    let roots = case.entries().filter_map(|known| match &known.entry.event {
        Event::DelegationEnrol(link) if link.parent.is_none() => {
            enrolled_root(case, link.delegation.as_str())
        }
        _ => None,
    });
    let mut lefts = roots.map(|(_, root)| Left {
        links: Vec::new(),
        root,
        holder: &root.delegate,
        keys: Vec::new(),
    });
    let founded = lefts.any(|left| left.causes(state.epoch, &state.revoked).contains(&said));
    let text = "says that its authority was revoked; by what governed then it was not";
    let (axis, place) = (Axis::Revocation, case.place(logged));
    desk.found
        .require(founded, axis, &place, "revocation_unfounded", text);
}
