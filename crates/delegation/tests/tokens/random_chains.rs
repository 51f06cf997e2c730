//! Random chains: what holds for every valid one, and what is refused of every one that was changed.

use chancery_delegation::{
    BoundedReplayMemory, Call, Entry, ProofContext, ProofDraft, Reason, Refusal, Target, Terms,
    VerifiedChain, authorise, verify_proof,
};
use chancery_types::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::*;

const TOOLS: [&str; 3] = ["read", "write", "drop"];
const OTHERS: [&str; 2] = [
    "spiffe://acme.example/service/b",
    "spiffe://acme.example/service/c",
];

/// What one entry permits: calls of a tool with an integer and a path.
#[derive(Debug, Clone)]
struct Scope {
    tool: usize,
    low: i64,
    high: i64,
    path: Vec<String>,
    calls: Option<u64>,
}

/// What a root or link permits, known apart from any token.
#[derive(Debug, Clone)]
struct Model {
    scopes: Vec<Scope>,
    not_before: u64,
    expires_at: u64,
    max_depth: u64,
    audience: Vec<String>,
}

/// How a link narrows its parent.
#[derive(Debug, Clone)]
struct Step {
    keep: u8,
    low: i64,
    high: i64,
    deeper: Option<String>,
    calls: Option<u64>,
    later: u64,
    sooner: u64,
    shallower: u64,
    audience: Option<bool>,
}

impl Scope {
    fn entry(&self) -> Entry {
        let mut value = json!({
            "type": "mcp_tool", "server": "fs", "tool": TOOLS[self.tool],
            "args": {
                "n": {"int_range": [self.low, self.high]},
                "path": {"path_prefix": format!("/{}", self.path.join("/"))},
            },
        });
        if let Some(calls) = self.calls {
            value["limits"] = json!({"max_calls": calls});
        }
        entry(value)
    }

    fn permits(&self, tool: &str, n: i64, path: &[String]) -> bool {
        TOOLS[self.tool] == tool
            && (self.low..=self.high).contains(&n)
            && path.starts_with(&self.path)
    }

    fn narrow(&self, step: &Step) -> Self {
        let low = (self.low + step.low).min(self.high);
        let mut path = self.path.clone();
        path.extend(step.deeper.clone());
        Self {
            tool: self.tool,
            low,
            high: (self.high - step.high).max(low),
            path,
            calls: match (self.calls, step.calls) {
                (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
                (mine, theirs) => mine.or(theirs),
            },
        }
    }
}

impl Model {
    fn narrow(&self, step: &Step) -> Self {
        let kept = self.scopes.iter().enumerate();
        let kept = kept.filter(|(at, _)| step.keep >> at & 1 == 1);
        let expires_at = self.expires_at - step.sooner;
        let mut audience = self.audience.clone();
        if step.audience == Some(true) {
            audience.truncate(1);
        }
        Self {
            scopes: kept.map(|(_, scope)| scope.narrow(step)).collect(),
            not_before: self.not_before + step.later,
            expires_at,
            max_depth: self.max_depth - step.shallower,
            audience,
        }
    }

    fn terms(&self, at: usize, step: Option<&Step>) -> Terms {
        Terms {
            audience: match step {
                // A link that names nobody inherits.
                Some(Step { audience: None, .. }) => None,
                _ => Some(self.audience.clone()),
            },
            issued_at: NOW.minus_seconds(60),
            not_before: Timestamp::from_seconds(self.not_before),
            expires_at: Timestamp::from_seconds(self.expires_at),
            max_depth: self.max_depth,
            ..terms(at, self.scopes.iter().map(Scope::entry).collect())
        }
    }

    fn permits(&self, tool: &str, n: i64, path: &[String]) -> bool {
        self.scopes.iter().any(|scope| scope.permits(tool, n, path))
    }
}

fn scope() -> impl Strategy<Value = Scope> {
    let path = prop::collection::vec("[a-c]", 1..3);
    let calls = prop::option::of(1..50_u64);
    (0..TOOLS.len(), -20..20_i64, 0..30_i64, path, calls).prop_map(
        |(tool, low, wide, path, calls)| Scope {
            tool,
            low,
            high: low + wide,
            path,
            calls,
        },
    )
}

fn root() -> impl Strategy<Value = Model> {
    (prop::collection::vec(scope(), 1..5), 0..3_usize).prop_map(|(scopes, others)| {
        let mut audience = vec![GATEWAY.to_owned()];
        audience.extend(OTHERS[..others].iter().map(ToString::to_string));
        Model {
            scopes,
            not_before: NOW.as_seconds() - 600,
            expires_at: NOW.as_seconds() + 3_600,
            // Every step may take one, and seven links may follow.
            max_depth: 14,
            audience,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    (
        (any::<u8>(), 0..6_i64, 0..6_i64, prop::option::of("[a-c]")),
        (prop::option::of(1..50_u64), 0..60_u64, 0..60_u64, 0..2_u64),
        prop::option::of(any::<bool>()),
    )
        .prop_map(
            |((keep, low, high, deeper), (calls, later, sooner, shallower), audience)| Step {
                keep,
                low,
                high,
                deeper,
                calls,
                later,
                sooner,
                shallower,
                audience,
            },
        )
}

/// A chain with what each of its links permits. At most 5 links below the root: more bytes than that
/// are refused for their number.
#[derive(Debug, Clone)]
struct Made {
    tokens: Vec<String>,
    models: Vec<Model>,
}

fn made(links: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Made> {
    (root(), prop::collection::vec(step(), links)).prop_map(|(root, steps)| make(root, &steps))
}

fn make(root: Model, steps: &[Step]) -> Made {
    let mut draft = root_draft(Vec::new());
    draft.terms = root.terms(0, None);
    let mut tokens = vec![make_root(&draft).unwrap()];
    let mut models = vec![root];
    for (at, step) in (1..).zip(steps) {
        let model = models[at - 1].narrow(step);
        tokens.push(make_link(&tokens, model.terms(at, Some(step))).unwrap());
        models.push(model);
    }
    Made { tokens, models }
}

/// A call: tool, integer, path.
type Sample = (usize, i64, Vec<String>);

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let one = (
        0..TOOLS.len(),
        -30..60_i64,
        prop::collection::vec("[a-c]", 1..6),
    );
    prop::collection::vec(one, 1..12)
}

fn args((_, n, path): &Sample) -> Map<String, Value> {
    let args = json!({"n": n, "path": format!("/{}", path.join("/"))});
    args.as_object().cloned().unwrap()
}

fn call<'a>(sample: &Sample, args: &'a Map<String, Value>) -> Call<'a> {
    Call {
        server: "fs",
        target: Target::Tool(TOOLS[sample.0]),
        args,
    }
}

/// What a chain alone makes of a call: 0 allowed, 1 a person is asked, 2 denied.
fn severity(chain: &VerifiedChain, sample: &Sample) -> u8 {
    let args = args(sample);
    let scope = authorise(chain, &call(sample, &args));
    match (scope.covered(), scope.forbidden(), scope.asked()) {
        (Err(_), _, _) => 2,
        (_, [_, ..], _) => 2,
        (_, _, [_, ..]) => 1,
        _ => 0,
    }
}

fn refusal(chain: &[String]) -> Refusal {
    verify(chain).map(drop).unwrap_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Permissions, budgets, time, depth and audience of every link are within those of all above
    /// it, by a model that knows nothing of tokens.
    #[test]
    fn a_child_is_within_its_parent(made in made(0..=5), samples in samples()) {
        let chain = verify(&made.tokens).unwrap();
        let grants: Vec<_> = chain.links().map(|link| link.grant()).collect();
        for (parent, child) in grants.iter().zip(&grants[1..]) {
            prop_assert!(child.not_before >= parent.not_before);
            prop_assert!(child.expires_at <= parent.expires_at);
            prop_assert!(child.max_depth <= parent.max_depth);
            prop_assert_eq!(child.depth, parent.depth + 1);
            prop_assert!(child.depth <= child.max_depth);
            for entry in &child.entries {
                let within = parent.entries.iter().filter(|known| known.subsumes(entry));
                let budget = within.map(|known| known.limits().max_calls);
                // One of them alone covers the child and its budget.
                let fits = |mine: Option<u64>| mine.is_none_or(|mine| {
                    entry.limits().max_calls.is_some_and(|theirs| theirs <= mine)
                });
                let mut budget = budget.into_iter();
                prop_assert!(budget.any(fits));
            }
        }
        let last = made.models.last().unwrap();
        prop_assert_eq!(chain.audience(), &last.audience[..]);
        prop_assert_eq!(chain.expires_at().as_seconds(), last.expires_at);
        for sample in &samples {
            let args = args(sample);
            let covered = authorise(&chain, &call(sample, &args)).covered().is_ok();
            let (tool, n, path) = (TOOLS[sample.0], sample.1, &sample.2);
            prop_assert_eq!(covered, last.permits(tool, n, path));
            if covered {
                prop_assert!(made.models.iter().all(|model| model.permits(tool, n, path)));
            }
        }
    }

    /// A link that is missing is missed at the hop that follows it.
    #[test]
    fn dropping_a_link_is_refused_at_that_hop(made in made(1..=5), at in any::<prop::sample::Index>()) {
        let mut tokens = made.tokens;
        // All but the last, which nothing follows.
        let at = at.index(tokens.len() - 1);
        tokens.remove(at);
        let reason = if at == 0 { Reason::UntrustedRoot } else { Reason::BadSignature };
        prop_assert_eq!(refusal(&tokens), Refusal { reason, link: Some(at), revoked: None });
    }

    /// A chain that is cut short is its parent's; whoever held the end of it cannot use it.
    #[test]
    fn a_truncated_chain_is_of_no_use_to_who_held_its_end(made in made(1..=5)) {
        let mut tokens = made.tokens;
        let leaf = tokens.len() - 1;
        tokens.pop();
        let chain = verify(&tokens).unwrap();
        let none = Map::new();
        let call = Call { server: "fs", target: Target::Tool("read"), args: &none };
        let key = holder(leaf);
        let proof = ProofDraft {
            audience: GATEWAY,
            issued_at: NOW,
            jti: "pop-1",
            chain: chain.digest(),
            call,
            execution: None,
            step: None,
        }
        .sign(key.public(), &|message| key.sign(message))
        .unwrap();
        let peer = subject(leaf).parse().unwrap();
        let context = ProofContext {
            now: NOW,
            audience: GATEWAY,
            verifier: &chancery_crypto::AwsLc,
            started_at: NOW.minus_seconds(9),
            peer: &peer,
            call,
        };
        let mut memory = BoundedReplayMemory::new(9, 9);
        let refused = verify_proof(Some(&proof), &chain, &context, &mut memory).unwrap_err();
        prop_assert_eq!(refused.reason, Reason::PopBadSignature);
    }

    /// The first of two links that changed places is named.
    #[test]
    fn reordering_is_refused_at_the_first_hop(
        made in made(1..=5), one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
    ) {
        let mut tokens = made.tokens;
        let (one, other) = (one.index(tokens.len()), other.index(tokens.len()));
        prop_assume!(one != other);
        tokens.swap(one, other);
        let first = one.min(other);
        let reason = if first == 0 { Reason::UntrustedRoot } else { Reason::BadSignature };
        prop_assert_eq!(refusal(&tokens), Refusal { reason, link: Some(first), revoked: None });
    }

    /// The end of one chain does not continue another, though the same hands signed both.
    #[test]
    fn splicing_is_refused_at_the_seam(
        made in made(1..=5), steps in prop::collection::vec(step(), 5), other in root(),
        at in any::<prop::sample::Index>(),
    ) {
        let links = made.tokens.len() - 1;
        let mut other = other;
        other.expires_at -= 1;
        let other = make(other, &steps[..links]);
        let at = 1 + at.index(links);
        let spliced = [&made.tokens[..at], &other.tokens[at..]].concat();
        prop_assert_eq!(
            refusal(&spliced),
            Refusal { reason: Reason::BrokenLink, link: Some(at), revoked: None }
        );
    }

    /// Whatever a rightful holder widens, the link that does so is named.
    #[test]
    fn widening_is_refused_at_that_hop(made in made(1..=5), at in any::<prop::sample::Index>()) {
        let at = 1 + at.index(made.tokens.len() - 1);
        let parent = &made.models[at - 1];
        let everything = json!({"type": "mcp_tool", "server": "fs", "tool": "read"});
        let mut audience = parent.audience.clone();
        audience.push("spiffe://acme.example/service/z".to_owned());
        let cases = [
            ("authorization_details", json!([everything]), Reason::ScopeEscalation),
            ("exp", json!(parent.expires_at + 1), Reason::TtlEscalation),
            ("nbf", json!(parent.not_before - 1), Reason::TtlEscalation),
            ("del_max_depth", json!(parent.max_depth + 1), Reason::DepthEscalation),
            ("del_depth", json!(at - 1), Reason::BadDepth),
            ("del_depth", json!(at + 1), Reason::BadDepth),
            ("aud", json!(audience), Reason::AudienceEscalation),
            ("sid", json!("ses_2"), Reason::InheritedClaimRestated),
            ("mission_s256", json!("x"), Reason::InheritedClaimRestated),
        ];
        for (claim, value, reason) in cases {
            let widened = altered(&made.tokens, at, |members| {
                members.insert(claim.to_owned(), value.clone());
            });
            prop_assert_eq!(refusal(&widened), Refusal { reason, link: Some(at), revoked: None }, "{}", claim);
        }
    }

    /// A prohibition or a question, at whatever link, never allows more.
    #[test]
    fn adding_a_prohibition_or_a_question_never_allows_more(
        made in made(0..=5), at in any::<prop::sample::Index>(),
        added in prop::collection::vec(scope(), 1..3), ask in any::<bool>(), samples in samples(),
    ) {
        let before = verify(&made.tokens).unwrap();
        let at = at.index(made.tokens.len());
        let list: Vec<Value> = added.iter().map(|scope| scope.entry().to_json()).collect();
        let name = if ask { "ask" } else { "forbid" };
        let mut tokens = altered(&made.tokens, at, |members| {
            members.insert(name.to_owned(), json!(list));
        });
        // Everything below is signed anew by its rightful holder over its new parent.
        for below in at + 1..made.tokens.len() {
            let parent = chancery_types::jws::Compact::parse(&tokens[below - 1]).unwrap();
            let parent = parent.signing_input_digest().to_base64url();
            let mut members = claims(&made.tokens[below]);
            members.insert("par_hash".to_owned(), json!(parent));
            tokens.push(forge(holder(below - 1), "adt+jwt", &members));
        }
        let after = verify(&tokens).unwrap();
        for sample in &samples {
            let (before, after) = (severity(&before, sample), severity(&after, sample));
            prop_assert!(after >= before);
            let hit = added.iter().any(|scope| scope.permits(TOOLS[sample.0], sample.1, &sample.2));
            let least = if ask { 1 } else { 2 };
            prop_assert!(!hit || after >= least);
        }
    }
}
