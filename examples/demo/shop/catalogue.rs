//! What the shop sells.

use std::fmt;

/// One thing to buy.
#[derive(Debug)]
pub(crate) struct Product {
    /// Its name in addresses, in the session, and in `assets/icons.svg`.
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) price: Price,
}

/// An amount of money in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Price(pub(crate) u64);

impl Price {
    pub(crate) fn times(self, quantity: u32) -> Self {
        Self(self.0 * u64::from(quantity))
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "€{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// Everything there is, in the order of the shop window.
pub(crate) const CATALOGUE: [Product; 6] = [
    Product {
        id: "key",
        name: "Iron key",
        about: "Opens one door. Which one is for you to find out.",
        price: Price(4_50),
    },
    Product {
        id: "candle",
        name: "Beeswax candle",
        about: "Burns for nine hours and smells of summer.",
        price: Price(7_20),
    },
    Product {
        id: "shield",
        name: "Oak shield",
        about: "Linen over oak, with a rim of raw hide.",
        price: Price(89_00),
    },
    Product {
        id: "banner",
        name: "Silk banner",
        about: "A metre and a half, dyed in your colours.",
        price: Price(36_90),
    },
    Product {
        id: "map",
        name: "Map of the realm",
        about: "Drawn by hand. Here be no dragons.",
        price: Price(18_00),
    },
    Product {
        id: "rook",
        name: "Chess rook",
        about: "The smallest tower we build, in walnut.",
        price: Price(12_40),
    },
];

/// The product of this id.
pub(crate) fn find(id: &str) -> Option<&'static Product> {
    CATALOGUE.iter().find(|product| product.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_two_decimals() {
        assert_eq!(Price(4_50).to_string(), "€4.50");
        assert_eq!(Price(89_00).times(2).to_string(), "€178.00");
        assert_eq!(Price(5).to_string(), "€0.05");
    }

    #[test]
    fn every_product_is_found_and_drawn() {
        let icons = include_str!("assets/icons.svg");
        for product in &CATALOGUE {
            assert_eq!(find(product.id).map(|p| p.name), Some(product.name));
            assert!(icons.contains(&format!("id=\"{}\"", product.id)));
            assert!(!product.id.contains('.'), "a dot would part the path");
        }
        assert!(find("dragon").is_none());
    }
}
