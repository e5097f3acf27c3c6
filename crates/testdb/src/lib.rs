//! Databases for the tests of rooms: every repository's contract is tried on SQLite and on PostgreSQL.
//!
//! The test run starts one PostgreSQL and says where in `PORTUNUS_TEST_POSTGRES`; each test gets a database of its
//! own in it. Without that variable only SQLite is tried, and the test says so.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::disallowed_methods, reason = "a crate of tests")]

use model::Secret;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use storage::{Config, Db, Place, sqlx};

/// Where an empty database is, without a schema yet.
pub struct Empty {
    /// How to open it.
    pub config: Config,
    folder: Option<tempfile::TempDir>,
}

/// An empty database of a test, with its schema.
pub struct TestDb {
    /// The database.
    pub db: Db,
    /// How to open it again.
    pub config: Config,
    _folder: Option<tempfile::TempDir>,
}

impl TestDb {
    /// SQLite in a folder of its own.
    pub async fn sqlite() -> Self {
        Self::open(Empty::sqlite()).await
    }

    /// PostgreSQL, if the test run has one.
    pub async fn postgres() -> Option<Self> {
        Some(Self::open(Empty::postgres().await?).await)
    }

    /// Both, or SQLite alone where there is no PostgreSQL.
    pub async fn each() -> Vec<Self> {
        let mut each = vec![Self::sqlite().await];
        each.extend(Self::postgres().await);
        each
    }

    /// Where both are, before anybody opens them.
    pub async fn empty() -> Vec<Empty> {
        let mut each = vec![Empty::sqlite()];
        each.extend(Empty::postgres().await);
        each
    }

    async fn open(empty: Empty) -> Self {
        let db = Db::open(&empty.config).await.expect("open the database");
        Self { db, config: empty.config, _folder: empty.folder }
    }

    /// Another process of the same database, as a second replica has it.
    pub async fn again(&self) -> Db {
        Db::open(&self.config).await.expect("open it again")
    }
}

impl Empty {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("make a folder");
        Self { config: Config::at(Place::Sqlite(folder.path().join("test.db"))), folder: Some(folder) }
    }

    async fn postgres() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(url) = std::env::var("PORTUNUS_TEST_POSTGRES") else {
            eprintln!("PORTUNUS_TEST_POSTGRES is not set: PostgreSQL is not tried");
            return None;
        };
        // Process ids come again while databases of earlier runs are still there.
        let moment = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let moment = moment.map_or(0, |since| since.as_micros());
        let name = format!("t_{}_{}_{moment}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let main = sqlx::PgPool::connect(&format!("{url}/postgres")).await.expect("connect to PostgreSQL");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&main).await.expect("create a database");
        main.close().await;
        let url = Arc::new(Secret::new(format!("{url}/{name}").into_bytes()));
        Some(Self { config: Config::at(Place::Postgres(url)), folder: None })
    }
}
