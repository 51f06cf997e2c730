//! Federation: one's own bundle, and those of foreign trust domains.
//!
//! A relation and every bundle that is taken are enrolled before they are in force. What is fetched
//! verifies SVIDs for workloads that were registered for it; nothing here or in a gateway takes it
//! as authority.

mod fetch;
pub(crate) mod own;
mod reasons;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chancery_api::Problem;
use chancery_api::server::{
    AddFederation, BundleView, FederationEnded, FederationView, Federations, ForeignBundles,
    LastFetch,
};
use chancery_audit::{
    EndpointProfile as Profile, FederationAdd, FederationBundle, FederationRemove,
};
use chancery_identity::bundle::{KeyName, Readiness};
use chancery_identity::federation::{EndpointProfile, ForeignBundle};
use chancery_identity::{
    BundleDocument, Federation, Incubating, PublishedBundle, Relationship, TrustDomain,
};
use chancery_store::{FederationRow, Store, StoreError};
use chancery_types::{Digest, Timestamp, to_canonical};
use tokio::sync::{Mutex, MutexGuard, Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Server;
use crate::endpoints::{label, stored};
pub use reasons::FEDERATION_REASONS;
use tls::WebRoots;

/// How long nothing is looked at where there is no relation.
const IDLE: Duration = Duration::from_secs(3_600);

/// The longest time that a node waits for another state in one request.
const MAX_WAIT_SECONDS: u64 = 60;

/// Most relations: each one is fetched once a minute at most.
const MAX_RELATIONS: usize = 1_024;

/// The most bytes of all foreign bundles together, as nodes are handed them: half of what a client
/// reads in one answer. The other half is for what each agent is handed.
const MAX_BUNDLES_BYTES: usize = 8 << 20;

/// What the server knows of trust domains, its own and others.
#[derive(Debug)]
pub(crate) struct Federating {
    state: Mutex<State>,
    /// Wakes whoever fetches when the next fetch may be due at another time.
    rescheduled: Notify,
    /// Wakes nodes when what they hand to workloads may have changed.
    told: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    published: PublishedBundle,
    refresh_hint: u64,
    federation: Federation,
    relations: BTreeMap<TrustDomain, Relation>,
}

/// What is known of a relation beside its bundle.
#[derive(Debug, Clone)]
struct Relation {
    web_roots: Option<Arc<WebRoots>>,
    log_index: u64,
    last_fetch: Option<LastFetch>,
}

impl Relation {
    /// Whether both began by the same entry of the log and believe the same authorities.
    fn is_same(&self, other: &Self) -> bool {
        let roots = |one: &Self| one.web_roots.as_ref().map(|roots| roots.digest());
        self.log_index == other.log_index && roots(self) == roots(other)
    }
}

impl Federating {
    /// Takes up what was stored. What of it may not be in force is told and left out, whatever a
    /// partner had stored: a server that does not start revokes nothing.
    pub(crate) async fn load(
        store: &Store,
        published: PublishedBundle,
        (refresh_hint, incubating): (u64, Incubating),
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut federation = Federation::new(published.document().clone(), incubating);
        let mut relations = BTreeMap::new();
        for row in store.federations().await? {
            let domain = &row.trust_domain;
            let (relationship, known, web_roots) = match read(&row, incubating) {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(
                        domain, %error, "the stored relation cannot be read: nothing of it is in force; add it again"
                    );
                    continue;
                }
            };
            let trust_domain = relationship.trust_domain().clone();
            if let Err(error) = federation.resume(relationship, known, now) {
                tracing::error!(domain, %error, "the stored bundle is not in force");
            }
            if federation.of(&trust_domain).is_none() {
                continue;
            }
            let relation = Relation {
                web_roots,
                log_index: row.log_index,
                last_fetch: None,
            };
            relations.insert(trust_domain, relation);
        }
        Ok(Self {
            state: Mutex::new(State {
                published,
                refresh_hint,
                federation,
                relations,
            }),
            rescheduled: Notify::new(),
            told: watch::Sender::new(0),
        })
    }
}

impl Federating {
    /// Wakes nodes that wait for another state.
    pub(crate) fn tell(&self) {
        self.told
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

type Stored = (Relationship, Option<BundleDocument>, Option<Arc<WebRoots>>);

/// What can be read of a row: without the relationship nothing.
fn read(row: &FederationRow, incubating: Incubating) -> Result<Stored, serde_json::Error> {
    let relationship: Relationship = serde_json::from_str(&row.relationship)?;
    let domain = relationship.trust_domain();
    let known = row.bundle.as_deref().and_then(|text| {
        let read = BundleDocument::parse(domain.clone(), text.as_bytes(), incubating);
        read.inspect_err(|error| {
            tracing::error!(%domain, %error, "the stored bundle cannot be read: none is in force");
        })
        .ok()
    });
    let roots = row.web_roots.as_deref().map(|pem| {
        WebRoots::read(pem).unwrap_or_else(|error| {
            tracing::error!(%domain, %error, "the stored web roots cannot be read: none is trusted");
            WebRoots::none(pem)
        })
    });
    Ok((relationship, known, roots.map(Arc::new)))
}

impl Server {
    async fn federating(&self) -> MutexGuard<'_, State> {
        self.federating.state.lock().await
    }

    /// The bundle that is published of one's own trust domain.
    pub(crate) async fn published(&self) -> BundleDocument {
        self.federating().await.published.document().clone()
    }

    /// Publishes what the trust document in force names; nothing where that is published already.
    pub(crate) async fn publish_own(&self) -> Result<(), Problem> {
        let keys = own::keys(&self.trust(), self.incubating)
            .map_err(|error| Problem::internal("trust", &error))?;
        let now = self.now()?;
        let mut state = self.federating().await;
        let next = state
            .published
            .clone()
            .publish(keys, state.refresh_hint, now);
        if next == state.published {
            return Ok(());
        }
        own::store(&self.store, &next).await.map_err(stored)?;
        for domain in state.federation.replace_own(next.document().clone()) {
            tracing::error!(%domain, "the bundle holds a key that is our own now: it is in force no longer");
        }
        state.published = next;
        drop(state);
        self.federating.tell();
        Ok(())
    }

    /// One's own bundle and all relations.
    pub(crate) async fn federations(&self) -> Result<Federations, Problem> {
        let state = self.federating().await;
        let own = state.published.document();
        let relations = state.federation.foreign();
        let relations = relations
            .map(|one| state.view(one))
            .collect::<Result<_, _>>()?;
        Ok(Federations {
            trust_domain: own.trust_domain().clone(),
            own: bundle_view(own, own.refresh_hint().unwrap_or_default())?,
            relations,
        })
    }

    /// One relation.
    pub(crate) async fn federation(&self, domain: &TrustDomain) -> Result<FederationView, Problem> {
        let state = self.federating().await;
        let known = state.federation.of(domain);
        state.view(known.ok_or_else(|| unknown(domain))?)
    }

    /// Begins a relation, and fetches for the first time. A fetch that fails is told in what this
    /// returns and is made again; the relation stands.
    pub(crate) async fn federate(
        self: &Arc<Self>,
        request: AddFederation,
    ) -> Result<FederationView, Problem> {
        let relationship = request.relationship;
        let domain = relationship.trust_domain().clone();
        let is_web = *relationship.profile() == EndpointProfile::HttpsWeb;
        if request.web_roots.is_some() && !is_web {
            return Err(Problem::bad_request(
                "federation_roots",
                "authorities of the Web are of profile https_web alone",
            ));
        }
        let web_roots = request.web_roots.as_deref().map(WebRoots::read).transpose();
        let web_roots = web_roots
            .map_err(|error| Problem::bad_request("federation_roots", error.to_string()))?;
        let known = request
            .bundle
            .as_deref()
            .map(|text| BundleDocument::parse(domain.clone(), text.as_bytes(), self.incubating));
        let known = known.transpose().map_err(|error| {
            Problem::bad_request("bundle_malformed", format!("the first bundle: {error}"))
                .with_remedy("take the document that the partner's bundle endpoint serves")
        })?;
        self.begin(relationship, known, request.web_roots, web_roots)
            .await?;
        // A failure stands in the view.
        let _ = self.fetch(&domain).await;
        self.federation(&domain).await
    }

    /// Enrols a relation and puts it in force.
    async fn begin(
        &self,
        relationship: Relationship,
        known: Option<BundleDocument>,
        pem: Option<String>,
        web_roots: Option<WebRoots>,
    ) -> Result<(), Problem> {
        let domain = relationship.trust_domain().clone();
        let mut state = self.federating().await;
        if state.relations.len() >= MAX_RELATIONS {
            return Err(Problem::conflict(
                "federation_full",
                "there are too many relations",
            ));
        }
        let mut next = state.federation.clone();
        next.begin(relationship.clone(), known.clone(), self.now()?)
            .map_err(|error| refused_begin(&error, &domain))?;
        if known.is_some() {
            fit_together(&state.federation, &next)?;
        }
        let bundle = known.as_ref().map(text).transpose()?;
        let event = FederationAdd {
            trust_domain: label(domain.as_str())?,
            endpoint: label(relationship.url().as_str())?,
            profile: match relationship.profile() {
                EndpointProfile::HttpsWeb => Profile::HttpsWeb,
                EndpointProfile::HttpsSpiffe { .. } => Profile::HttpsSpiffe,
            },
            endpoint_id: match relationship.profile() {
                EndpointProfile::HttpsWeb => None,
                EndpointProfile::HttpsSpiffe { endpoint } => Some(label(endpoint.as_str())?),
            },
            web_roots: pem.as_ref().map(Digest::of),
            bundle: bundle.as_ref().map(Digest::of),
        };
        let log_index = self.enrol(event).await?;
        let row = FederationRow {
            trust_domain: domain.to_string(),
            relationship: serde_json::to_string(&relationship)
                .map_err(|error| Problem::internal("federation", &error))?,
            web_roots: pem,
            bundle,
            log_index,
        };
        self.store.put_federation(&row).await.map_err(stored)?;
        state.federation = next;
        let relation = Relation {
            web_roots: web_roots.map(Arc::new),
            log_index,
            last_fetch: None,
        };
        state.relations.insert(domain, relation);
        drop(state);
        self.federating.tell();
        Ok(())
    }

    /// Ends a relation: its bundle is gone, here and at workloads, and what is being fetched is not
    /// taken.
    pub(crate) async fn end_federation(
        &self,
        domain: &TrustDomain,
    ) -> Result<FederationEnded, Problem> {
        let mut state = self.federating().await;
        if state.federation.of(domain).is_none() {
            return Err(unknown(domain));
        }
        let event = FederationRemove {
            trust_domain: label(domain.as_str())?,
        };
        let log_index = self.enrol(event).await?;
        let removed = self.store.remove_federation(domain.as_str()).await;
        removed.map_err(stored)?;
        state.federation.end(domain);
        state.relations.remove(domain);
        drop(state);
        self.federating.tell();
        Ok(FederationEnded {
            trust_domain: domain.clone(),
            log_index,
        })
    }

    /// Fetches the bundle of a foreign trust domain now. What was known before stays where the fetch
    /// fails or brings what is not to be taken, and that is the error.
    pub(crate) async fn fetch(self: &Arc<Self>, domain: &TrustDomain) -> Result<(), Problem> {
        let (relationship, federation, relation) = {
            let state = self.federating().await;
            let known = state.federation.of(domain);
            let relation = state.relations.get(domain);
            let (known, relation) = known.zip(relation).ok_or_else(|| unknown(domain))?;
            (
                known.relationship().clone(),
                state.federation.clone(),
                relation.clone(),
            )
        };
        let fetched = fetch::bundle(&relationship, federation, relation.web_roots.clone()).await;
        let mut state = self.federating().await;
        // One that began meanwhile believes by parameters of its own, equal ones too.
        if !(state.relations.get(domain)).is_some_and(|now| now.is_same(&relation)) {
            return Err(unknown(domain));
        }
        let now = self.now()?;
        let outcome = match fetched {
            Ok(body) => self.take(&mut state, domain, &body, now).await,
            Err(error) => Err(error.into_problem(&relationship)),
        };
        if outcome.is_err() {
            state.federation.failed(domain, now);
        }
        let url = relationship.url();
        match &outcome {
            Ok(changed) => tracing::info!(%domain, %url, changed, "bundle fetched"),
            Err(problem) => tracing::warn!(
                %domain, %url, reason = problem.reason, "bundle not taken: {}", problem.message
            ),
        }
        if let Some(relation) = state.relations.get_mut(domain) {
            relation.last_fetch = Some(LastFetch {
                at: now,
                changed: *outcome.as_ref().unwrap_or(&false),
                problem: outcome.as_ref().err().cloned(),
            });
        }
        drop(state);
        self.federating.rescheduled.notify_one();
        outcome.map(drop)
    }

    /// Judges what was fetched; enrols, stores and puts in force what differs from what is known.
    async fn take(
        &self,
        state: &mut State,
        domain: &TrustDomain,
        body: &[u8],
        now: Timestamp,
    ) -> Result<bool, Problem> {
        let before = state.federation.of(domain).and_then(ForeignBundle::latest);
        let before = before.map(text).transpose()?;
        let mut next = state.federation.clone();
        let judged = next.fetched(domain, body, now);
        let judged = judged.ok_or_else(|| unknown(domain))?;
        judged.map_err(|refusal| {
            Problem::bad_request(refusal.code(), refusal.to_string()).with_remedy(
                "ask whoever runs the partner's endpoint; the bundle that was known stays in force",
            )
        })?;
        let latest = next.of(domain).and_then(ForeignBundle::latest);
        let Some(latest) = latest else {
            return Ok(false);
        };
        let document = text(latest)?;
        let changed = before.as_ref() != Some(&document);
        if changed {
            fit_together(&state.federation, &next)?;
            let keys = latest.keys();
            let event = FederationBundle {
                trust_domain: label(domain.as_str())?,
                bundle: Digest::of(&document),
                x509_authorities: count(keys.x509.authorities().len()),
                jwt_authorities: count(keys.jwt.keys().len()),
                // Entries hold no larger integers; the digest holds it all the same.
                sequence: latest
                    .sequence()
                    .filter(|sequence| *sequence <= chancery_types::limits::MAX_SAFE_INTEGER),
                previous: before.map(Digest::of),
            };
            self.enrol(event).await?;
            let kept = self.store.put_foreign_bundle(domain.as_str(), &document);
            kept.await.map_err(stored)?;
        }
        state.federation = next;
        if changed {
            self.federating.tell();
        }
        Ok(changed)
    }

    /// Fetches what is due, for ever.
    pub(crate) async fn follow_federations(self: Arc<Self>) {
        loop {
            // A clock that stepped back fetches nothing new until it is right again.
            let now = self.now();
            let (due, next) = {
                let state = self.federating().await;
                let due = now.as_ref().ok().map(|now| {
                    let due = state.federation.due(*now);
                    due.map(|one| one.trust_domain().clone())
                        .collect::<Vec<_>>()
                });
                (due.unwrap_or_default(), state.federation.next_fetch())
            };
            let mut fetches = JoinSet::new();
            for domain in due {
                let server = Arc::clone(&self);
                // How it ended is told and kept by then.
                fetches.spawn(async move { server.fetch(&domain).await.is_ok() });
            }
            if !fetches.is_empty() {
                while fetches.join_next().await.is_some() {}
                continue;
            }
            let pause = match (next, now) {
                (Some(next), Ok(now)) => Duration::from_micros(next.micros_since(now)),
                (Some(_), Err(_)) => Duration::from_secs(60),
                (None, _) => IDLE,
            };
            tokio::select! {
                () = tokio::time::sleep(pause.min(IDLE)) => {}
                () = self.federating.rescheduled.notified() => {}
            }
        }
    }

    /// What a node hands to workloads, once it differs from what the node knows; the same again
    /// after that time.
    pub(crate) async fn foreign_bundles_after(
        &self,
        known: Digest,
        wait_seconds: u64,
    ) -> Result<ForeignBundles, Problem> {
        let mut told = self.federating.told.subscribe();
        let patience = Duration::from_secs(wait_seconds.min(MAX_WAIT_SECONDS));
        let deadline = Instant::now() + patience;
        loop {
            told.mark_unchanged();
            let bundles = self.foreign_bundles().await?;
            if bundles.state != known {
                return Ok(bundles);
            }
            if !self.changed_by(deadline, &mut told).await {
                return Ok(bundles);
            }
        }
    }

    /// Wakes nodes: what they hand to workloads may have changed.
    pub(crate) fn tell_nodes(&self) {
        self.federating
            .told
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Whether a key of the own bundle may sign.
    pub(crate) async fn readiness_of(&self, name: &KeyName, now: Timestamp) -> Readiness {
        self.federating().await.published.readiness(name, now)
    }

    /// What a node hands to workloads.
    async fn foreign_bundles(&self) -> Result<ForeignBundles, Problem> {
        let (mut agents, mut terms) = (BTreeMap::new(), BTreeMap::new());
        for agent in self.store.agents().await.map_err(stored)? {
            let named: BTreeSet<TrustDomain> = (agent.federates_with.iter())
                .filter_map(|name| name.parse().ok())
                .collect();
            if !agent.terms.is_empty() {
                terms.insert(agent.agent_id.clone(), agent.terms);
            }
            if !named.is_empty() {
                agents.insert(agent.agent_id, named);
            }
        }
        let tainted = self.tainted().await;
        let state = self.federating().await;
        let bundles = handed(&state.federation)?;
        let mut answer = ForeignBundles {
            state: Digest::of(""),
            own_sequence: state.published.document().sequence().unwrap_or_default(),
            bundles,
            agents,
            terms,
            tainted,
        };
        let bytes = to_canonical(&answer);
        let bytes = bytes.map_err(|error| Problem::internal("federation", &error))?;
        answer.state = Digest::of(bytes);
        Ok(answer)
    }
}

impl State {
    fn view(&self, foreign: &ForeignBundle) -> Result<FederationView, Problem> {
        let relationship = foreign.relationship().clone();
        let relation = self.relations.get(relationship.trust_domain());
        let bundle = foreign.latest();
        Ok(FederationView {
            web_roots: relation.and_then(|known| Some(known.web_roots.as_ref()?.digest())),
            bundle: bundle
                .map(|latest| bundle_view(latest, foreign.refresh_seconds()))
                .transpose()?,
            last_fetch: relation.and_then(|known| known.last_fetch.clone()),
            next_fetch: foreign.next_fetch(),
            log_index: relation.map_or(0, |known| known.log_index),
            relationship,
        })
    }
}

fn bundle_view(document: &BundleDocument, refresh_seconds: u64) -> Result<BundleView, Problem> {
    let text = text(document)?;
    let keys = document.keys();
    Ok(BundleView {
        digest: Digest::of(&text),
        sequence: document.sequence(),
        refresh_seconds,
        x509_authorities: count(keys.x509.authorities().len()),
        jwt_authorities: count(keys.jwt.keys().len()),
        document: text,
    })
}

fn text(document: &BundleDocument) -> Result<String, Problem> {
    document
        .to_json()
        .map_err(|error| Problem::internal("bundle", &error))
}

/// The foreign bundles, as nodes are handed them.
fn handed(federation: &Federation) -> Result<BTreeMap<TrustDomain, String>, Problem> {
    let latest = federation.foreign().filter_map(ForeignBundle::latest);
    latest
        .map(|document| Ok((document.trust_domain().clone(), text(document)?)))
        .collect()
}

/// Refuses what makes the foreign bundles together longer than nodes can be handed. What makes them
/// shorter never is.
fn fit_together(before: &Federation, next: &Federation) -> Result<(), Problem> {
    let length = |federation| {
        let bytes = to_canonical(&handed(federation)?);
        let bytes = bytes.map_err(|error| Problem::internal("federation", &error))?;
        Ok::<_, Problem>(bytes.len())
    };
    let longer = length(next)?;
    if longer <= MAX_BUNDLES_BYTES || longer <= length(before)? {
        return Ok(());
    }
    let said = format!(
        "the bundles of all relations together would have {longer} bytes, of {MAX_BUNDLES_BYTES} at most"
    );
    Err(Problem::conflict("bundles_full", said)
        .with_remedy("remove a relation that is not needed; what was known stays in force"))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn unknown(domain: &TrustDomain) -> Problem {
    let said = format!("there is no relation to {domain}");
    Problem::not_found("federation_unknown", said).with_remedy("chancery federation list")
}

fn refused_begin(
    error: &chancery_identity::federation::FederateError,
    domain: &TrustDomain,
) -> Problem {
    use chancery_identity::federation::{FederateError, StartError};
    let problem = Problem::conflict(error.code(), error.to_string());
    match error {
        FederateError::Exists(_) => {
            problem.with_remedy(format!("chancery federation remove {domain}"))
        }
        FederateError::Start(StartError::NoFirstBundle) => {
            problem.with_remedy("pass the partner's bundle with --bundle FILE")
        }
        _ => problem,
    }
}
