//! `drift`: what runs beside what is declared.
mod command;
mod text;

pub(crate) use command::{Show, run};
