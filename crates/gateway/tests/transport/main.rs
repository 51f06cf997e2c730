//! The transport between clients with certificates and stdio servers.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod enforcement;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
