//! Bundles: what is read, what is refused and how it is told, and what a text prints to.
