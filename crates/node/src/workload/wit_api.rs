//! The WIT profile of the SPIFFE Workload API (section 7, incubating, revision 665a28f): served where the
//! deployment opted in.

use std::sync::Arc;

use chancery_identity::WitSvidBundle;
use chancery_types::Timestamp;
use tokio::sync::watch;
use tonic::Status;

use super::feed::Source;
use super::kept::Kept;
use super::spiffe_api::{agents, either, heard};
use super::{NO_IDENTITY, hint};
use crate::clock::now;
use crate::launch::Launch;
use crate::pb::workload::{WitBundlesResponse, Witsvid, WitsvidResponse};
use crate::requests::RequestedId;
use crate::wit_identity::WitIdentity;
use crate::{ForeignBundles, Launches, Registrations};

/// The WIT-SVIDs of a caller's launches, or of the one that is asked for: each with a key that was made
/// for this stream alone.
pub(super) struct WitSvids {
    launches: Arc<Launches>,
    asked: RequestedId,
    bundle: watch::Receiver<Option<WitSvidBundle>>,
    registrations: watch::Receiver<Registrations>,
    kept: Kept<WitIdentity>,
}

impl WitSvids {
    pub(super) fn new(
        launches: Arc<Launches>,
        asked: RequestedId,
        bundle: watch::Receiver<Option<WitSvidBundle>>,
    ) -> Self {
        Self {
            registrations: launches.issuer().registrations(),
            launches,
            asked,
            bundle,
            kept: Kept::default(),
        }
    }
}

impl Source for WitSvids {
    type Message = WitsvidResponse;

    async fn next(
        &mut self,
        held: &[Arc<Launch>],
    ) -> Result<(Option<WitsvidResponse>, Option<Timestamp>), Status> {
        let bundle = known(&mut self.bundle)?;
        let registrations = self.registrations.borrow_and_update().clone();
        let (mut svids, mut made, mut refused) = (vec![], vec![], None);
        for launch in held {
            let own = launch.instance().to_spiffe_id();
            if !self.asked.is(&own) {
                continue;
            }
            let issue = async {
                let issued = WitIdentity::issue(launch, &**self.launches.issuer(), &bundle).await?;
                let due = issued.renew_at;
                Ok((issued, due))
            };
            let is_valid = |identity: &WitIdentity| identity.is_valid(&bundle, now());
            let terms = registrations.issued(launch.instance().agent());
            let is_due = |identity: &WitIdentity| identity.terms != terms;
            let wanted = (&**launch, hint(&registrations, held, launch));
            let current = match self.kept.current(wanted, (is_valid, is_due), issue).await {
                Ok(current) => current,
                // The others are none the worse for it.
                Err(error) if error.code() == tonic::Code::PermissionDenied => {
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let key = str::from_utf8(current.identity().key.expose());
            svids.push(Witsvid {
                spiffe_id: own.to_string(),
                wit_svid: current.identity().token.clone(),
                wit_svid_key: key
                    .map_err(|_| Status::internal("wit-svid key"))?
                    .to_owned(),
                hint: current.hint(),
            });
            made.push(current);
        }
        if svids.is_empty() {
            return Err(refused.unwrap_or_else(|| Status::permission_denied(NO_IDENTITY)));
        }
        let (changed, again) = self.kept.replace(made);
        Ok((changed.then_some(WitsvidResponse { svids }), again))
    }

    async fn changed(&mut self) -> Result<(), Status> {
        tokio::select! {
            changed = self.bundle.changed() => {
                changed.map_err(|_| Status::unavailable("the node stops"))
            }
            () = heard(&mut self.registrations) => Ok(()),
        }
    }
}

fn known(bundle: &mut watch::Receiver<Option<WitSvidBundle>>) -> Result<WitSvidBundle, Status> {
    let bundle = bundle.borrow_and_update().clone();
    bundle.ok_or_else(|| Status::unavailable("the trust domain's authorities are not known yet"))
}

/// The keys of WIT-SVIDs of the node's own trust domain, and those of the foreign ones that the caller's
/// agents were registered with, each as a set of JSON web keys.
pub(super) struct WitKeySets {
    own: watch::Receiver<Option<WitSvidBundle>>,
    foreign: watch::Receiver<ForeignBundles>,
    sent: Option<Vec<WitSvidBundle>>,
}

impl WitKeySets {
    pub(super) fn new(launches: &Launches, own: watch::Receiver<Option<WitSvidBundle>>) -> Self {
        Self {
            own,
            foreign: launches.issuer().foreign_bundles(),
            sent: None,
        }
    }
}

impl Source for WitKeySets {
    type Message = WitBundlesResponse;

    async fn next(
        &mut self,
        held: &[Arc<Launch>],
    ) -> Result<(Option<WitBundlesResponse>, Option<Timestamp>), Status> {
        let own = known(&mut self.own)?;
        let foreign = self.foreign.borrow_and_update().of(agents(held));
        let foreign = foreign.into_iter().map(|keys| keys.wit);
        let bundles: Vec<_> = std::iter::once(own).chain(foreign).collect();
        if self.sent.as_ref() == Some(&bundles) {
            return Ok((None, None));
        }
        let named = |bundle: &WitSvidBundle| {
            let name = bundle.trust_domain().to_spiffe_id().to_string();
            (name, bundle.to_jwks())
        };
        let message = WitBundlesResponse {
            bundles: bundles.iter().map(named).collect(),
        };
        self.sent = Some(bundles);
        Ok((Some(message), None))
    }

    async fn changed(&mut self) -> Result<(), Status> {
        either(&mut self.own, &mut self.foreign).await
    }
}
