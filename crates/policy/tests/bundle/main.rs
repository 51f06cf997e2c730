//! Bundles: what is refused, what is decided, and what always holds.

#[cfg(test)]
mod analysis;
#[cfg(test)]
mod decide;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod load;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod signed;
#[cfg(test)]
mod suggest;
#[cfg(test)]
mod support;
#[cfg(test)]
mod table;
