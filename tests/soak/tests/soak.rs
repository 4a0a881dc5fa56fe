//! The demo under load and faults, on each store.

#![cfg(target_os = "linux")]

use tower_keep_soak::{Kind, Soak};

const DEMO: &str = env!("CARGO_BIN_EXE_keep-soak-demo");

macro_rules! soaks {
    ($($name:ident $kind:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            Soak { kind: Kind::$kind, program: DEMO }.run().await;
        }
    )* };
}

soaks! {
    a_soak_in_memory_finds_nothing Memory
    a_soak_on_files_finds_nothing File
    a_soak_on_sqlite_finds_nothing Sqlite
    a_soak_on_redis_finds_nothing Redis
    a_soak_on_postgres_finds_nothing Postgres
    a_soak_on_mariadb_finds_nothing MariaDb
}
