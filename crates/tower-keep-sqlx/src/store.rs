//! What the stores have in common.

/// The contract for a store whose field `0` is an `Arc` of an engine.
macro_rules! impl_store {
    // What follows is added to the contract, as for abilities that only one of them has.
    ($store:ty $(, $ability:item)*) => {
        impl tower_keep_core::SessionStore for $store {
            $($ability)*

            async fn look(
                &self,
                id: tower_keep_core::SessionId,
            ) -> Result<tower_keep_core::Looked, tower_keep_core::StoreError> {
                $crate::engine::look(&*self.0, id).await
            }

            async fn cas(
                &self,
                id: tower_keep_core::SessionId,
                expect: tower_keep_core::Expect,
                record: &tower_keep_core::Record,
            ) -> Result<bool, tower_keep_core::StoreError> {
                $crate::engine::cas(&*self.0, id, expect, record).await
            }

            async fn sweep(
                &self,
                sweep: tower_keep_core::Sweep,
            ) -> Result<tower_keep_core::Swept, tower_keep_core::StoreError> {
                $crate::engine::sweep(&*self.0, sweep).await
            }

            fn scope(&self) -> tower_keep_core::Scope {
                tower_keep_core::Scope::Shared
            }

            async fn open(
                &self,
                open: &tower_keep_core::Open,
            ) -> Result<tower_keep_core::Opened, tower_keep_core::StoreError> {
                $crate::engine::open(&*self.0, open).await
            }

            async fn finish(
                &self,
                finish: &tower_keep_core::Finish,
            ) -> Result<tower_keep_core::Finished, tower_keep_core::StoreError> {
                $crate::engine::finish(&*self.0, finish).await
            }

            async fn renew(
                &self,
                id: tower_keep_core::SessionId,
                owner: tower_keep_core::Owner,
                lease: std::time::Duration,
            ) -> Result<bool, tower_keep_core::StoreError> {
                $crate::engine::renew(&*self.0, id, owner, lease).await
            }

            async fn create(
                &self,
                new: &tower_keep_core::NewSession,
            ) -> Result<tower_keep_core::Created, tower_keep_core::StoreError> {
                $crate::engine::create(&*self.0, new).await
            }

            async fn destroy(
                &self,
                id: tower_keep_core::SessionId,
            ) -> Result<bool, tower_keep_core::StoreError> {
                $crate::engine::destroy(&*self.0, id).await
            }

            async fn stats(
                &self,
            ) -> Result<Option<tower_keep_core::Stats>, tower_keep_core::StoreError> {
                $crate::engine::stats(&*self.0).await
            }

            fn users(&self) -> Option<&dyn tower_keep_core::Users> {
                Some(self)
            }

            fn scan(&self) -> Option<&dyn tower_keep_core::Scan> {
                Some(self)
            }
        }

        $crate::scan::impl_scan!($store);
        $crate::users::impl_users!($store);
    };
}

/// Binds values to a query and reads rows, for one engine. The drivers have no common type that
/// could be named without every bound of theirs.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
macro_rules! impl_driver {
    ($database:ty, $row:ty, id: $id:ty, $from_id:expr, $into_id:expr) => {
        type Query<'q> =
            sqlx::query::Query<'q, $database, <$database as sqlx::Database>::Arguments>;

        /// A prepared statement with nothing bound yet.
        fn query<'q>(sql: &$crate::statement::Sql) -> Query<'q> {
            // Its text comes from this crate; a table's name was checked, all else is bound.
            sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
        }

        fn bind<'q>(query: Query<'q>, value: &'q $crate::value::Value) -> Query<'q> {
            use $crate::value::Value;
            match value {
                Value::Id(id) => query.bind($from_id(*id)),
                Value::Int(number) => query.bind(*number),
                Value::Flag(flag) => query.bind(*flag),
                Value::Bytes(bytes) => query.bind(bytes.as_deref()),
                Value::Text(text) => query.bind(text.as_deref()),
            }
        }

        impl $crate::row::Columns for $row {
            fn id(&self, at: usize) -> Result<[u8; 16], tower_keep_core::StoreError> {
                let id: $id = sqlx::Row::try_get(self, at).map_err(driver_error)?;
                $into_id(id)
            }

            fn int(&self, at: usize) -> Result<Option<i64>, tower_keep_core::StoreError> {
                sqlx::Row::try_get(self, at).map_err(driver_error)
            }

            fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, tower_keep_core::StoreError> {
                sqlx::Row::try_get(self, at).map_err(driver_error)
            }

            fn text(&self, at: usize) -> Result<Option<String>, tower_keep_core::StoreError> {
                sqlx::Row::try_get(self, at).map_err(driver_error)
            }
        }
    };
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use impl_driver;
pub(crate) use impl_store;
