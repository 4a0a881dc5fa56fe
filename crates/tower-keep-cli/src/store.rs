//! The store that the arguments name.

use tower_keep::DynStore;
use tower_keep_connect::StoreConfig;

use crate::args::{Migrate, StoreArguments};
use crate::error::Failure;

/// Sessions of any size that a server may have been configured for can be read.
const MAX_DATA: usize = 64 << 20;

impl StoreArguments {
    /// The store that sessions are to be copied to, if they are.
    pub(crate) fn of_target(migrate: &Migrate) -> Result<Option<Self>, Failure> {
        let Some(url) = &migrate.to else {
            return Ok(None);
        };
        let url = match &**url {
            "" => std::env::var("KEEP_STORE_TO")
                .map_err(|_| Failure::Usage("give --to a URL, or set KEEP_STORE_TO".to_owned()))?,
            url => url.to_owned(),
        };
        Ok(Some(Self {
            store: Some(url),
            table: migrate.to_table.clone(),
            schema: migrate.to_schema.clone(),
            prefix: migrate.to_prefix.clone(),
        }))
    }

    /// The store, that which is there.
    pub(crate) async fn open(&self) -> Result<DynStore, Failure> {
        Ok(self.config()?.existing(true).connect().await?)
    }

    /// How it is opened, or made.
    pub(crate) fn config(&self) -> Result<StoreConfig, Failure> {
        let url = self.store.as_deref().filter(|url| !url.is_empty());
        let url = url.ok_or_else(|| {
            Failure::Usage("no store is named: give --store URL or set KEEP_STORE".to_owned())
        })?;
        if is_in_memory(url) {
            let why = "a store in memory is in the process that uses it, and nobody else sees it";
            return Err(Failure::Usage(why.to_owned()));
        }
        let mut config = StoreConfig::new(url).max_data(MAX_DATA);
        if let Some(table) = &self.table {
            config = config.table(table);
        }
        if let Some(schema) = &self.schema {
            config = config.schema(schema);
        }
        if let Some(prefix) = &self.prefix {
            config = config.prefix(prefix);
        }
        Ok(config)
    }
}

fn is_in_memory(url: &str) -> bool {
    let url = url.to_ascii_lowercase();
    let (scheme, rest) = url.split_once(':').unwrap_or((&url, ""));
    scheme == "memory"
        || scheme == "sqlite" && (rest.contains(":memory:") || rest.contains("mode=memory"))
}
