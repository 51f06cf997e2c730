use std::collections::BTreeMap;

use chancery_identity::{RegistrationOwner, RegistrationTerms};
use chancery_types::{Digest, Timestamp};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::open::{integer, natural};
use crate::{Store, StoreError};

const TERMS: &str = "registrations";

const TERMS_OF: &str = "SELECT agents.agent_id, registrations.terms FROM agents
    LEFT JOIN registrations ON registrations.agent_id = agents.agent_id
    WHERE agents.agent_id IN";

/// A registered agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    /// The SPIFFE ID that its manifest names.
    pub agent_id: String,
    /// The manifest's id.
    pub manifest_id: String,
    /// The digest of the manifest's signed payload.
    pub manifest_digest: Digest,
    /// When the manifest ends to be valid.
    pub expires_at: Timestamp,
    /// The foreign trust domains whose bundles its instances are handed, by name.
    pub federates_with: Vec<String>,
    /// What its instances may start, as the API has it; nothing where it is absent.
    pub may_spawn: Option<Value>,
    /// What its instances are issued, and what is required of them.
    pub terms: RegistrationTerms,
    /// Whose files it comes from; absent where it was registered by hand.
    pub owner: Option<RegistrationOwner>,
    /// The entry of the server's log that enrolled it.
    pub log_index: u64,
}

impl Store {
    /// Stores an agent with its manifest; a later registration of the same agent replaces the earlier,
    /// and its retirement.
    pub async fn put_agent(&self, agent: &AgentRow, envelope: &[u8]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO manifests (digest, envelope) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(agent.manifest_digest.to_string())
        .bind(envelope)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO agents (agent_id, manifest_id, manifest_digest, expires_at, log_index)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (agent_id) DO UPDATE SET manifest_id = excluded.manifest_id,
                 manifest_digest = excluded.manifest_digest, expires_at = excluded.expires_at,
                 log_index = excluded.log_index",
        )
        .bind(&agent.agent_id)
        .bind(&agent.manifest_id)
        .bind(agent.manifest_digest.to_string())
        .bind(integer(agent.expires_at.as_micros()))
        .bind(integer(agent.log_index))
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM agent_federations WHERE agent_id = $1")
            .bind(&agent.agent_id)
            .execute(&mut *transaction)
            .await?;
        for trust_domain in &agent.federates_with {
            sqlx::query(
                "INSERT INTO agent_federations (agent_id, trust_domain) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .bind(&agent.agent_id)
            .bind(trust_domain)
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("DELETE FROM agent_spawning WHERE agent_id = $1")
            .bind(&agent.agent_id)
            .execute(&mut *transaction)
            .await?;
        if let Some(may_spawn) = &agent.may_spawn {
            sqlx::query("INSERT INTO agent_spawning (agent_id, document) VALUES ($1, $2)")
                .bind(&agent.agent_id)
                .bind(may_spawn.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(
            "INSERT INTO registrations (agent_id, terms, owner) VALUES ($1, $2, $3)
             ON CONFLICT (agent_id) DO UPDATE SET terms = excluded.terms, owner = excluded.owner",
        )
        .bind(&agent.agent_id)
        .bind(serde_json::to_string(&agent.terms).map_err(|e| StoreError::row(TERMS, e))?)
        .bind(agent.owner.as_ref().map(ToString::to_string))
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM retirements WHERE agent_id = $1")
            .bind(&agent.agent_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Takes an agent out, as that entry of the log says. Its manifests and instances stay.
    pub async fn retire_agent(&self, agent_id: &str, log_index: u64) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for statement in [
            "DELETE FROM agents WHERE agent_id = $1",
            "DELETE FROM agent_federations WHERE agent_id = $1",
            "DELETE FROM agent_spawning WHERE agent_id = $1",
            "DELETE FROM registrations WHERE agent_id = $1",
        ] {
            sqlx::query(statement)
                .bind(agent_id)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(
            "INSERT INTO retirements (agent_id, log_index) VALUES ($1, $2)
             ON CONFLICT (agent_id) DO UPDATE SET log_index = excluded.log_index",
        )
        .bind(agent_id)
        .bind(integer(log_index))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The entry that an agent was retired by, where it was and is not registered again.
    pub async fn retirement(&self, agent_id: &str) -> Result<Option<u64>, StoreError> {
        let index: Option<i64> =
            sqlx::query_scalar("SELECT log_index FROM retirements WHERE agent_id = $1")
                .bind(agent_id)
                .fetch_optional(&self.pool)
                .await?;
        Ok(index.map(natural))
    }

    /// The agent of that SPIFFE ID.
    pub async fn agent(&self, agent_id: &str) -> Result<Option<AgentRow>, StoreError> {
        let row = sqlx::query(
            "SELECT agents.*, agent_spawning.document, registrations.terms, registrations.owner
             FROM agents
             LEFT JOIN agent_spawning ON agent_spawning.agent_id = agents.agent_id
             LEFT JOIN registrations ON registrations.agent_id = agents.agent_id
             WHERE agents.agent_id = $1",
        );
        let row = row.bind(agent_id);
        let Some(row) = row.fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        let federated = sqlx::query_scalar(
            "SELECT trust_domain FROM agent_federations WHERE agent_id = $1 ORDER BY trust_domain",
        );
        let federated = federated.bind(agent_id);
        let mut agent = agent(&row)?;
        agent.federates_with = federated.fetch_all(&self.pool).await?;
        Ok(Some(agent))
    }

    /// What the instances of these agents are issued, of each that is registered.
    pub async fn terms_of(
        &self,
        agents: &[&str],
    ) -> Result<BTreeMap<String, RegistrationTerms>, StoreError> {
        let keys: Vec<_> = agents.iter().map(ToString::to_string).collect();
        let rows = self.rows_in(TERMS_OF, &keys).await?;
        let terms = rows
            .iter()
            .map(|row| Ok((row.try_get("agent_id")?, terms_in(row)?)));
        terms.collect()
    }

    /// All agents, in the order of their ids.
    pub async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT agents.*, agent_spawning.document, registrations.terms, registrations.owner
             FROM agents
             LEFT JOIN agent_spawning ON agent_spawning.agent_id = agents.agent_id
             LEFT JOIN registrations ON registrations.agent_id = agents.agent_id
             ORDER BY agents.agent_id",
        );
        let rows = rows.fetch_all(&self.pool).await?;
        let federated: Vec<(String, String)> = sqlx::query_as(
            "SELECT agent_id, trust_domain FROM agent_federations ORDER BY trust_domain",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (agent_id, name) in federated {
            names.entry(agent_id).or_default().push(name);
        }
        let with = |row| {
            let mut agent = agent(row)?;
            agent.federates_with = names.remove(&agent.agent_id).unwrap_or_default();
            Ok(agent)
        };
        rows.iter().map(with).collect()
    }

    /// The envelope of the manifest with that payload digest.
    pub async fn manifest(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let envelope = sqlx::query_scalar("SELECT envelope FROM manifests WHERE digest = $1");
        Ok(envelope
            .bind(digest.to_string())
            .fetch_optional(&self.pool)
            .await?)
    }
}

/// An agent without those that it federates with. What was registered before there were terms and owners has
/// neither.
fn agent(row: &AnyRow) -> Result<AgentRow, StoreError> {
    let text = |column: &str| row.try_get::<Option<String>, _>(column);
    let digest: String = row.try_get("manifest_digest")?;
    let may_spawn = text("document")?.map(|text| serde_json::from_str(&text));
    let owner = text("owner")?.map(|owner| owner.parse());
    Ok(AgentRow {
        agent_id: row.try_get("agent_id")?,
        manifest_id: row.try_get("manifest_id")?,
        manifest_digest: digest.parse().map_err(|e| StoreError::row("agents", e))?,
        expires_at: Timestamp::from_micros(natural(row.try_get("expires_at")?)),
        federates_with: Vec::new(),
        may_spawn: (may_spawn.transpose()).map_err(|e| StoreError::row("agent_spawning", e))?,
        terms: terms_in(row)?,
        owner: owner.transpose().map_err(|e| StoreError::row(TERMS, e))?,
        log_index: natural(row.try_get("log_index")?),
    })
}

/// Those of a registration that has any.
fn terms_in(row: &AnyRow) -> Result<RegistrationTerms, StoreError> {
    let text: Option<String> = row.try_get("terms")?;
    let terms = text.map(|text| serde_json::from_str(&text)).transpose();
    Ok(terms
        .map_err(|e| StoreError::row(TERMS, e))?
        .unwrap_or_default())
}
