//! The JWT profile of the SPIFFE Workload API (section 6).

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_crypto::AwsLc;
use chancery_identity::{
    JwtAudience, JwtBundle, JwtBundles, JwtSvidContext, Leeway, SpiffeId, VerifiedJwtSvid,
    verify_jwt_svid,
};
use chancery_types::Timestamp;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tonic::Status;

use super::feed::Source;
use super::spiffe_api::{agents, either, status};
use super::{NO_IDENTITY, hint};
use crate::clock::now;
use crate::launch::Launch;
use crate::pb::workload::{
    JwtBundlesResponse, Jwtsvid, ValidateJwtsvidRequest, ValidateJwtsvidResponse,
};
use crate::requests::{JudgeRequest, JwtRequest};
use crate::{ForeignBundles, IssuerError, Launches};

/// Issues a token of each launch, or of the one that is asked for, for the audiences that are asked
/// for; through a broker where one is named.
pub(crate) async fn fetch(
    launches: &Launches,
    held: &[Arc<Launch>],
    asked: &JwtRequest,
    through: Option<&SpiffeId>,
) -> Result<Vec<Jwtsvid>, Status> {
    let mut svids = Vec::new();
    let registrations = launches.issuer().registrations().borrow().clone();
    for launch in held {
        let own = launch.instance().to_spiffe_id();
        if !asked.spiffe_id().is(&own) {
            continue;
        }
        svids.push(Jwtsvid {
            spiffe_id: own.to_string(),
            svid: issue(launches, launch, asked.audience(), through).await?,
            hint: hint(&registrations, held, launch),
        });
    }
    if svids.is_empty() {
        return Err(Status::permission_denied(NO_IDENTITY));
    }
    Ok(svids)
}

async fn issue(
    launches: &Launches,
    launch: &Launch,
    audience: &[JwtAudience],
    through: Option<&SpiffeId>,
) -> Result<String, Status> {
    let bundle = current(&launches.issuer().jwt_bundle())?;
    if !launch.jwt_rate.take(now()) {
        return Err(Status::resource_exhausted(
            "too many jwt-svids in a minute; keep a token until it is about to expire",
        ));
    }
    let issuer = launches.issuer();
    let issued = match through {
        Some(broker) => issuer.issue_jwt_through(launch, audience, broker).await,
        None => issuer.issue_jwt(launch, audience).await,
    };
    let token = issued.map_err(|error| status(&error))?;
    let own = launch.instance().to_spiffe_id();
    check(&token, audience, &own, &bundle).map_err(|error| status(&error))?;
    Ok(token)
}

/// An issuer's answer is what it was asked for, or is not handed on.
fn check(
    token: &str,
    audience: &[JwtAudience],
    own: &SpiffeId,
    bundle: &JwtBundle,
) -> Result<(), IssuerError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| IssuerError::Unavailable(error);
    let first = audience
        .first()
        .ok_or_else(|| failed("no audience".into()))?;
    let bundles = [bundle.clone()].into_iter().collect();
    let svid = judge(token, first, &bundles).map_err(|error| failed(Box::new(error)))?;
    let asked = audience.iter().map(JwtAudience::as_str);
    if svid.spiffe_id() != own || !svid.audiences().iter().eq(asked) {
        return Err(failed("another subject or audience".into()));
    }
    Ok(())
}

/// Judges a token for the caller, by the bundles that the caller is handed.
pub(super) fn validate(
    launches: &Launches,
    held: &[Arc<Launch>],
    request: &ValidateJwtsvidRequest,
) -> Result<ValidateJwtsvidResponse, Status> {
    let request = JudgeRequest::try_from(request)?;
    let own = current(&launches.issuer().jwt_bundle())?;
    let foreign = launches.issuer().foreign_bundles();
    let foreign = foreign.borrow().of(agents(held));
    let mut bundles: JwtBundles = foreign.into_iter().map(|keys| keys.jwt).collect();
    bundles.replace(own);
    let svid = judge(request.svid(), request.audience(), &bundles)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let mut claims = svid.claims().clone();
    // A list always, as others answer.
    claims.insert("aud".to_owned(), svid.audiences().into());
    Ok(ValidateJwtsvidResponse {
        spiffe_id: svid.spiffe_id().to_string(),
        claims: Some(to_struct(claims)),
    })
}

fn judge(
    token: &str,
    audience: &JwtAudience,
    bundles: &JwtBundles,
) -> Result<VerifiedJwtSvid, chancery_identity::JwtSvidError> {
    let context = JwtSvidContext {
        audience,
        bundles,
        now: now(),
        leeway: Leeway::NONE,
        verifier: &AwsLc,
    };
    verify_jwt_svid(token, &context)
}

fn current(receiver: &watch::Receiver<Option<JwtBundle>>) -> Result<JwtBundle, Status> {
    let bundle = receiver.borrow().clone();
    bundle.ok_or_else(|| Status::unavailable("the trust domain's authorities are not known yet"))
}

fn to_struct(members: Map<String, Value>) -> Struct {
    let fields = members
        .into_iter()
        .map(|(name, value)| (name, to_value(value)));
    Struct {
        fields: fields.collect::<BTreeMap<_, _>>(),
    }
}

fn to_value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(to_value).collect(),
        }),
        Value::Object(members) => Kind::StructValue(to_struct(members)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// The keys of the node's own trust domain, and those of the foreign ones that the caller's agents
/// were registered with, each as a set of JSON Web Keys.
pub(crate) struct KeySets {
    own: watch::Receiver<Option<JwtBundle>>,
    foreign: watch::Receiver<ForeignBundles>,
    sent: Option<Vec<JwtBundle>>,
}

impl KeySets {
    pub(crate) fn of(launches: &Launches) -> Self {
        Self {
            own: launches.issuer().jwt_bundle(),
            foreign: launches.issuer().foreign_bundles(),
            sent: None,
        }
    }

    fn current(&mut self, held: &[Arc<Launch>]) -> Result<Vec<JwtBundle>, Status> {
        self.own.mark_unchanged();
        let own = current(&self.own)?;
        let foreign = self.foreign.borrow_and_update();
        let foreign = foreign.of(agents(held)).into_iter();
        Ok(std::iter::once(own)
            .chain(foreign.map(|keys| keys.jwt))
            .collect())
    }
}

impl Source for KeySets {
    type Message = JwtBundlesResponse;

    async fn next(
        &mut self,
        held: &[Arc<Launch>],
    ) -> Result<(Option<JwtBundlesResponse>, Option<Timestamp>), Status> {
        let bundles = self.current(held)?;
        if self.sent.as_ref() == Some(&bundles) {
            return Ok((None, None));
        }
        let named = |bundle: &JwtBundle| {
            let name = bundle.trust_domain().to_spiffe_id().to_string();
            (name, bundle.to_jwks().into_bytes())
        };
        let message = JwtBundlesResponse {
            bundles: bundles.iter().map(named).collect(),
        };
        self.sent = Some(bundles);
        Ok((Some(message), None))
    }

    async fn changed(&mut self) -> Result<(), Status> {
        either(&mut self.own, &mut self.foreign).await
    }
}
