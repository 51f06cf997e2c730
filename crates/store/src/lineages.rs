use std::collections::BTreeMap;

use chancery_journal::Subject;
use chancery_types::Timestamp;
use chancery_types::id::{InstanceId, NodeId};
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use crate::instances::instance;
use crate::open::{integer, natural};
use crate::sealed::range;
use crate::together::{pairs, parts};
use crate::{InstanceRow, Kept, Store, StoreError};

const TABLE: &str = "lineages";

/// Where an instance comes from, and until when it is to live.
#[derive(Debug, Clone, PartialEq)]
pub struct LineageRow {
    /// The instance.
    pub instance_id: InstanceId,
    /// The instance that started it.
    pub parent: Option<InstanceId>,
    /// Whether it goes on when that one has ended.
    pub outlive: bool,
    /// When it is to end in any case.
    pub until: Option<Timestamp>,
    /// What it is to do, with whom that is about: what opens the commitment in its entry.
    pub task: Option<(Subject, Value)>,
    /// The entry of the server's log that opened it.
    pub log_index: u64,
}

/// What is looked for among all instances, living and dead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RosterQuery {
    /// Those of that agent.
    pub agent: Option<String>,
    /// Those that this one started.
    pub parent: Option<InstanceId>,
    /// Those that this one started, and those that they started, and so on.
    pub above: Option<InstanceId>,
    /// Those that run, or those that do not.
    pub running: Option<bool>,
    /// Those whose nearest root at or above them is of these.
    pub acting: Option<Acting>,
    /// Those that were opened then or later.
    pub since: Option<Timestamp>,
    /// Those behind the one that was opened then.
    pub after: Option<(Timestamp, InstanceId)>,
    /// Most that are answered, the newest.
    pub limit: u64,
}

/// Roots that instances act by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acting {
    /// Those of that person.
    For(Subject),
    /// The newest one that this instance was given.
    By(InstanceId),
}

/// An instance with where it comes from and how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RosterRow {
    /// The instance.
    pub instance: InstanceRow,
    /// The instance that started it.
    pub parent: Option<InstanceId>,
    /// Whether it goes on when that one has ended.
    pub outlive: bool,
    /// When it is to end in any case.
    pub until: Option<Timestamp>,
    /// What opens the commitment to its task.
    pub task: Option<Kept>,
    /// The node that it is on; none of one on the server's own machine.
    pub node: Option<NodeId>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// When the last of its X.509-SVIDs expires.
    pub svid_until: Option<Timestamp>,
    /// The nearest root at or above it, and which instance was given that.
    pub root: Option<(InstanceId, Kept)>,
}

/// Whose nearest root is one of those that are looked for is in `acting`; whatever leads from an instance of
/// the page up to its nearest root is in `above`.
const ROSTER: &str = "WITH RECURSIVE below(id) AS (
        SELECT instance_id FROM lineages WHERE parent_id = $3
        UNION
        SELECT lineages.instance_id FROM lineages JOIN below ON lineages.parent_id = below.id
    ), acting(id) AS (
        SELECT roots.instance_id FROM roots
        WHERE (roots.instance_id = $6 OR (roots.document >= $7 AND roots.document < $8))
            AND roots.jti = (SELECT newest.jti FROM roots newest
                WHERE newest.instance_id = roots.instance_id
                ORDER BY newest.created_at DESC, newest.jti LIMIT 1)
        UNION
        SELECT lineages.instance_id FROM lineages JOIN acting ON lineages.parent_id = acting.id
        WHERE NOT EXISTS (SELECT 1 FROM roots WHERE roots.instance_id = lineages.instance_id)
    ), page AS (
        SELECT instances.*, lineages.parent_id, lineages.outlive, lineages.until,
            lineages.document, instance_nodes.node_id, instance_ends.ended_at,
            instance_end_reasons.reason, instance_svids.expires_at
        FROM instances
        LEFT JOIN lineages ON lineages.instance_id = instances.instance_id
        LEFT JOIN instance_nodes ON instance_nodes.instance_id = instances.instance_id
        LEFT JOIN instance_ends ON instance_ends.instance_id = instances.instance_id
        LEFT JOIN instance_end_reasons
            ON instance_end_reasons.instance_id = instances.instance_id
        LEFT JOIN instance_svids ON instance_svids.instance_id = instances.instance_id
        WHERE ($1 = '' OR instances.agent_id = $1)
            AND ($2 = '' OR lineages.parent_id = $2)
            AND ($3 = '' OR instances.instance_id IN (SELECT id FROM below))
            AND ($4 = -1 OR instances.running = $4)
            AND ($9 = 0 OR instances.instance_id IN (SELECT id FROM acting))
            AND instances.opened_at >= $10
            AND (instances.opened_at < $11
                OR (instances.opened_at = $11 AND instances.instance_id > $12))
        ORDER BY instances.opened_at DESC, instances.instance_id LIMIT $5
    ), above(id, at) AS (
        SELECT page.instance_id, page.instance_id FROM page
        UNION
        SELECT above.id, lineages.parent_id
        FROM above JOIN lineages ON lineages.instance_id = above.at
        WHERE lineages.parent_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM roots WHERE roots.instance_id = above.at)
    ), held(id, at, jti) AS (
        SELECT above.id, above.at, (SELECT newest.jti FROM roots newest
            WHERE newest.instance_id = above.at
            ORDER BY newest.created_at DESC, newest.jti LIMIT 1)
        FROM above
    )
    SELECT page.*, held.at AS held_by, roots.jti AS root_jti, roots.document AS root_document
    FROM page
    LEFT JOIN held ON held.id = page.instance_id AND held.jti IS NOT NULL
    LEFT JOIN roots ON roots.jti = held.jti
    ORDER BY page.opened_at DESC, page.instance_id";

impl Store {
    /// Stores where an instance comes from, before there is the instance.
    pub async fn put_lineage(&self, row: &LineageRow) -> Result<(), StoreError> {
        let id = row.instance_id.to_string();
        let sealed = |(subject, task): &(Subject, Value)| self.seal(subject, TABLE, &id, task);
        let document = row.task.as_ref().map(sealed).transpose()?;
        sqlx::query(
            "INSERT INTO lineages (instance_id, parent_id, outlive, until, document, log_index)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&id)
        .bind(row.parent.map(|parent| parent.to_string()))
        .bind(i64::from(row.outlive))
        .bind(row.until.map(|until| integer(until.as_micros())))
        .bind(document)
        .bind(integer(row.log_index))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The instance that started that one, where one did.
    pub async fn parent_of(&self, id: InstanceId) -> Result<Option<InstanceId>, StoreError> {
        let parent: Option<Option<String>> =
            sqlx::query_scalar("SELECT parent_id FROM lineages WHERE instance_id = $1")
                .bind(id.to_string())
                .fetch_optional(&self.pool)
                .await?;
        let parent = parent.flatten().map(|parent| parent.parse());
        parent.transpose().map_err(|e| StoreError::row(TABLE, e))
    }

    /// The children of an instance that run and may not outlive it.
    pub async fn children_to_end(
        &self,
        parent: InstanceId,
    ) -> Result<Vec<InstanceRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT instances.* FROM instances
             JOIN lineages ON lineages.instance_id = instances.instance_id
             WHERE lineages.parent_id = $1 AND lineages.outlive = 0 AND instances.running = 1
             ORDER BY instances.instance_id",
        )
        .bind(parent.to_string())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(instance).collect()
    }

    /// How many children of an instance run.
    pub async fn count_running_children(&self, parent: InstanceId) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM instances
             JOIN lineages ON lineages.instance_id = instances.instance_id
             WHERE lineages.parent_id = $1 AND instances.running = 1",
        )
        .bind(parent.to_string())
        .fetch_one(&self.pool)
        .await?;
        Ok(natural(count))
    }

    /// The instances that run although the one that started them has ended and they may not outlive it,
    /// or although their time is over: each with that time.
    pub async fn overdue(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(InstanceRow, Option<Timestamp>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT instances.*, lineages.until FROM instances
             JOIN lineages ON lineages.instance_id = instances.instance_id
             LEFT JOIN instances parents ON parents.instance_id = lineages.parent_id
             WHERE instances.running = 1 AND (lineages.until <= $1
                 OR (parents.running = 0 AND lineages.outlive = 0))
             ORDER BY instances.instance_id",
        )
        .bind(integer(now.as_micros()))
        .fetch_all(&self.pool)
        .await?;
        let timed = |row: &AnyRow| {
            let until: Option<i64> = row.try_get("until")?;
            Ok((instance(row)?, until.map(time)))
        };
        rows.iter().map(timed).collect()
    }

    /// Notes when the last X.509-SVID of each instance expires: of all of them, or of none.
    pub async fn note_svids(&self, svids: &[(InstanceId, Timestamp)]) -> Result<(), StoreError> {
        // Each once, since one statement changes a row once; and in one order, so that no two wait for each other.
        let mut latest = BTreeMap::new();
        for (id, expires_at) in svids {
            let known = latest.entry(*id).or_insert(*expires_at);
            *known = (*known).max(*expires_at);
        }
        let latest: Vec<_> = latest.into_iter().collect();
        match parts(&latest).as_slice() {
            [] => Ok(()),
            [all] => note_part(all, &self.pool).await,
            several => {
                let mut transaction = self.pool.begin().await?;
                for part in several {
                    note_part(part, &mut *transaction).await?;
                }
                transaction.commit().await?;
                Ok(())
            }
        }
    }

    /// What is looked for, newest first.
    pub async fn roster(&self, query: &RosterQuery) -> Result<Vec<RosterRow>, StoreError> {
        let id = |id: Option<InstanceId>| id.map(|id| id.to_string()).unwrap_or_default();
        let (holder, person) = match &query.acting {
            None => (None, None),
            Some(Acting::By(holder)) => (Some(*holder), None),
            Some(Acting::For(person)) => (None, self.keys.key_of(person)),
        };
        // Nothing is sealed for whom there is no key.
        let (from, to) = person.map(range).unwrap_or_default();
        let since = query.since.unwrap_or(Timestamp::from_micros(0));
        let latest = Timestamp::from_micros(u64::MAX);
        let (until, behind) = match query.after {
            Some((since, behind)) => (since, Some(behind)),
            None => (latest, None),
        };
        let rows = sqlx::query(ROSTER)
            .bind(query.agent.clone().unwrap_or_default())
            .bind(id(query.parent))
            .bind(id(query.above))
            .bind(query.running.map_or(-1, i64::from))
            .bind(integer(query.limit))
            .bind(id(holder))
            .bind(from)
            .bind(to)
            .bind(i64::from(query.acting.is_some()))
            .bind(integer(since.as_micros()))
            .bind(integer(until.as_micros()))
            .bind(id(behind))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| self.roster_row(row)).collect()
    }

    fn roster_row(&self, row: &AnyRow) -> Result<RosterRow, StoreError> {
        let text = |column: &str| row.try_get::<Option<String>, _>(column);
        let number = |column: &str| row.try_get::<Option<i64>, _>(column);
        let instance = instance(row)?;
        let id = instance.instance_id.to_string();
        let task = text("document")?.map(|text| self.unseal(TABLE, &id, &text));
        let parent = text("parent_id")?.map(|id| id.parse()).transpose();
        let node = text("node_id")?.map(|id| id.parse()).transpose();
        let root = match (text("held_by")?, text("root_jti")?, text("root_document")?) {
            (Some(held_by), Some(jti), Some(document)) => {
                let held_by = held_by.parse().map_err(|e| StoreError::row("roots", e))?;
                Some((held_by, self.unseal("roots", &jti, &document)?))
            }
            _ => None,
        };
        Ok(RosterRow {
            root,
            parent: parent.map_err(|e| StoreError::row(TABLE, e))?,
            outlive: number("outlive")?.unwrap_or(0) != 0,
            until: number("until")?.map(time),
            task: task.transpose()?,
            node: node.map_err(|e| StoreError::row("instance_nodes", e))?,
            ended_at: number("ended_at")?.map(time),
            end_reason: text("reason")?,
            svid_until: number("expires_at")?.map(time),
            instance,
        })
    }
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(natural(micros))
}

/// Notes what fills one statement.
async fn note_part(
    svids: &[(InstanceId, Timestamp)],
    on: impl sqlx::Executor<'_, Database = sqlx::Any>,
) -> Result<(), StoreError> {
    // Nothing but the numbers of parameters is put into it.
    let text = AssertSqlSafe(format!(
        "INSERT INTO instance_svids (instance_id, expires_at) VALUES {}
         ON CONFLICT (instance_id) DO UPDATE SET expires_at = excluded.expires_at
         WHERE instance_svids.expires_at < excluded.expires_at",
        pairs(svids.len())
    ));
    let noting = svids
        .iter()
        .fold(sqlx::query(text), |query, (id, expires_at)| {
            let query = query.bind(id.to_string());
            query.bind(integer(expires_at.as_micros()))
        });
    noting.execute(on).await?;
    Ok(())
}
