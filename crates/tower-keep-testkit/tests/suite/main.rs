//! The test kit, tested: stores that are right pass, planted mistakes are found, faults happen.

#[cfg(test)]
mod by_itself;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod history;
#[cfg(test)]
mod mistake;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod queueing;
#[cfg(test)]
mod simple;
#[cfg(test)]
mod stores;
