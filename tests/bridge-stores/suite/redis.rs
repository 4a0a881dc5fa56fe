//! Redis, in a database that nothing else of the tests uses.

use tower_sessions_core_014::session::Id;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, KeysInterface, Pool};
use tower_sessions_redis_store::fred::types::CustomCommand;

use crate::place::{Place, server};

const DATABASE: u8 = 9;

pub(crate) struct Redis(Pool);

impl Place for Redis {
    type Store = RedisStore<Pool>;

    /// A save of what Redis has removed by itself (`SET XX`) answers with nothing, which their store
    /// cannot read: an error, where the rule says that the session is gone.
    const BREAKS: Option<&'static str> = Some("Could not convert to bool");

    async fn new() -> Self {
        let mut config = Config::from_url(&server("KEEP_REDIS_URL")).unwrap();
        config.database = Some(DATABASE);
        let pool = Pool::new(config, None, None, None, 4).unwrap();
        pool.init().await.unwrap();
        Self(pool)
    }

    fn store(&self) -> RedisStore<Pool> {
        RedisStore::new(self.0.clone())
    }

    /// Sessions of other tests too, for keys are ids and nothing else.
    async fn bytes(&self) -> Vec<u8> {
        let all = CustomCommand::new_static("KEYS", None, false);
        let keys: Vec<String> = self.0.custom(all, vec!["*"]).await.unwrap();
        let mut bytes = Vec::new();
        for key in keys {
            bytes.extend(key.as_bytes());
            let value: Option<Vec<u8>> = self.0.get(key).await.unwrap();
            bytes.extend(value.unwrap_or_default());
        }
        bytes
    }

    async fn until(&self, id: Id) -> Option<i64> {
        let until: i64 = self.0.expire_time(id.to_string()).await.unwrap();
        // -2 is "no such key", -1 "for ever", which never is right.
        (until != -2).then_some(until)
    }
}
