//! Who may obtain the SVIDs of other workloads: admitted by the operator alone, enrolled before it is in
//! force, and asked again with every issuance.

use std::sync::Arc;
use std::time::Duration;

use chancery_api::Problem;
use chancery_api::server::{BrokerChanged, Brokers};
use chancery_audit::{BrokerAllow, BrokerRemove};
use chancery_identity::broker::{BrokerRule, BrokerRules};
use chancery_identity::{InstanceSpiffeId, SpiffeId};
use chancery_store::{Store, StoreError};
use chancery_types::{Digest, to_canonical};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::Server;
use crate::endpoints::{label, running, stored};

/// Where the rules are stored.
const META: &str = "brokers";

/// Most brokers.
const MAX_BROKERS: usize = 256;

/// The longest time that a node waits for another state in one request.
const MAX_WAIT_SECONDS: u64 = 60;

/// The rules in force.
#[derive(Debug)]
pub(crate) struct Brokering {
    rules: watch::Sender<Arc<BrokerRules>>,
    /// Held from the entry of a change to its effect.
    changing: Mutex<()>,
}

impl Brokering {
    /// Takes up what was stored. What cannot be read admits nobody, and fails: a change would forget it.
    pub(crate) async fn load(store: &Store) -> Result<Self, StoreError> {
        let rules = match store.meta(META).await? {
            Some(text) => serde_json::from_str(&text).map_err(|error| StoreError::Row {
                table: "meta",
                source: error.into(),
            })?,
            None => BrokerRules::default(),
        };
        Ok(Self {
            rules: watch::Sender::new(Arc::new(rules)),
            changing: Mutex::default(),
        })
    }

    fn rules(&self) -> Arc<BrokerRules> {
        Arc::clone(&self.rules.borrow())
    }
}

impl Server {
    /// Admits a broker, or changes what it may.
    pub(crate) async fn allow_broker(&self, rule: BrokerRule) -> Result<BrokerChanged, Problem> {
        let broker = rule.broker().clone();
        if broker.trust_domain().as_str() != self.trust().trust_domain {
            return Err(Problem::bad_request(
                "broker",
                format!(
                    "{broker}: a broker is a workload of the own trust domain, {}",
                    self.trust().trust_domain
                ),
            ));
        }
        let _turn = self.brokering.changing.lock().await;
        let next = (*self.brokering.rules()).clone().with(rule.clone());
        if next.iter().len() > MAX_BROKERS {
            return Err(
                Problem::conflict("broker_full", "there are too many brokers")
                    .with_remedy("remove one that is not needed, with chancery broker remove"),
            );
        }
        let references = rule.references().map(|kind| label(&kind.to_string()));
        let within = rule.within().map(|id| label(id.as_str()));
        let event = BrokerAllow {
            broker: label(broker.as_str())?,
            references: references.collect::<Result<_, _>>()?,
            within: within.collect::<Result<_, _>>()?,
        };
        let log_index = self.enrol(event).await?;
        self.put_brokers(next).await?;
        Ok(BrokerChanged { broker, log_index })
    }

    /// Takes a broker's admission back: what it holds ends with its time, and nothing more is issued.
    pub(crate) async fn remove_broker(&self, broker: SpiffeId) -> Result<BrokerChanged, Problem> {
        let _turn = self.brokering.changing.lock().await;
        let next = (*self.brokering.rules()).clone().without(&broker);
        let next = next.ok_or_else(|| {
            Problem::not_found("broker_unknown", format!("{broker} is no broker"))
                .with_remedy("chancery broker list")
        })?;
        let event = BrokerRemove {
            broker: label(broker.as_str())?,
        };
        let log_index = self.enrol(event).await?;
        self.put_brokers(next).await?;
        Ok(BrokerChanged { broker, log_index })
    }

    async fn put_brokers(&self, rules: BrokerRules) -> Result<(), Problem> {
        let text =
            serde_json::to_string(&rules).map_err(|error| Problem::internal("brokers", &error))?;
        self.store.set_meta(META, &text).await.map_err(stored)?;
        self.brokering.rules.send_replace(Arc::new(rules));
        Ok(())
    }

    /// Who is a broker, once it differs from what the asker knows; the same again after that time.
    pub(crate) async fn brokers_after(
        &self,
        known: Option<Digest>,
        wait_seconds: u64,
    ) -> Result<Brokers, Problem> {
        let mut rules = self.brokering.rules.subscribe();
        let deadline = Instant::now() + Duration::from_secs(wait_seconds.min(MAX_WAIT_SECONDS));
        loop {
            let current = (**rules.borrow_and_update()).clone();
            let bytes = to_canonical(&current);
            let bytes = bytes.map_err(|error| Problem::internal("brokers", &error))?;
            let state = Digest::of(bytes);
            let later = known == Some(state) && self.changed_by(deadline, &mut rules).await;
            if !later {
                return Ok(Brokers {
                    state,
                    rules: current,
                    served: self.incubating.broker_api(),
                });
            }
        }
    }

    /// Whether that broker may have the SVIDs of that instance now: it is admitted, and runs itself where
    /// it is an instance.
    pub(crate) async fn check_broker(
        &self,
        broker: &SpiffeId,
        instance: &str,
    ) -> Result<(), Problem> {
        if !self.incubating.broker_api() {
            return Err(
                Problem::forbidden("broker_api_off", "this deployment serves no brokers")
                    .with_remedy("start `chancery up` with --broker-api"),
            );
        }
        let denied = || {
            let said = format!("{broker} may not have the svids of {instance}");
            Problem::forbidden("broker_denied", said).with_remedy("chancery broker list")
        };
        let rules = self.brokering.rules();
        let rule = rules.of(broker).ok_or_else(denied)?;
        let workload: SpiffeId = instance.parse().map_err(|_| denied())?;
        if !rule.covers(&workload) {
            return Err(denied());
        }
        self.check_instance(broker.as_str())?;
        if let Ok(own) = broker.as_str().parse::<InstanceSpiffeId>() {
            running(self, own.instance()).await?;
        }
        Ok(())
    }
}
