//! The cart: product ids and quantities in the session, under `cart.<product>`. Names and prices
//! stay in the catalogue, so a stored cart never shows an old price.

use tower_keep::{Error, ReadSession, Session};

use super::catalogue::{CATALOGUE, Price, Product};

/// Nobody needs more than this of one thing.
pub(crate) const MOST: u32 = 99;

/// What lies in the cart, in the catalogue's order.
#[derive(Debug)]
pub(crate) struct Cart {
    pub(crate) lines: Vec<Line>,
}

/// So many of one product.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) product: &'static Product,
    pub(crate) quantity: u32,
}

impl Cart {
    /// Reading never changes anything; a [`Session`] can be passed as well.
    pub(crate) fn of(session: &ReadSession) -> Result<Self, Error> {
        let mut lines = Vec::new();
        for product in &CATALOGUE {
            if let Some(quantity) = session.get(path(product))? {
                lines.push(Line { product, quantity });
            }
        }
        Ok(Self { lines })
    }

    pub(crate) fn pieces(&self) -> u32 {
        self.lines.iter().map(|line| line.quantity).sum()
    }

    pub(crate) fn total(&self) -> Price {
        let prices = self.lines.iter().map(|line| line.price().0);
        Price(prices.sum())
    }
}

impl Line {
    pub(crate) fn price(&self) -> Price {
        self.product.price.times(self.quantity)
    }
}

/// Puts one more into the cart. The session is this request's alone until the response is made:
/// however many clicks arrive at once, each is counted.
pub(crate) fn add(session: &Session, product: &Product) -> Result<(), Error> {
    let quantity: u32 = session.get_or_default(path(product))?;
    set(session, product, quantity.saturating_add(1))
}

/// Makes it so many, at most [`MOST`]; none removes the product.
pub(crate) fn set(session: &Session, product: &Product, quantity: u32) -> Result<(), Error> {
    if quantity == 0 {
        return remove(session, product);
    }
    session.insert(path(product), &quantity.min(MOST))
}

pub(crate) fn remove(session: &Session, product: &Product) -> Result<(), Error> {
    session.remove_all(path(product))?;
    Ok(())
}

/// Dots lead into objects: all of them are the object `cart`.
fn path(product: &Product) -> String {
    format!("cart.{}", product.id)
}
