//! X.509-SVIDs for brokers.

use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_identity::SpiffeId;
use chancery_types::{Digest, Timestamp};
use tokio::sync::watch;
use tonic::{Code, Status};

use crate::clock::now;
use crate::launch::Launch;
use crate::pb::workload::{X509svid, X509svidResponse};
use crate::workload::{Bundles, Kept, Known, Source, heard, hint, named};
use crate::x509_source::X509Identity;
use crate::{IssuerError, Launches, Registrations};

/// The X.509-SVIDs of a workload for one stream of one broker: with keys of their own, which the workload
/// itself never has, and each enrolled with the broker's name.
pub(super) struct BrokeredSvids {
    launches: Arc<Launches>,
    broker: SpiffeId,
    bundles: Bundles,
    tainted: watch::Receiver<BTreeSet<Digest>>,
    registrations: watch::Receiver<Registrations>,
    kept: Kept<X509Identity>,
    sent: Option<Known>,
}

impl BrokeredSvids {
    pub(super) fn new(launches: &Arc<Launches>, broker: SpiffeId) -> Self {
        Self {
            launches: Arc::clone(launches),
            broker,
            bundles: Bundles::of(launches),
            tainted: launches.issuer().tainted(),
            registrations: launches.issuer().registrations(),
            kept: Kept::default(),
            sent: None,
        }
    }
}

impl Source for BrokeredSvids {
    type Message = X509svidResponse;

    async fn next(
        &mut self,
        held: &[Arc<Launch>],
    ) -> Result<(Option<X509svidResponse>, Option<Timestamp>), Status> {
        let known = self.bundles.current(held)?;
        let tainted = self.tainted.borrow_and_update().clone();
        let registrations = self.registrations.borrow_and_update().clone();
        let (mut svids, mut made, mut refused) = (vec![], vec![], None);
        for launch in held {
            let issue = async {
                let (launches, through) = (&self.launches, Some(&self.broker));
                let issued =
                    X509Identity::issue(launch, launches, &known.own, now(), through).await?;
                let due = issued.renew_at;
                Ok::<_, IssuerError>((issued, due))
            };
            let is_valid = |identity: &X509Identity| identity.stands(&known.own, now());
            let terms = registrations.issued(launch.instance().agent());
            let is_due = |identity: &X509Identity| {
                !identity.above.is_disjoint(&tainted) || identity.terms != terms
            };
            let wanted = (&**launch, hint(&registrations, held, launch));
            let current = match self.kept.current(wanted, (is_valid, is_due), issue).await {
                Ok(current) => current,
                // The others are none the worse for it.
                Err(error) if error.code() == Code::PermissionDenied => {
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            svids.push(X509svid {
                spiffe_id: launch.instance().to_string(),
                x509_svid: current.identity().chain_der.clone(),
                x509_svid_key: current.identity().key.expose().to_vec(),
                bundle: known.own.to_concatenated_der(),
                hint: current.hint(),
            });
            made.push(current);
        }
        if let (Some(refused), true) = (refused, svids.is_empty()) {
            return Err(refused);
        }
        let (changed, again) = self.kept.replace(made);
        if !changed && self.sent.as_ref() == Some(&known) {
            return Ok((None, again));
        }
        let message = X509svidResponse {
            svids,
            crl: Vec::new(),
            federated_bundles: known.foreign.iter().map(named).collect(),
        };
        self.sent = Some(known);
        Ok((Some(message), again))
    }

    async fn changed(&mut self) -> Result<(), Status> {
        tokio::select! {
            changed = self.bundles.changed() => changed,
            () = heard(&mut self.tainted) => Ok(()),
            () = heard(&mut self.registrations) => Ok(()),
        }
    }
}
