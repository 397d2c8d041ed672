//! What the store does when its process dies, when its disk fails it, and when what it wrote is
//! altered.
mod altered;
mod disk;
mod process;
