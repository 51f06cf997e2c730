//! The fuzz targets in short: every target takes a seed of its corpus, and holds what it asserts
//! for the corpus and for mutations of it. The mutations are the same every time;
//! `CHANCERY_FUZZ_ROUNDS` multiplies them.

#[cfg(test)]
mod mutation;
#[cfg(test)]
mod targets;
