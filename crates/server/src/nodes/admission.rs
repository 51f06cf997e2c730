//! Who admits nodes, and who is one.

use std::sync::atomic::Ordering;
use std::time::Instant;

use chancery_api::Problem;
use chancery_api::server::{
    AdmitNodeAuthority, JoinMeans, JoinNode, JoinToken, JoinedNode, NodeAuthorityView, NodeToken,
    NodeView, Nodes, RenewNode,
};
use chancery_attestation::tpm::{PcrValues, TpmEvidence};
use chancery_audit::{Label, NodeAuthority as AuthorityEvent, NodeJoin, NodeProof};
use chancery_crypto::{AwsLc, SVID_ALGORITHMS, random_bytes, random_id};
use chancery_identity::{
    NodeAuthority, NodeSpiffeId, ProvenNodeKey, TrustDomain, certificate_message, spki_der,
    verify_node_certificate, verify_node_key,
};
use chancery_store::{NodeAuthorityRow, NodeRow, NodeTokenRow};
use chancery_types::id::NodeId;
use chancery_types::{Digest, Jwk, Timestamp, base64url};
use http::StatusCode;

use super::listener::{NodeConnection, NodeHome};
use super::tpm;
use crate::Server;
use crate::endpoints::{label, random, stored};

/// How long a token may admit a node.
const TOKEN_SECONDS: std::ops::RangeInclusive<u64> = 10..=86_400;

/// Most tokens that are unused.
const MAX_TOKENS: usize = 256;

/// How long a token is remembered after it was over, so that the log can say what it was.
const REMEMBERED_SECONDS: u64 = 86_400;

/// The SVID of a node outlives those of instances, so that a server that is away for a while is found
/// again; an hour is what the signer signs at most.
const OUTLIVES: u64 = 6;
const LONGEST_SECONDS: u64 = 3_600;

/// What admitted a node, as it is enrolled.
pub(super) struct Admitted {
    pub(super) node: NodeId,
    pub(super) level: &'static str,
    pub(super) event: NodeJoin,
    pub(super) subject: Option<String>,
    /// What a TPM showed, as it is stored.
    pub(super) tpm: Option<String>,
}

/// An authority that the operator admitted.
pub(super) struct Admitting {
    pub(super) authority: NodeAuthority,
    /// Whether its certificates are of TPMs, and what the registers of those must hold.
    pub(super) tpms: bool,
    pub(super) pcrs: PcrValues,
    log_index: u64,
}

impl Server {
    /// The SPIFFE ID of a node.
    pub(crate) fn node_spiffe_id(&self, node: NodeId) -> Result<NodeSpiffeId, Problem> {
        let domain: TrustDomain = (self.trust().trust_domain.parse())
            .map_err(|error| Problem::internal("trust_domain", &error))?;
        NodeSpiffeId::new(&domain, node).map_err(|error| Problem::internal("spiffe_id", &error))
    }

    /// Makes a token. What is kept of it is its digest, which is enrolled before anybody sees it.
    pub(crate) async fn new_node_token(&self, lifetime: u64) -> Result<NodeToken, Problem> {
        if !TOKEN_SECONDS.contains(&lifetime) {
            return Err(Problem::bad_request(
                "node_token_lifetime",
                "a token admits a node for 10 seconds to a day",
            ));
        }
        let now = self.now()?;
        let known = self.store.node_tokens().await.map_err(stored)?;
        let open = known
            .iter()
            .filter(|one| one.used_at.is_none() && one.expires_at > now);
        if open.count() >= MAX_TOKENS {
            return Err(Problem::conflict(
                "node_tokens_full",
                "there are too many unused tokens; wait until some are over",
            ));
        }
        let token = base64url::encode(random_bytes::<32>().map_err(random)?);
        let token = JoinToken::new(format!("chj_{token}"));
        let expires_at = now.plus_seconds(lifetime);
        let event = chancery_audit::NodeToken {
            token: token.digest(),
            expires: expires_at,
        };
        let log_index = self.enrol(event).await?;
        let row = NodeTokenRow {
            token: token.digest(),
            expires_at,
            used_at: None,
        };
        let over = now.minus_seconds(REMEMBERED_SECONDS);
        let kept = self.store.put_node_token(&row, over).await;
        kept.map_err(stored)?;
        Ok(NodeToken {
            token,
            expires_at,
            log_index,
        })
    }

    /// Takes in an authority whose certificates admit nodes.
    pub(crate) async fn admit_node_authority(
        &self,
        request: &AdmitNodeAuthority,
    ) -> Result<NodeAuthorityView, Problem> {
        let refused = |message: String| Problem::bad_request("node_authority", message);
        let der = base64url::decode(&request.certificate)
            .map_err(|_| refused("certificate is not base64url".to_owned()))?;
        let authority = NodeAuthority::new(der).map_err(|error| refused(error.to_string()))?;
        if !authority.is_valid_at(self.now()?) {
            return Err(refused(
                "the certificate has expired or is not valid yet".to_owned(),
            ));
        }
        if !request.tpms && !request.pcrs.is_empty() {
            return Err(refused(
                "only tpms have registers; say that it is a maker of tpms".to_owned(),
            ));
        }
        let mut admitting = Admitting {
            authority,
            tpms: request.tpms,
            pcrs: request.pcrs.clone(),
            log_index: 0,
        };
        let log_index = self.enrol(admission(&admitting, true)).await?;
        admitting.log_index = log_index;
        let row = NodeAuthorityRow {
            fingerprint: admitting.authority.fingerprint(),
            certificate: admitting.authority.der().to_vec(),
            tpms: (admitting.tpms.then(|| tpm::written(&admitting.pcrs))).transpose()?,
            log_index,
        };
        let kept = self.store.put_node_authority(&row).await;
        kept.map_err(stored)?;
        Ok(view(&admitting))
    }

    /// Takes an authority out: its certificates admit nobody any more. Who joined by one stays.
    pub(crate) async fn remove_node_authority(&self, fingerprint: Digest) -> Result<(), Problem> {
        let known = self.node_authorities().await?.into_iter();
        let mut known = known.filter(|one| one.authority.fingerprint() == fingerprint);
        let admitting = known.next().ok_or_else(|| {
            Problem::not_found("node_authority", format!("{fingerprint} admits no nodes"))
                .with_remedy("chancery node list")
        })?;
        self.enrol(admission(&admitting, false)).await?;
        let removed = self.store.remove_node_authority(fingerprint).await;
        removed.map(drop).map_err(stored)
    }

    pub(super) async fn node_authorities(&self) -> Result<Vec<Admitting>, Problem> {
        let rows = self.store.node_authorities().await.map_err(stored)?;
        let rows = rows.into_iter().map(|row| {
            let authority = NodeAuthority::new(row.certificate);
            let authority = authority.map_err(|error| Problem::internal("store", &error))?;
            Ok(Admitting {
                authority,
                tpms: row.tpms.is_some(),
                pcrs: row
                    .tpms
                    .as_deref()
                    .map(tpm::read)
                    .transpose()?
                    .unwrap_or_default(),
                log_index: row.log_index,
            })
        });
        rows.collect()
    }

    /// All nodes and who admits them.
    pub(crate) async fn nodes(&self) -> Result<Nodes, Problem> {
        let mut nodes = Vec::new();
        for row in self.store.nodes().await.map_err(stored)? {
            let running = self.store.running_on(row.node_id).await.map_err(stored)?;
            let tpm = row.tpm.as_deref().map(serde_json::from_str).transpose();
            let tpm: Option<TpmEvidence> =
                tpm.map_err(|error| Problem::internal("store", &error))?;
            nodes.push(NodeView {
                node_id: row.node_id,
                spiffe_id: self.node_spiffe_id(row.node_id)?.to_string(),
                level: tpm.as_ref().map(TpmEvidence::level),
                proof: row.proof,
                tpm,
                subject: row.subject,
                joined_at: row.joined_at,
                expires_at: row.expires_at,
                evicted_at: row.evicted_at,
                instances: running.len() as u64,
                log_index: row.log_index,
            });
        }
        let authorities = self.node_authorities().await?;
        let authorities = authorities.iter().map(view);
        Ok(Nodes {
            nodes,
            authorities: authorities.collect(),
            tpms: self.node_tpms().await?,
        })
    }

    /// The node at the other end of a connection: one that is one now.
    pub(crate) async fn node_at(&self, connection: &NodeConnection) -> Result<NodeId, Problem> {
        let svid = connection.svid.as_ref().ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "node_certificate",
                "the connection shows no x509-svid",
            )
        })?;
        let node = NodeSpiffeId::try_from(svid.spiffe_id()).map_err(|_| {
            let id = svid.spiffe_id();
            Problem::forbidden("not_a_node", format!("{id} is not the id of a node"))
        })?;
        if !svid.is_valid_at(self.now()?) {
            return Err(Problem::forbidden(
                "node_svid_expired",
                "the connection's x509-svid has expired",
            ));
        }
        if !connection.is_trusted(self)? {
            return Err(Problem::forbidden(
                "node_untrusted",
                "the connection's x509-svid leads to no authority that is trusted now",
            ));
        }
        self.nodes.check(node.node())?;
        let row = self.store.node(node.node()).await.map_err(stored)?;
        match row {
            Some(row) if row.evicted_at.is_none() => Ok(node.node()),
            _ => Err(Problem::forbidden(
                "node_unknown",
                format!("{node} did not join here"),
            )),
        }
    }

    /// Admits a node: what admits it is used up, the join is enrolled, then its SVID is.
    pub(crate) async fn join_node(
        &self,
        connection: &NodeConnection,
        home: &NodeHome,
        request: JoinNode,
    ) -> Result<JoinedNode, Problem> {
        // A TPM's host was counted when it asked to be challenged, where that was heard.
        let counted = connection.counted.swap(false, Ordering::Relaxed);
        let often = (!counted && !self.nodes.attempts.take(connection.address, Instant::now()))
            || connection.asked.swap(true, Ordering::Relaxed);
        if often {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "join_rate",
                "too many joins are asked for",
            ));
        }
        let joined = self.admit(connection, home, request).await;
        let outcome = if joined.is_ok() { "joined" } else { "refused" };
        metrics::counter!("chancery_node_joins_total", "outcome" => outcome).increment(1);
        joined
    }

    async fn admit(
        &self,
        connection: &NodeConnection,
        home: &NodeHome,
        request: JoinNode,
    ) -> Result<JoinedNode, Problem> {
        let key = proven(&request.proof, &request.key, connection)?;
        let now = self.now()?;
        let admitted = match request.means {
            JoinMeans::Token(token) => self.by_token(&token, &key, now).await,
            JoinMeans::X509 { chain, signature } => {
                self.by_certificate(connection, &key, (&chain, &signature), now)
                    .await
            }
            JoinMeans::Tpm(proof) => self.by_tpm(connection, &key, &proof, now).await,
        }?;
        self.nodes.check(admitted.node)?;
        let log_index = self.enrol(admitted.event).await?;
        let row = NodeRow {
            node_id: admitted.node,
            proof: admitted.level.to_owned(),
            subject: admitted.subject,
            joined_at: now,
            expires_at: now.plus_seconds(self.node_lifetime()),
            tpm: admitted.tpm,
            evicted_at: None,
            log_index,
        };
        if !self.store.put_node(&row).await.map_err(stored)? {
            return Err(Problem::forbidden("node_evicted", "the node was put out"));
        }
        self.issue_node(admitted.node, &key, home, (admitted.level, false))
            .await
    }

    /// Issues a node another SVID, over a fresh key.
    pub(crate) async fn renew_node(
        &self,
        node: NodeId,
        connection: &NodeConnection,
        home: &NodeHome,
        request: &RenewNode,
    ) -> Result<JoinedNode, Problem> {
        let key = proven(&request.proof, &request.key, connection)?;
        let issued = self.issue_node(node, &key, home, ("node", true)).await?;
        let noted = self.store.renew_node(node, issued.not_after).await;
        noted.map_err(stored)?;
        Ok(issued)
    }

    async fn issue_node(
        &self,
        node: NodeId,
        key: &ProvenNodeKey,
        home: &NodeHome,
        by: (&str, bool),
    ) -> Result<JoinedNode, Problem> {
        let spki = base64url::encode(spki_der(key.jwk()));
        let spiffe_id = self.node_spiffe_id(node)?.to_string();
        let issued = self.issue_own(spiffe_id, &spki, by, self.node_lifetime());
        let issued = issued.await?;
        Ok(JoinedNode {
            spiffe_id: issued.spiffe_id,
            chain: issued.chain,
            not_after: issued.not_after,
            gateway_address: home.gateway_address,
            gateway_spiffe_id: home.gateway_spiffe_id.to_string(),
        })
    }

    fn node_lifetime(&self) -> u64 {
        (self.svid_lifetime.seconds() * OUTLIVES).min(LONGEST_SECONDS)
    }

    /// Uses a token up. Whoever shows one that is not good learns nothing else.
    async fn by_token(
        &self,
        token: &JoinToken,
        key: &ProvenNodeKey,
        now: Timestamp,
    ) -> Result<Admitted, Problem> {
        let shown = token.digest();
        let known = self.store.node_tokens().await.map_err(stored)?;
        // Every one is compared, each in constant time.
        let found = known.iter().fold(None, |found, one| {
            if one.token.ct_eq(&shown) {
                Some(one)
            } else {
                found
            }
        });
        let cause = match found {
            None => "it is unknown",
            Some(one) if one.used_at.is_some() => "it was used",
            Some(one) if one.expires_at <= now => "it is over",
            Some(_) => match self.store.use_node_token(shown, now).await {
                Ok(true) => {
                    let node: NodeId = random_id().map_err(random)?;
                    return Ok(Admitted {
                        node,
                        level: NodeProof::Token.name(),
                        event: NodeJoin {
                            node: label(self.node_spiffe_id(node)?.as_str())?,
                            proof: NodeProof::Token,
                            key: key.jwk().thumbprint(),
                            token: Some(shown),
                            certificate: None,
                            authority: None,
                            subject: None,
                            names: None,
                            tpm: None,
                            attestation_key: None,
                            pcrs: None,
                            resets: None,
                        },
                        subject: None,
                        tpm: None,
                    });
                }
                Ok(false) => "it was used just now",
                Err(error) => return Err(stored(error)),
            },
        };
        tracing::warn!("a node is not admitted by its token: {cause}");
        Err(join_refused())
    }

    /// Judges a certificate that a host already has. The node's name follows from it.
    async fn by_certificate(
        &self,
        connection: &NodeConnection,
        key: &ProvenNodeKey,
        (chain, signature): (&[String], &str),
        now: Timestamp,
    ) -> Result<Admitted, Problem> {
        let refused = |cause: &dyn std::fmt::Display| {
            tracing::warn!("a node is not admitted by its certificate: {cause}");
            not_admitted("`chancery node admit-ca` admits the authority of its certificate")
        };
        let chain: Result<Vec<_>, _> = chain.iter().map(|der| base64url::decode(der)).collect();
        let chain = chain.map_err(|error| refused(&error))?;
        let signature = base64url::decode(signature).map_err(|error| refused(&error))?;
        let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
        let message = certificate_message(connection.channel, key.jwk(), leaf);
        let authorities = self.node_authorities().await?;
        let hosts = authorities.into_iter().filter(|one| !one.tpms);
        let authorities: Vec<_> = hosts.map(|one| one.authority).collect();
        let proven = verify_node_certificate(
            &chain,
            &authorities,
            now,
            SVID_ALGORITHMS,
            (&message, &signature),
        );
        let proven = proven.map_err(|error| refused(&error))?;
        let mut bits = [0; 16];
        let digest = proven.key();
        bits.iter_mut()
            .zip(digest.as_bytes())
            .for_each(|(bit, byte)| *bit = *byte);
        let node = NodeId::from_random(bits);
        let names = proven.names().iter().map(|name| Label::or_digest(name));
        Ok(Admitted {
            node,
            level: NodeProof::X509.name(),
            event: NodeJoin {
                node: label(self.node_spiffe_id(node)?.as_str())?,
                proof: NodeProof::X509,
                key: key.jwk().thumbprint(),
                token: None,
                certificate: Some(proven.fingerprint()),
                authority: Some(proven.authority()),
                subject: Some(Label::or_digest(proven.subject())),
                names: Some(names.collect()),
                tpm: None,
                attestation_key: None,
                pcrs: None,
                resets: None,
            },
            subject: Some(proven.subject().to_owned()),
            tpm: None,
        })
    }
}

fn proven(proof: &str, key: &Jwk, connection: &NodeConnection) -> Result<ProvenNodeKey, Problem> {
    verify_node_key(proof, key, connection.channel, &AwsLc)
        .map_err(|error| Problem::forbidden("node_proof", error.to_string()))
}

fn join_refused() -> Problem {
    not_admitted("a token is good once: make another with `chancery node token`")
}

fn not_admitted(remedy: &str) -> Problem {
    Problem::forbidden(
        "join_refused",
        "what was shown admits no node; the server's log says why",
    )
    .with_remedy(remedy)
}

fn admission(admitting: &Admitting, admitted: bool) -> AuthorityEvent {
    let pcrs = (!admitting.pcrs.is_empty()).then(|| tpm::labels(&admitting.pcrs));
    AuthorityEvent {
        authority: admitting.authority.fingerprint(),
        subject: Label::or_digest(admitting.authority.subject()),
        admitted,
        expires: admitting.authority.not_after(),
        admits: admitting.tpms.then_some(NodeProof::Tpm),
        pcrs,
    }
}

fn view(admitting: &Admitting) -> NodeAuthorityView {
    NodeAuthorityView {
        fingerprint: admitting.authority.fingerprint(),
        subject: admitting.authority.subject().to_owned(),
        not_after: admitting.authority.not_after(),
        tpms: admitting.tpms,
        pcrs: admitting.pcrs.clone(),
        log_index: admitting.log_index,
    }
}
