//! The sandbox, used by ordinary commands and attacked by a hostile one, as root and as nobody.

#[cfg(test)]
mod common;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod launch;
#[cfg(test)]
mod ordinary;
