//! The name of the table.

use std::fmt;

/// A table's name, with its schema if it is not in the default one. Both are plain identifiers,
/// so they can stand in SQL as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    schema: Option<String>,
    name: String,
}

/// A name of a table or schema that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot name a table or schema here: use 1 to 48 lower-case letters, digits and \
     underscores, the first one not a digit"
)]
pub struct NameError(String);

impl Default for Table {
    fn default() -> Self {
        Self {
            schema: None,
            name: "keep_sessions".to_owned(),
        }
    }
}

impl Table {
    pub(crate) fn named(self, name: &str) -> Result<Self, NameError> {
        Ok(Self {
            name: identifier(name)?,
            ..self
        })
    }

    pub(crate) fn in_schema(self, schema: &str) -> Result<Self, NameError> {
        Ok(Self {
            schema: Some(identifier(schema)?),
            ..self
        })
    }

    /// Without the schema.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    #[cfg(feature = "mysql")]
    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// A script with this table where it has `{table}`, or `{name}` for that without the schema.
    pub(crate) fn script(&self, text: &str) -> String {
        let text = text.replace("{table}", &self.to_string());
        text.replace("{name}", self.name())
    }

    /// The schema with a dot behind it, or nothing.
    pub(crate) fn prefix(&self) -> String {
        self.schema
            .as_ref()
            .map_or_else(String::new, |schema| format!("{schema}."))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix(), self.name)
    }
}

/// Lower case only, because engines disagree on what unquoted capitals mean; at most 48, because
/// PostgreSQL cuts off what is longer than 63 and the indices' names are longer than the table's.
fn identifier(name: &str) -> Result<String, NameError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if starts_well && name.len() <= 48 && name.chars().all(fits) {
        Ok(name.to_owned())
    } else {
        Err(NameError(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_identifiers_are_taken_and_nothing_else() {
        let table = Table::default().named("shop_1").unwrap();
        assert_eq!(table.to_string(), "shop_1");
        let table = table.in_schema("web").unwrap();
        assert_eq!(table.to_string(), "web.shop_1");
        for bad in [
            "",
            "1a",
            "a-b",
            "a.b",
            "a b",
            "A",
            "a;drop",
            "\"a\"",
            "\u{e9}",
            &"x".repeat(49),
        ] {
            assert!(Table::default().named(bad).is_err(), "{bad}");
            assert!(Table::default().in_schema(bad).is_err(), "{bad}");
        }
    }
}
