//! What every store must do: one suite for SQLite and PostgreSQL.
//!
//! With SQLite each check is a test of its own. With PostgreSQL one server serves them all, each in a
//! database of its own; where there is none that is said aloud.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod fences;
mod lineages;
mod migrations;
mod nodes;
mod outage;
mod postgres;
mod registrations;
mod rows;
mod sealing;
mod together;

use std::sync::Arc;

use chancery_journal::Keyring;
use chancery_store::{Store, StoreError};
use sqlx::Connection as _;

/// A database that a check has for itself, and the folder of its keys.
pub(crate) struct World {
    folder: tempfile::TempDir,
    database: Option<String>,
    keys: Arc<Keyring>,
}

impl World {
    fn new(database: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(Keyring::open(&folder.path().join("keys")).unwrap());
        Self {
            folder,
            database,
            keys,
        }
    }

    /// The store, as one more of those opens it who have the same keys.
    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Store, StoreError> {
        let keys = Arc::clone(&self.keys);
        match &self.database {
            None => Store::open(&self.folder.path().join("chancery.db"), keys).await,
            Some(address) => Store::connect(&address.parse().unwrap(), "this", keys).await,
        }
    }

    /// Whether several deployments could have it.
    pub(crate) const fn is_shared(&self) -> bool {
        self.database.is_some()
    }

    /// Runs a statement beside the store, as somebody who has the database could.
    pub(crate) async fn run(&self, statement: &'static str) {
        let mut beside = self.beside().await;
        sqlx::query(statement).execute(&mut beside).await.unwrap();
        beside.close().await.unwrap();
    }

    /// The one text that a query finds.
    pub(crate) async fn text(&self, query: &'static str) -> String {
        let mut beside = self.beside().await;
        let text = sqlx::query_scalar(query)
            .fetch_one(&mut beside)
            .await
            .unwrap();
        beside.close().await.unwrap();
        text
    }

    async fn beside(&self) -> sqlx::AnyConnection {
        sqlx::any::install_default_drivers();
        let file = self.folder.path().join("chancery.db");
        let address = self.database.clone();
        let address = address.unwrap_or_else(|| format!("sqlite://{}", file.display()));
        sqlx::AnyConnection::connect(&address).await.unwrap()
    }
}

/// Each check with SQLite, by its name, and all of them with PostgreSQL.
macro_rules! contract {
    ($($module:ident: $($check:ident)*;)*) => {
        mod sqlite {
            $($(
                #[tokio::test]
                async fn $check() {
                    crate::$module::$check(crate::World::new(None)).await;
                }
            )*)*
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn postgres_keeps_the_same_contract() {
            let Some(mut server) = postgres::Postgres::start().await else {
                return;
            };
            $($(
                eprintln!("{}", stringify!($check));
                $module::$check(World::new(Some(server.database().await))).await;
            )*)*
            outage::nothing_acknowledged_is_lost_when_the_database_is_killed(&mut server).await;
            outage::what_is_asked_while_it_is_away_fails_and_is_answered_when_it_is_back(&mut server).await;
        }
    };
}

#[tokio::test]
async fn a_database_that_refuses_connections_says_so() {
    let world = World::new(Some(
        "postgres://nobody:hunter2@127.0.0.1:1/none".to_owned(),
    ));
    let refused = world.try_open().await.unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(
        cause.contains("refused") && !cause.contains("timed out"),
        "{cause}"
    );
    assert!(!cause.contains("hunter2"), "{cause}");
}

contract! {
    rows: an_agent_key_is_set_once instances_are_found_together_each_with_its_node
        an_instance_ends_once an_approval_is_answered_once
        the_newest_of_each_is_in_force recording_twice_changes_nothing
        agents_keep_their_earlier_manifests a_revocation_is_kept_until_it_is_taken_out
        a_revocation_that_is_refused_keeps_out_no_other
        roots_are_listed_since_a_time a_consent_and_each_number_of_it_are_stored_once
        a_relation_and_its_bundle_are_kept text_is_ordered_byte_by_byte;
    lineages: a_lineage_is_followed_down_and_up who_may_not_outlive_a_parent_is_found
        the_end_of_the_last_svid_of_many_is_noted_together;
    registrations: terms_and_owner_are_kept_and_replaced_whole
        what_was_registered_before_there_were_terms_has_none the_terms_of_many_agents_are_found_together
        a_retired_agent_is_gone_and_what_it_was_stays
        running_instances_are_those_of_that_agent_alone;
    nodes: a_node_token_is_used_once_and_in_time a_node_that_is_out_stays_out;
    fences: a_fence_has_one_holder_at_a_time a_fence_whose_time_is_over_is_not_renewed
        of_many_who_want_a_fence_one_has_it who_lost_a_fence_changes_no_setting_of_it
        a_fence_is_taken_from_a_holder_that_has_ended_and_from_nobody_else;
    together: one_answer_is_kept_of_two_servers_that_answer_at_once
        a_number_of_a_consent_is_given_once_by_two_servers an_end_and_a_record_are_told_once;
    migrations: tables_of_a_later_version_are_refused_and_stay_as_they_are tables_are_one_deployments
        tables_of_the_version_before_are_brought_forward a_version_that_is_no_number_is_refused
        a_database_is_made_once_by_two_servers_that_start_together;
    sealing: a_person_is_counted_and_erased_alone nothing_of_a_person_is_in_a_row_in_clear;
}
