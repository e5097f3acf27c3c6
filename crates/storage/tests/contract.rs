//! What the rooms may rely on, on both databases.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use model::Secret;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;
use storage::{Config, Db, Place, StorageError, on, sqlx, transaction};
use testdb::TestDb;

/// A table of a test's own; the schema of the house does not matter here.
async fn table(db: &Db) {
    let make = "CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT NOT NULL CHECK (n >= 0))";
    on!(db, pool => sqlx::query(make).execute(pool).await.map(drop)).unwrap();
}

async fn put(db: &Db, id: &str, n: i64) -> Result<(), StorageError> {
    let insert = "INSERT INTO things (id, n) VALUES ($1, $2)";
    on!(db, pool => sqlx::query(insert).bind(id).bind(n).execute(pool).await.map(drop))?;
    Ok(())
}

async fn count(db: &Db) -> i64 {
    on!(db, pool => sqlx::query_scalar("SELECT COUNT(*) FROM things").fetch_one(pool).await).unwrap()
}

/// Puts rows in one transaction, and then does what `last` says.
async fn put_all(db: &Db, ids: &[&str], last: impl Future<Output = i64>) -> Result<i64, StorageError> {
    transaction!(db, tx => {
        for id in ids {
            let insert = sqlx::query("INSERT INTO things (id, n) VALUES ($1, 1)").bind(*id);
            insert.execute(&mut **tx).await?;
        }
        Ok(last.await)
    })
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    for test in TestDb::each().await {
        table(&test.db).await;
        put(&test.db, "here", 1).await.unwrap();
        let refused = put_all(&test.db, &["new", "here"], std::future::ready(7)).await;
        assert!(matches!(refused, Err(StorageError::Conflict)));
        assert_eq!(count(&test.db).await, 1);
        let never = put_all(&test.db, &["new"], std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(200), never).await.is_err());
        assert_eq!(count(&test.db).await, 1);
        assert_eq!(put_all(&test.db, &["new"], std::future::ready(7)).await.unwrap(), 7);
        assert_eq!(count(&test.db).await, 2);
    }
}

#[tokio::test]
async fn what_a_database_refuses_is_told_apart() {
    for test in TestDb::each().await {
        table(&test.db).await;
        put(&test.db, "a", 1).await.unwrap();
        assert!(matches!(put(&test.db, "a", 1).await, Err(StorageError::Conflict)));
        assert!(matches!(put(&test.db, "b", -1).await, Err(StorageError::Refused(_))));
        test.db.close().await;
        assert!(matches!(put(&test.db, "c", 1).await, Err(StorageError::Unavailable(_))));
        assert!(matches!(test.db.ping().await, Err(StorageError::Unavailable(_))));
    }
}

#[tokio::test]
async fn of_many_that_take_one_row_one_gets_it() {
    for test in TestDb::each().await {
        table(&test.db).await;
        put(&test.db, "code", 1).await.unwrap();
        let other = test.again().await;
        let take = |at: usize| {
            let db = if at.is_multiple_of(2) { test.db.clone() } else { other.clone() };
            tokio::spawn(async move {
                let take = "DELETE FROM things WHERE id = 'code' RETURNING n";
                let got: Option<i64> =
                    on!(db, pool => sqlx::query_scalar(take).fetch_optional(pool).await).unwrap();
                got.is_some()
            })
        };
        let mut got = 0;
        for task in (0..50).map(take).collect::<Vec<_>>() {
            got += usize::from(task.await.unwrap());
        }
        assert_eq!(got, 1);
    }
}

#[tokio::test]
async fn a_notice_reaches_who_listens() {
    for test in TestDb::each().await {
        let mut notices = test.db.notices("tests").await.unwrap();
        test.db.say("tests").await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), notices.next()).await.unwrap().unwrap();
    }
    if let Some(test) = TestDb::postgres().await {
        let mut notices = test.again().await.notices("tests").await.unwrap();
        test.db.say("other").await.unwrap();
        test.db.say("tests").await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), notices.next()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn every_older_schema_is_brought_up_to_date_and_a_newer_one_is_left_alone() {
    for older in 0..Db::steps() {
        for config in TestDb::empty().await {
            let before = Db::open_older(&config.config, older).await.unwrap();
            let now = Db::open(&config.config).await.unwrap();
            // The program before this one, beside it and after it.
            before.ping().await.unwrap();
            Db::open_older(&config.config, older).await.unwrap().ping().await.unwrap();
            now.ping().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_database_file_is_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("below/test.db");
    let config = Config::at(Place::Sqlite(path.clone()));
    let db = Db::open(&config).await.unwrap();
    table(&db).await;
    put(&db, "a", 1).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("below")), 0o700);
    let files: Vec<_> =
        std::fs::read_dir(folder.path().join("below")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    db.close().await;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Db::open(&config).await, Err(StorageError::File { .. })));
}

#[tokio::test]
async fn a_url_that_is_none_is_not_shown() {
    for bad in ["not a url", "postgres://u:secret@host:port/", "mysql://u:secret@h/d"] {
        let config = Config::at(Place::Postgres(Arc::new(Secret::new(bad.as_bytes().to_vec()))));
        let error = Db::open(&config).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, StorageError::Url), "{text}");
        assert!(!text.contains("secret"));
    }
}
