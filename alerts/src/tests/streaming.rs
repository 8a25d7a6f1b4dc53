//! The same readings in other deliveries.
