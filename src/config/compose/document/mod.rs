//! A file as a tree with places, and the reader that walks it.
pub(crate) mod assignments;
pub(crate) mod fields;
pub(crate) mod node;
pub(crate) mod origins;
pub(crate) mod reader;
pub(crate) mod values;
